# shellcheck shell=bash disable=SC2034
FAULT="all processes of the announcing node stopped for 5 s, then they go on: its machine was paused"
PROMISE="another node within 1 s; one answers, before and after"
SILENT_MS=1500 HEALS_MS=2000 LOSES=100 WATCH=12
host() { # SIGNAL
  local daemon
  for daemon in "$HOLDER"/vswitchd "$HOLDER"/ovn-controller "$HOLDER"/ovsdb; do kill "-$1" "$(cat "$LAB_DIR/$daemon.pid")"; done
  kill "-$1" "$(pid_of "$HOLDER")"
}
break_it() { host STOP; sleep 5; host CONT; }
DARK='has not been heard since'
darken() { on_each_node pause_it; }
pause_it() { host STOP; }
resume_it() { host CONT; }
brighten() { on_each_node resume_it; }

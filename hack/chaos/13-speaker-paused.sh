# shellcheck shell=bash disable=SC2034
FAULT="the announcing speaker stopped (SIGSTOP) for 5 s, then it goes on"
PROMISE="one answers, before and after; it listens before it speaks"
SILENT_MS=6000 HEALS_MS=8000 LOSES=4 WATCH=12
break_it() { kill -STOP "$(pid_of "$HOLDER")"; sleep 5; kill -CONT "$(pid_of "$HOLDER")"; }
DARK='has not been heard since'
darken() {
  on_each_node pause_it
  "$LAB" x client ip neigh flush dev eth0
}
pause_it() { kill -STOP "$(pid_of "$HOLDER")"; }
brighten() { kill -CONT "$(pid_of node1)" "$(pid_of node2)"; }

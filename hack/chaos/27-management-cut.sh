# shellcheck shell=bash disable=SC2034
FAULT="the announcing node cut off from API server and southbound, and its pods taken out of the Service meanwhile"
PROMISE="another node within 2 s, and the cut one lets go when it hears it"
SILENT_MS=2000 HEALS_MS=5000 LOSES=10 WATCH=12 AT_ONCE=2
# Paused, the carrier takes what comes and answers nothing, as a network does that loses every packet.
management() { # up|down
  local signal=CONT
  [ "$1" = up ] || signal=STOP
  kill "-$signal" "$(pid_of "carrier-$HOLDER")"
  ip -n "${LAB_PREFIX}central" link set "$HOLDER" "$1"
}
break_it() {
  management down
  sleep 1
  set_ready "$HOLDER" false
}
mend_it() { management up; set_ready "$HOLDER" true; sleep 2; }

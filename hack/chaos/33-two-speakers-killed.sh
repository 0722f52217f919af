# shellcheck shell=bash disable=SC2034
FAULT="of three speakers that could announce, the announcing one and another killed at once; they stay away"
PROMISE="rules stay, nothing lost; the third answers within 1 s"
SILENT_MS=1500 HEALS_MS=2000 LOSES=2 WATCH=8
prepare_it() { add_backend 10.180.204.131 node3; sleep 5; } # until it has heard the others, which beat once a second
break_it() {
  SECOND=$(other_than "$HOLDER")
  end_program "$HOLDER" KILL &
  end_program "$SECOND" KILL &
  wait
}
mend_it() { start_speaker "$HOLDER"; start_speaker "$SECOND"; put "$CLUSTER/03-nginx.yaml"; sleep 3; }

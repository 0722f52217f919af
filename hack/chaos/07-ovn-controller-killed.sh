# shellcheck shell=bash disable=SC2034
FAULT="ovn-controller killed on the announcing node, started 3 s later"
PROMISE="its flows serve on; the start costs no request"
LOSES=2 HEALS_MS=6000
break_it() { "$LAB" kill "$HOLDER" ovn-controller; sleep 3; "$LAB" start "$HOLDER" ovn-controller; }

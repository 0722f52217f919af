# shellcheck shell=bash disable=SC2034
FAULT="ovn-controller killed on the announcing node, started 3 s later"
PROMISE="its flows serve on; its start, which takes all flows out and puts them back, costs a tenth of a second"
LOSES=10 HEALS_MS=6000
break_it() { "$LAB" kill "$HOLDER" ovn-controller; sleep 3; "$LAB" start "$HOLDER" ovn-controller; }

# shellcheck shell=bash disable=SC2034
FAULT="ovn-controller hangs on the announcing node"
PROMISE="its flows serve on"
break_it() { "$LAB" pause "$HOLDER" ovn-controller; }
mend_it() { "$LAB" resume "$HOLDER" ovn-controller; }

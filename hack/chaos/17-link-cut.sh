# shellcheck shell=bash disable=SC2034
FAULT="the announcing node's link cut"
PROMISE="another node within 1 s"
HEALS_MS=1500 LOSES=80
break_it() { "$LAB" cut "$HOLDER"; }
mend_it() { "$LAB" mend "$HOLDER"; sleep 3; }
DARK='carrier'

# shellcheck shell=bash disable=SC2034
FAULT="br-int's flows flushed on the announcing node"
PROMISE="let go within 1 s, another node within 1 s more"
SILENT_MS=2000 HEALS_MS=2000 LOSES=120
break_it() { "$LAB" of "$HOLDER" del-flows br-int; }
mend_it() { "$LAB" restart-controller "$HOLDER"; }
DARK='cannot deliver'

# shellcheck shell=bash disable=SC2034
FAULT="ovs-vswitchd hangs on the announcing node"
PROMISE="another node within 2 s"
SILENT_MS=2000 HEALS_MS=2000 LOSES=120
break_it() { "$LAB" pause "$HOLDER" vswitchd; }
mend_it() { "$LAB" resume "$HOLDER" vswitchd; }
DARK='cannot deliver\|cannot speak'

# shellcheck shell=bash disable=SC2034
FAULT="ovs-vswitchd restarted on the announcing node"
PROMISE="another node meanwhile, or the same within 2 s"
SILENT_MS=3000 HEALS_MS=3000 LOSES=160 WATCH=10
break_it() { "$LAB" restart-vswitchd "$HOLDER"; }

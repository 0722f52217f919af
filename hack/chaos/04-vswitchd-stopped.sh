# shellcheck shell=bash disable=SC2034
FAULT="ovs-vswitchd killed on the announcing node, and it stays away"
PROMISE="another node within 2 s"
SILENT_MS=2000 HEALS_MS=2000 LOSES=120
break_it() { "$LAB" kill "$HOLDER" vswitchd; }
mend_it() { start_it; mend_controller; }
DARK='cannot deliver\|cannot speak'
brighten() {
  on_each_node start_it
  on_each_node mend_controller
}
start_it() { "$LAB" start "$HOLDER" vswitchd; }
mend_controller() { "$LAB" restart-controller "$HOLDER"; }

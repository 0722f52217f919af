# shellcheck shell=bash disable=SC2034
FAULT="the underlay of the announcing node cut behind the switch's port: its carrier stays"
PROMISE="another node within 1 s, and one when it is back"
SILENT_MS=1500 HEALS_MS=2000 LOSES=100
break_it() { "$LAB" vs sw del-port br-sw "$HOLDER"; }
mend_it() { "$LAB" vs sw add-port br-sw "$HOLDER"; sleep 3; }
DARK='hear nothing of it on the wire'
darken() { # of two that do not hear each other nobody can tell which one is cut off
  add_backend 10.180.204.131 node3
  sleep 3
  for HOLDER in node1 node2 node3; do break_it; done
}
brighten() {
  for HOLDER in node1 node2 node3; do mend_it; done
  put "$CLUSTER/03-nginx.yaml"
}

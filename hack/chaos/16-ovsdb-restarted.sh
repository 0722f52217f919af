# shellcheck shell=bash disable=SC2034
FAULT="the announcing node's ovsdb-server killed, started 2 s later"
# Open vSwitch's bridges stand still while their database is away (vswitchd/bridge.c, bridge_run), and with them the userspace datapath.
PROMISE="nothing moves on the kernel's datapath; the lab's, in userspace, forwards nothing meanwhile: another node within 1 s"
HEALS_MS=1500 LOSES=80
break_it() { "$LAB" kill "$HOLDER" ovsdb; sleep 2; "$LAB" start "$HOLDER" ovsdb; }

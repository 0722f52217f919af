# shellcheck shell=bash disable=SC2034
FAULT="the announcing node's ovsdb-server killed, started 2 s later"
PROMISE="nothing lost, nothing moves"
break_it() { "$LAB" kill "$HOLDER" ovsdb; sleep 2; "$LAB" start "$HOLDER" ovsdb; }

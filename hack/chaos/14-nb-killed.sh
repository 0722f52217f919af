# shellcheck shell=bash disable=SC2034
FAULT="the northbound's ovsdb-server killed, started 3 s later"
PROMISE="nothing lost"
break_it() { "$LAB" kill central nb; sleep 3; "$LAB" start central nb; }

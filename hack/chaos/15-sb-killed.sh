# shellcheck shell=bash disable=SC2034
FAULT="the southbound's ovsdb-server killed, started 3 s later"
PROMISE="nothing lost"
break_it() { "$LAB" kill central sb; sleep 3; "$LAB" start central sb; }

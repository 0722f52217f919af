# shellcheck shell=bash disable=SC2034
FAULT="northd killed, started 3 s later"
PROMISE="what is there serves on"
break_it() { "$LAB" kill central northd; sleep 3; "$LAB" start central northd; }

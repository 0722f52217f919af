# shellcheck shell=bash disable=SC2034
FAULT="ovn-vip controller killed, started 3 s later"
PROMISE="nothing lost"
break_it() { end_program controller KILL; sleep 3; start_controller; }

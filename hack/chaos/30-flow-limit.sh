# shellcheck shell=bash disable=SC2034
FAULT="the datapath of the announcing node takes ten flows at most (other_config:flow-limit)"
PROMISE="slower, and nothing lost"
LOSES=5 HEALS_MS=any
break_it() { "$LAB" vs "$HOLDER" set Open_vSwitch . other_config:flow-limit=10; }
mend_it() { "$LAB" vs "$HOLDER" remove Open_vSwitch . other_config flow-limit; }

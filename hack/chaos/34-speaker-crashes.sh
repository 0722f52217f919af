# shellcheck shell=bash disable=SC2034
FAULT="the announcing speaker killed and started at once: a crash"
PROMISE="rules stay; another answers where the start takes longer than three beats; two may for as long as a report takes"
HEALS_MS=5000 LOSES=5 AT_ONCE=2 WATCH=8
break_it() { end_program "$HOLDER" KILL; start_speaker "$HOLDER"; }
mend_it() { sleep 2; }

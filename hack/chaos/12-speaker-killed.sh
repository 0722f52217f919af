# shellcheck shell=bash disable=SC2034
FAULT="the announcing speaker killed, and it stays away"
PROMISE="rules stay; another node answers within seconds; nothing lost"
SILENT_MS=6000 HEALS_MS=6000 LOSES=2 WATCH=12
break_it() { end_program "$HOLDER" KILL; }
mend_it() { start_speaker "$HOLDER"; }

# shellcheck shell=bash disable=SC2034
FAULT="the announcing speaker killed, and it stays away"
PROMISE="rules stay; another node answers within seconds; nothing lost"
SILENT_MS=6000 HEALS_MS=6000 LOSES=2 WATCH=12
break_it() { end_program "$HOLDER" KILL; }
# Who has not heard the other yet cannot tell that it died.
mend_it() { start_speaker "$HOLDER"; sleep 2; }
DARK='has not been heard since'
darken() {
  on_each_node break_it
  "$LAB" x client ip neigh flush dev eth0
}

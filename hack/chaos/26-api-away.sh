# shellcheck shell=bash disable=SC2034
FAULT="the API server away, and the announcing speaker killed meanwhile"
PROMISE="rules stay, nothing lost; another node answers within 1 s"
SILENT_MS=1500 LOSES=2 HEALS_MS=2000 WATCH=10
prepare_it() { end_program apiserver KILL; }
break_it() { end_program "$HOLDER" KILL; }
mend_it() { start_apiserver; await_apiserver; start_speaker "$HOLDER"; sleep 3; }

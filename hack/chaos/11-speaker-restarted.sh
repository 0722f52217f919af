# shellcheck shell=bash disable=SC2034
FAULT="the announcing speaker told to end and started at once, as an upgrade does"
PROMISE="rules stay, nothing lost, nothing moves"
break_it() { end_program "$HOLDER"; start_speaker "$HOLDER"; }

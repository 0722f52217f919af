# shellcheck shell=bash disable=SC2034
FAULT="northd hangs"
PROMISE="what is there serves on"
break_it() { "$LAB" pause central northd; }
mend_it() { "$LAB" resume central northd; }

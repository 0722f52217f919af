#!/usr/bin/env bash
# Breaks one thing at a time on the lab, and says what a client lost and who answered: the rows of docs/faults.md.
#
#   hack/chaos.sh all            every fault; with CHAOS_ROUNDS=1 under 40 minutes, as root, with kubectl
#   hack/chaos.sh NAME…          these
#   hack/chaos.sh dark [NAME…]   each that can darken the VIP, on all nodes at once, and what ovn-vip explain says of it
#   hack/chaos.sh list           their names, and what is promised
#
# A lab with an API server, a controller and three speakers serves for all faults on the same VLAN; where one does not heal, the
# next has a new one. Each fault is made CHAOS_ROUNDS (3) times, and is watched from the on-link client: fifty requests and ten ARP
# questions a second. A row: the fault, the promise, healing (p50/max, ms: until the last request that failed), requests lost of those
# sent, the longest time without an answer to ARP, the most hosts that answered one question, what explain says at the end of the
# watch, and whether the promise was kept, and explain said what a client finds. Leaves with 1 if not. Progress goes to standard error.
#
# Environment: OVN_VIP=FILE runs that binary and builds none; LAB_ROOT and the other settings of hack/lab.sh; LAB_PREFIX (chaos-);
# CHAOS_PORT (24443) and the next one, on loopback, are the API server's and etcd's; CHAOS_KEEP=1 keeps logs and records in /run/ovn-vip-chaos.
set -euo pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=hack/lab/ovn-tree.sh
. "$HERE/lab/ovn-tree.sh"
cd "$HERE/.."
PATH=$PATH:${CARGO_HOME:-$HOME/.cargo}/bin:/usr/sbin:/sbin

export LAB_PREFIX=${LAB_PREFIX:-chaos-}
unset LAB_DIR LAB_NODES
LAB=hack/lab.sh
FAULTS=(hack/chaos/[0-9]*.sh)
ROUNDS=${CHAOS_ROUNDS:-3}
VIP4=10.180.204.252
FAILED=0
# shellcheck source=hack/chaos/stage.sh
. hack/chaos/stage.sh

# ── one fault ───────────────────────────────────────────────────────────────────────────────────────────────────────────

# A file hack/chaos/NN-NAME.sh sets FAULT and PROMISE, and the most that the promise allows in a round: HEALS_MS, LOSES and
# SILENT_MS ("any": nothing is promised of it). It may set WATCH (seconds), VLAN, STRANGER (a MAC that is no answerer's), AT_ONCE (hosts
# that may answer one question). It defines `break_it`, with the announcing node in HOLDER, and may define `prepare_it` (before the
# watch), `look` (after the last one: prints what else to see, and fails where the promise is not kept) and `mend_it`, which puts
# everything back.
# Where the fault can darken the VIP, DARK is a pattern of what explain has to say then, and `darken` makes it so: the fault on every
# node that has a backend, unless the file says otherwise.
defaults() {
  FAULT='' PROMISE='' HEALS_MS=0 LOSES=0 SILENT_MS=1500 WATCH=6 VLAN=0 STRANGER='' AT_ONCE=1 DARK=''
  prepare_it() { :; }
  break_it() { :; }
  darken() { on_each_node break_it; }
  brighten() { on_each_node mend_it; }
  mend_it() { :; }
  look() { :; }
}

name_of() { local file=${1##*/[0-9][0-9]-}; printf '%s\n' "${file%.sh}"; }

load() { # FILE
  defaults
  # shellcheck source=/dev/null
  . "$1"
}

SAYS_WITHIN=50 # seconds: a speaker's report counts for 40
STAGED='' # the VLAN of the stage that stands

stage_it() { # FILE: what stands serves, or is made anew
  load "$1"
  if [ "$STAGED" != "$VLAN" ] || ! becomes_healthy 25; then
    start_stage
    STAGED=$VLAN
  fi
}

on_each_node() { # COMMAND: with HOLDER each node that has a backend
  for HOLDER in node1 node2; do "$1"; done
}

run_fault() { # FILE: prints its row
  local round results seen kept=yes explained
  stage_it "$1"
  results=$CHAOS_DIR/results
  : >"$results"
  for ((round = 1; round <= ROUNDS; round++)); do
    await_health
    # shellcheck disable=SC2034 # the fault reads it
    HOLDER=$(holder)
    prepare_it >>"$CHAOS_DIR/break.log" 2>&1
    one_round >>"$results"
    if [ "$round" = "$ROUNDS" ]; then
      explained=$(explained)
      says_what_is "$explained" || kept=NO
      seen=$(look) || kept=NO
    fi
    mend_it >>"$CHAOS_DIR/break.log" 2>&1
  done
  row "$results" "$explained" "$seen"
}

says_what_is() { # EXPLAINED: is it what the client found in the last second?
  local last
  last=$(recent 70)
  case $1 in
  ✗*) ! grep -q '"ok": true' <<<"$last" ;;
  *served*) grep -q '"ok": true' <<<"$last" ;;
  esac
}

# ── a VIP that is dark ──────────────────────────────────────────────────────────────────────────────────────────────────

run_dark() { # FILE: prints what explain says
  local said kept=NO began
  stage_it "$1"
  await_health
  prepare_it >>"$CHAOS_DIR/break.log" 2>&1
  darken >>"$CHAOS_DIR/break.log" 2>&1
  await 15 "the dark" is_dark
  said='' began=$SECONDS
  until said=$(explained) && grep -q "$DARK" <<<"$said"; do [ $((SECONDS - began)) -lt "$SAYS_WITHIN" ] || break; sleep 0.5; done
  if grep -q "$DARK" <<<"$said"; then kept=yes; else FAILED=1; fi
  printf '| %s | %s | %s |\n' "$FAULT" "$said" "$kept"
  # What does not come back is made anew.
  brighten >>"$CHAOS_DIR/break.log" 2>&1 || STAGED=
}

one_round() { # prints HEALING LOST ASKED AT_ONCE SILENT MACS
  local broken until
  broken=$EPOCHREALTIME
  break_it >>"$CHAOS_DIR/break.log" 2>&1
  sleep_until "$broken" "$WATCH"
  until=$EPOCHREALTIME
  sleep 1 # for the requests under way
  python3 hack/chaos/report.py "$CHAOS_DIR/watch" "$broken" "$until" --not="$STRANGER"
}

sleep_until() { # BEGAN SECONDS
  local left=$((${2}000000 - (${EPOCHREALTIME/./} - ${1/./})))
  [ "$left" -le 0 ] || sleep "$((left / 1000000)).$(printf '%06d' $((left % 1000000)))"
}

row() { # RESULTS EXPLAINED SEEN; `kept` is the caller's
  local healing lost asked worst
  healing=$(column 1 "$1")
  worst=$(tail -n 1 <<<"$healing")
  lost=$(awk '{ n += $2 } END { print n }' "$1")
  asked=$(awk '{ n += $3 } END { print n }' "$1")
  is_within "$worst" "$HEALS_MS" && is_within "$(worst 2 "$1")" "$LOSES" && is_within "$(worst 5 "$1")" "$SILENT_MS" &&
    is_within "$(worst 4 "$1")" "$AT_ONCE" || kept=NO
  [ "$kept" = yes ] || FAILED=1
  printf '| %s | %s | %s / %s | %s of %s | %s | %s | %s | %s%s |\n' "$FAULT" "$PROMISE" "$(sed -n "$(((ROUNDS + 1) / 2))p" <<<"$healing")" \
    "$worst" "$lost" "$asked" "$(worst 5 "$1")" "$(worst 4 "$1")" "$2" "$kept" "${3:+; $3}"
}

column() { cut -d ' ' -f "$1" "$2" | sort -V; } # N RESULTS
worst() { column "$@" | tail -n 1; }
is_within() { [ "$2" = any ] || { [ "$1" != never ] && [ "$1" -le "$2" ]; }; } # VALUE LIMIT

# ── verbs ───────────────────────────────────────────────────────────────────────────────────────────────────────────────

list() {
  local file
  for file in "${FAULTS[@]}"; do
    load "$file"
    printf '%-28s %s: %s\n' "$(name_of "$file")" "$FAULT" "$PROMISE"
  done
}

chosen() { # NAME...: their files
  local name file found
  for name; do
    found=
    for file in "${FAULTS[@]}"; do
      if [ "$name" = all ] || [ "$name" = "$(name_of "$file")" ]; then
        found=1
        printf '%s\n' "$file"
      fi
    done
    [ -n "$found" ] || die "there is no fault '$name': hack/chaos.sh list"
  done
}

dark_ones() { # FILE…: those that say what explain has to say
  local file
  for file; do
    load "$file"
    [ -z "$DARK" ] || printf '%s\n' "$file"
  done
}

main() {
  local file list files run=run_fault number=0
  case ${1:-help} in
  help | -h | --help) sed -n '2,/^set -/{/^set -/!s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}"; return ;;
  list) list; return ;;
  dark)
    run=run_dark
    shift
    [ $# -gt 0 ] || set -- all
    ;;
  esac
  list=$(chosen "$@")
  mapfile -t files <<<"$list"
  [ "$run" = run_fault ] || mapfile -t files < <(dark_ones "${files[@]}")
  [ "$(id -u)" = 0 ] || die "the lab's network namespaces need root: run it as root"
  build
  trap 'end_stage' EXIT
  case $run in
  run_fault)
    printf '| fault | promised | healing p50 / max, ms | lost | longest silence, ms | answer at once, at most | explain says | kept |\n'
    printf '|---|---|---|---|---|---|---|---|\n'
    ;;
  run_dark) printf '| fault, on every node with a backend | explain says | as it should |\n|---|---|---|\n' ;;
  esac
  for file in "${files[@]}"; do
    say "$((number += 1)) of ${#files[@]}, after $SECONDS s: $(name_of "$file")"
    "$run" "$file"
  done
  return "$FAILED"
}

main "$@"

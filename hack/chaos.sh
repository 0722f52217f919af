#!/usr/bin/env bash
# Breaks one thing at a time on the lab, and says what a client lost and who answered: the rows of docs/faults.md.
#
#   hack/chaos.sh all            every fault; under 40 minutes, as root, with kubectl
#   hack/chaos.sh NAME…          these
#   hack/chaos.sh list           their names, and what is promised
#
# A lab with an API server, a controller and three speakers serves for all faults on the same VLAN; where one does not heal, the
# next has a new one. Each fault is made CHAOS_ROUNDS (3) times, and is watched from the on-link client: fifty requests and ten ARP questions a second. A row: the fault, the promise, healing (p50/max, ms: until the
# last request that failed), requests lost of those sent, the longest time without an answer to ARP, the most hosts that answered
# one question, and whether the promise was kept. Leaves with 1 if one was not.
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
# SILENT_MS ("any": nothing is promised of it). It may set WATCH (seconds), VLAN, STRANGER (a MAC that is no answerer's). It
# defines `break_it`, with the announcing node in HOLDER, and may define `look` (after the last watch: prints what else to see, and
# fails where the promise is not kept) and `mend_it`, which puts everything back.
defaults() {
  FAULT='' PROMISE='' HEALS_MS=0 LOSES=0 SILENT_MS=1500 WATCH=6 VLAN=0 STRANGER=''
  break_it() { :; }
  mend_it() { :; }
  look() { :; }
}

name_of() { local file=${1##*/[0-9][0-9]-}; printf '%s\n' "${file%.sh}"; }

load() { # FILE
  defaults
  # shellcheck source=/dev/null
  . "$1"
}

STAGED='' # the VLAN of the stage that stands

run_fault() { # FILE: prints its row
  local round results seen kept=yes
  load "$1"
  if [ "$STAGED" != "$VLAN" ] || ! becomes_healthy 15; then
    start_stage
    STAGED=$VLAN
  fi
  results=$CHAOS_DIR/results
  : >"$results"
  for ((round = 1; round <= ROUNDS; round++)); do
    await_health
    # shellcheck disable=SC2034 # the fault reads it
    HOLDER=$(holder)
    one_round >>"$results"
    [ "$round" -lt "$ROUNDS" ] || seen=$(look) || kept=NO
    mend_it >>"$CHAOS_DIR/break.log" 2>&1
  done
  row "$results" "$seen"
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

row() { # RESULTS SEEN; `kept` is the caller's
  local healing lost asked worst
  healing=$(column 1 "$1")
  worst=$(tail -n 1 <<<"$healing")
  lost=$(awk '{ n += $2 } END { print n }' "$1")
  asked=$(awk '{ n += $3 } END { print n }' "$1")
  is_within "$worst" "$HEALS_MS" && is_within "$(worst 2 "$1")" "$LOSES" && is_within "$(worst 5 "$1")" "$SILENT_MS" &&
    is_within "$(worst 4 "$1")" 1 || kept=NO
  [ "$kept" = yes ] || FAILED=1
  printf '| %s | %s | %s / %s | %s of %s | %s | %s | %s%s |\n' "$FAULT" "$PROMISE" "$(sed -n "$(((ROUNDS + 1) / 2))p" <<<"$healing")" \
    "$worst" "$lost" "$asked" "$(worst 5 "$1")" "$(worst 4 "$1")" "$kept" "${2:+; $2}"
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

main() {
  local file files
  case ${1:-help} in
  help | -h | --help) sed -n '2,/^set -/{/^set -/!s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}"; return ;;
  list) list; return ;;
  esac
  files=$(chosen "$@")
  [ "$(id -u)" = 0 ] || die "the lab's network namespaces need root: run it as root"
  build
  trap 'end_stage' EXIT
  printf '| fault | promised | healing p50 / max, ms | lost | longest silence, ms | answer at once, at most | kept |\n|---|---|---|---|---|---|---|\n'
  for file in $files; do run_fault "$file"; done
  return "$FAILED"
}

main "$@"

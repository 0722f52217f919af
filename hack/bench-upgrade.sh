#!/usr/bin/env bash
# What an upgrade and a rollback cost clients: 100 requests a second from each of four, over new connections, while every part of
# ovn-vip changes from one version to the other and back, in the order and manner of the chart.
#
#   hack/bench-upgrade.sh [COMMIT]     from that commit (the one before this by default) to this work tree, and back; as root
#
# The controller ends and the other version's starts; then node by node the next speaker starts beside the last one, and the last one
# is told to end (speaker.maxSurge). Prints what each client asked, lost and waited for at most; leaves with 1 if a request was lost.
#
# Environment: OLD=FILE, NEW=FILE run these programs and build none; LAB_PREFIX.
set -euo pipefail

# shellcheck source=hack/bench/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/bench/lib.sh"
case ${1:-} in -*) help; [ "$1" = --help ] || exit 2; exit 0 ;; esac
cd "$REPO"

VIPS=(10.180.204.252 fd00:180:204::252)
SECONDS_EACH=24
declare -A PIDS=()

program_of() { # COMMIT -> its program, built in a work tree that goes again
  git worktree add --quiet --detach "$WORK/source" "$1"
  cargo build --quiet --locked --manifest-path "$WORK/source/Cargo.toml" --target-dir "$REPO/target/upgrade" --bin ovn-vip || die "$1 does not build: see cargo's message above"
  git worktree remove --force "$WORK/source"
  printf '%s\n' "$REPO/target/upgrade/debug/ovn-vip"
}

controller() { # PROGRAM
  "$1" controller --cluster-dir "$WORK/cluster" --ovn-nb "$LAB_NB" --ovn-sb "$LAB_SB" >>"$WORK/controller.log" 2>&1 &
  PIDS[controller]=$!
  CHILDREN+=("$!")
}

speaker() { # NODE PROGRAM
  "$LAB" x "$1" "$2" speaker --cluster-dir "$WORK/cluster" --node "$1" --ovs "unix:$LAB_DIR/$1/db.sock" --http 127.0.0.1:10686 >>"$WORK/$1.log" 2>&1 &
  PIDS[$1]=$!
  CHILDREN+=("$!")
}

ready() { # NODE
  until [ "$("$LAB" x "$1" curl --silent --max-time 1 http://127.0.0.1:10686/readyz)" = ready ]; do sleep 0.1; done
}

end() { # PID
  kill "$1" 2>/dev/null || true
  wait "$1" 2>/dev/null || true
}

answers() { "$LAB" x "$1" curl --globoff --silent --max-time 0.5 --output /dev/null "http://$2/"; }

replace_all() { # PROGRAM: as the chart does
  local node last
  end "${PIDS[controller]}"
  controller "$1"
  sleep 2
  for node in $LAB_NODES; do
    last=${PIDS[$node]}
    speaker "$node" "$1"
    sleep 1.5 # it reads, and waits for the last one's end
    end "$last"
    ready "$node"
    sleep 1.5
  done
}

measured() { # TITLE PROGRAM
  local caller vip job jobs=()
  title "$1"
  for caller in client far; do
    for vip in "${VIPS[@]}"; do
      "$LAB" x "$caller" python3 hack/lab/probe.py "$vip" "$SECONDS_EACH" --interval 0.01 --timeout 5 >"$WORK/$caller-$vip" &
      jobs+=("$!")
    done
  done
  sleep 1
  replace_all "$2"
  for job in "${jobs[@]}"; do wait "$job"; done
  printf '| from | to | requests | lost | longest gap |\n|---|---|---|---|---|\n'
  for caller in client far; do
    for vip in "${VIPS[@]}"; do
      jq -r --arg from "$caller" --arg to "$vip" '"| \($from) | \($to) | \(.ok + .failed) | \(.failed) | \(.longest_gap_ms) ms |"' "$WORK/$caller-$vip"
      LOST=$((LOST + $(jq .failed "$WORK/$caller-$vip")))
    done
  done
}

main() {
  local node caller
  [ "$(id -u)" = 0 ] || die "the lab needs root: run it as root"
  WORK=$(mktemp -d)
  trap clear_up EXIT
  trap 'exit 130' INT TERM
  LOST=0
  say "building"
  OLD=${OLD:-$(program_of "${1:-HEAD~1}")}
  if [ -z "${NEW:-}" ]; then
    cargo build --quiet --locked --bin ovn-vip
    NEW=${CARGO_TARGET_DIR:-$REPO/target}/debug/ovn-vip
  fi
  cp -r examples/underlay "$WORK/cluster"
  "$LAB" up
  eval "$("$LAB" env)"
  controller "$OLD"
  for node in $LAB_NODES; do speaker "$node" "$OLD"; done
  for node in $LAB_NODES; do ready "$node"; done
  for caller in client far; do
    until answers "$caller" "${VIPS[0]}" && answers "$caller" "[${VIPS[1]}]"; do sleep 0.2; done
  done
  measured "Upgrade" "$NEW"
  measured "Rollback" "$OLD"
  [ "$LOST" = 0 ] || die "$LOST requests were lost"
}

main "$@"

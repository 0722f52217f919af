#!/usr/bin/env bash
# How long a VIP is away, on the lab's real OVN:
#   - Open vSwitch restarts on the node that answers for it: until the VIP is served again, against a pod's own address on that
#     node, which needs nothing of ours, in the same run;
#   - a planned move: the pods of that node become unready, as in a rollout: requests lost of 100 a second, and the longest gap
#     between two answers.
# Needs root and hack/setup.sh. BENCH_RUNS=5 is how often each is done; LAB_ROOT=DIR takes another OVN.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=hack/bench/lib.sh
. hack/bench/lib.sh

RUNS=${BENCH_RUNS:-5}
VIP=10.180.204.252
declare -A POD=([node1]=10.180.204.111 [node2]=10.180.204.121)

start() { # NAME COMMAND...
  local name=$1
  shift
  setsid "$@" >"$WORK/$name.log" 2>&1 &
  CHILDREN+=($!)
}

set_ready() { # NODE true|false: written beside and moved in, as editors do
  local file
  for file in "$CLUSTER"/*.yaml; do
    grep -q '^kind: EndpointSlice' "$file" || continue
    sed "/nodeName: $1\$/,/ready:/ s/ready: .*/ready: $2/" "$file" >"$WORK/edited"
    mv "$WORK/edited" "$file"
  done
}

is_answered() { "$LAB" x client curl --silent --max-time 0.2 --output /dev/null "http://$1/"; } # ADDRESS

announcer() {
  local mac
  mac=$("$LAB" x client arping -c 1 -w 2 -I eth0 "$VIP" | sed -n 's/.*\[.*:0\(.\)\].*/\1/p')
  printf 'node%s\n' "$mac"
}

median() { sort -n | awk '{ all[NR] = $1 } END { printf "%s (%s–%s)", all[int((NR + 1) / 2)], all[1], all[NR] }'; }

probe() { # ADDRESS SECONDS FILE: 100 a second
  "$LAB" x client python3 hack/lab/probe.py "$1" "$2" --interval 0.01 --timeout 1.9 >"$WORK/$3"
}

restarts() {
  local run node
  for ((run = 0; run < RUNS; run++)); do
    node=$(announcer)
    probe "$VIP" 8 vip.json &
    probe "${POD[$node]}" 8 pod.json &
    sleep 1
    "$LAB" restart-vswitchd "$node" >/dev/null
    wait %?vip.json %?pod.json
    jq .longest_gap_ms "$WORK/vip.json" >>"$WORK/vip.gaps"
    jq .longest_gap_ms "$WORK/pod.json" >>"$WORK/pod.gaps"
    jq -n --slurpfile vip "$WORK/vip.json" --slurpfile pod "$WORK/pod.json" \
      '$vip[0].longest_gap_ms / $pod[0].longest_gap_ms * 100 | round / 100' >>"$WORK/ratios"
  done
  title "Open vSwitch restarts on the announcing node, N = $RUNS, medians (least–most)"
  printf '| until served again | ms |\n|---|---|\n| the VIP | %s |\n| a pod of that node, by its own address | %s |\n| ratio of each run | %s |\n' \
    "$(median <"$WORK/vip.gaps")" "$(median <"$WORK/pod.gaps")" "$(median <"$WORK/ratios")"
}

moves() {
  local run node other
  for ((run = 0; run < RUNS; run++)); do
    node=$(announcer)
    probe "$VIP" 4 move.json &
    sleep 1
    set_ready "$node" false
    wait %?move.json
    other=$(announcer)
    [ "$other" != "$node" ] || die "the VIP did not move"
    jq .failed "$WORK/move.json" >>"$WORK/failed"
    jq .longest_gap_ms "$WORK/move.json" >>"$WORK/moves"
    set_ready "$node" true
    # A folder's speakers know no holder: the VIP goes back by its rank, or stays.
    sleep 4
  done
  title "A planned move, 100 requests a second, N = $RUNS, medians (least–most)"
  printf '| | |\n|---|---|\n| requests lost of 400 | %s |\n| longest gap, ms | %s |\n' \
    "$(median <"$WORK/failed")" "$(median <"$WORK/moves")"
}

main() {
  local node n
  prepare_program
  "$LAB" up >/dev/null
  eval "$("$LAB" env)"
  CLUSTER=$WORK/cluster
  cp -r examples/underlay "$CLUSTER"
  start controller "$OVN_VIP" controller --cluster-dir "$CLUSTER" --ovn-nb "$LAB_NB" --ovn-sb "$LAB_SB"
  for n in 1 2 3; do
    node=node$n
    start "$node" "$LAB" x "$node" "$OVN_VIP" speaker --cluster-dir "$CLUSTER" --node "$node" --ovs "unix:$LAB_DIR/$node/db.sock"
  done
  until is_answered "$VIP"; do sleep 0.1; done
  restarts
  moves
}

[ "${1:-}" != --help ] || { help; exit 0; }
main

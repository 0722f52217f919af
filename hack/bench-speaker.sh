#!/usr/bin/env bash
# How long a VIP is away, on the lab's real OVN:
#   - Open vSwitch restarts on the node that answers for it: until the VIP is served again, against a pod's own address on that
#     node, which needs nothing of ours, in the same run;
#   - a planned move: the pods of that node become unready, as in a rollout: requests lost of 100 a second, and the longest gap
#     between two answers.
#   hack/bench-speaker.sh          both
#   hack/bench-speaker.sh churn    what one endpoint's change costs a speaker, at 100 to 20,000 Services, on a node that steers
#                                  all of them and on one that steers none: real database and bridges, an API server of hack/bench
# Needs root and hack/setup.sh. BENCH_RUNS=5 is how often each is done; LAB_ROOT=DIR takes another OVN.
# churn: BENCH_SERVICES="100 1000 5000 20000", BENCH_STEERING="all none", BENCH_CHANGES=1000 at BENCH_RATE=100 a second;
# BENCH_MOVES=1000: so many VIPs move at once; OVN_VIP=FILE is another build.
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

# Flows as OVN's load balancers have them, for ovn-controller is not asked here.
fill_integration() { # SERVICES
  local file=$WORK/flows
  python3 - "$1" >"$file" <<'END'
import ipaddress, sys
net = int(ipaddress.ip_address("10.100.0.0"))
for n in range(int(sys.argv[1])):
    vip, pod = (ipaddress.ip_address(net + at) for at in (256 + n, 32768 + 2 * (n % 16000)))
    print(f"table=9,priority=120,tcp,metadata=0x1,nw_dst={vip},tp_dst=80,actions=ct(commit,table=10,zone=1,nat(dst={pod}:80))")
END
  "$LAB" of node1 del-flows br-int
  "$LAB" of node1 add-flows br-int "$file"
}

churn() {
  local services steering
  [ -n "${OVN_VIP:-}" ] || prepare_program
  WORK=${WORK:-$(mktemp -d)}
  trap clear_up EXIT
  LAB_NODES=1 "$LAB" up >/dev/null
  eval "$("$LAB" env)"
  "$LAB" kill node1 ovn-controller
  title "One endpoint's change on a speaker, ${BENCH_RATE:-100} a second"
  printf 'load %s, %s cores\n\n' "$(cut -d' ' -f1-3 /proc/loadavg)" "$(nproc)"
  printf '| Services | steers | CPU of a change, ms | CPU idle, ms/s | RSS, MiB | between looks, ms p99.9 | longest | ARP ms p50 idle | p50 | p99 idle | p99 |\n'
  printf '|---|---|---|---|---|---|---|---|---|---|---|\n'
  for services in ${BENCH_SERVICES:-100 1000 5000 20000}; do
    fill_integration "$services"
    for steering in ${BENCH_STEERING:-all none}; do
      "$LAB" x node1 python3 hack/bench/churn.py --services "$services" --steering "$steering" --moves "${BENCH_MOVES:-0}" \
        --changes "${BENCH_CHANGES:-1000}" --rate "${BENCH_RATE:-100}" --client "$([ "$steering" = none ] || client_of)" \
        "$OVN_VIP" speaker -- --node node1 --ovs "unix:$LAB_DIR/node1/db.sock"
    done
  done
}

# How to run something in the client's namespace from a node's.
client_of() { printf 'nsenter --net=/run/netns/%sclient' "$LAB_PREFIX"; }

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

case ${1:-} in
  --help) help ;;
  churn) churn ;;
  *) main ;;
esac

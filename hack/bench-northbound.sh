#!/usr/bin/env bash
# What ovn-vip costs OVN's northbound, and what OVN makes of it, on the lab's real OVN; docs/benchmarks.md explains the tables.
#
#   hack/bench-northbound.sh                 all of them
#   hack/bench-northbound.sh changes [N…]    one Service changes among N (100 1000 5000): until the flows are on the nodes
#   hack/bench-northbound.sh first-sync      5000 Services with 10 endpoints each into an empty northbound, and a second start
#   hack/bench-northbound.sh parts           where the controller's own time goes, at 1000 and 5000 Services
#   hack/bench-northbound.sh memory          what the speaker keeps in memory: the example, and 1000 VIPs
#
# Environment: BENCH_RUNS, how often each thing is done; LAB_ROOT, another OVN, such as Kube-OVN's build; LAB_PREFIX (vipb-).
# It needs root, as the lab does, and some minutes.
set -euo pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=hack/bench/lib.sh
. "$HERE/bench/lib.sh"

bench() { # ARGS: the program of benches/northbound, on the lab that is up
  "$BENCH" --nb "$LAB_NB" --sb "$LAB_SB" --program "$OVN_VIP" --work "$WORK" "$@"
}

changes() { # N...
  title "One Service changes among N"
  lab_up 3
  bench --runs "${BENCH_RUNS:-15}" changes "$@"
}

# Nodes would only take part of the machine from what is measured.
first_sync() {
  title "First sync"
  lab_up 0
  bench --runs "${BENCH_RUNS:-3}" first-sync 5000 10 "$LAB_TOOLS/ovn-nbctl"
}

parts() {
  local services
  title "The controller's own time"
  for services in 1000 5000; do
    lab_up 0
    bench --runs "${BENCH_RUNS:-15}" parts "$services" 10
  done
}

speaker() { # FOLDER WHAT: a line of the table
  local pid status
  "$LAB" x node1 "$OVN_VIP" speaker --cluster-dir "$1" --node node1 --ovs "$LAB_NODE1_DB" >"$WORK/speaker.log" 2>&1 &
  pid=$!
  CHILDREN+=("$pid")
  sleep 8
  status=$(<"/proc/$pid/status") || die "the speaker ended: $(tail -3 "$WORK/speaker.log")"
  awk -v what="$2" '/^VmRSS:/ { rss = $2 } /^VmHWM:/ { peak = $2 }
    END { printf "| speaker, %s | %.1f | %.1f |\n", what, rss / 1024, peak / 1024 }' <<<"$status"
  kill "$pid"
  wait "$pid" || true
}

memory() {
  title "Memory of the speaker"
  lab_up 3
  printf '| what | resident, MiB | at most, MiB |\n|---|---|---|\n'
  speaker "$HERE/../examples/underlay" "the example: 2 Services, 2 VIPs"
  bench manifests 1000
  speaker "$WORK/cluster" "1000 Services, 1000 VIPs"
}

main() {
  local verb=${1:-all}
  shift || true
  case $verb in
  changes | first-sync | parts | memory | all) ;;
  *) help; exit 2 ;;
  esac
  prepare
  case $verb in
  changes) if [ $# -gt 0 ]; then changes "$@"; else changes 100 1000 5000; fi ;;
  first-sync) first_sync ;;
  parts | memory) "$verb" ;;
  all)
    changes 100 1000 5000
    first_sync
    parts
    memory
    ;;
  esac
}

main "$@"

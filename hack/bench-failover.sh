#!/usr/bin/env bash
# How long a VIP is nobody's once what announces it is killed: ovn-vip's speaker, MetalLB's and keepalived, one after the other
# on one lab, from the kill to the first gratuitous ARP of another node on a client's wire. Then how long an update takes, with the next
# speaker waiting on the same node; docs/benchmarks.md explains it.
#
#   [METALLB_SPEAKER=FILE METALLB_CRDS=DIR] hack/bench-failover.sh
#
# FILE: MetalLB's speaker, built from its public source (`go build ./speaker`); DIR: its kinds, `config/crd/bases` there; memberlist's
# defaults. keepalived as it is in the PATH: VRRP with advert_int 1 and 0.1. Who is missing is passed over, and that is said.
#
# Environment: BENCH_RUNS (30) of ours, PEER_RUNS (5) of each other; BENCH_WHO ("ours metallb keepalived update"); OVN_VIP=FILE runs that binary; LAB_ROOT and the other settings of
# hack/lab.sh; LAB_PREFIX (bfp-); CHAOS_PORT (24743). It needs root, as the lab does, and what hack/setup.sh installs.
set -euo pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=hack/lab/ovn-tree.sh
. "$HERE/lab/ovn-tree.sh"
cd "$HERE/.."
PATH=$PATH:${CARGO_HOME:-$HOME/.cargo}/bin:/usr/sbin:/sbin

export LAB_PREFIX=${LAB_PREFIX:-bfp-}
unset LAB_DIR LAB_NODES
LAB=hack/lab.sh
CHAOS_PORT=${CHAOS_PORT:-24743}
# shellcheck disable=SC2034 # the stage reads them
VIP4=10.180.204.252 VLAN=0 FAULT=''
# shellcheck source=hack/chaos/stage.sh
. hack/chaos/stage.sh

# ── the wire ────────────────────────────────────────────────────────────────────────────────────────────────────────────

capture() { program capture "$LAB" x client tcpdump -lnne -tt -i eth0 "arp and arp src host $VIP4 and ether broadcast"; }
end_capture() { kill "$(pid_of capture)" 2>/dev/null || true; }
# The MAC that said last that it has the VIP, unasked.
last_mac() { tail -n 1 "$CHAOS_DIR/capture.log" | awk '{ print $2 }'; }
announced_by() { [ "$(last_mac)" = "$1" ]; } # MAC
node_of() { local mac=$1; echo "node${mac##*:0}"; }
is_announced() { grep -q ' > ' "$CHAOS_DIR/capture.log" && [[ $(last_mac) == 02:00:00:00:00:0? ]]; }
# Milliseconds from then to the first word of another.
first_of_another() { # SINCE MAC
  awk -v since="$1" -v mac="$2" '$2 ~ /^02:00:00:00:00:0/ && $1 >= since && $2 != mac { printf "%d\n", ($1 - since) * 1000; exit }' "$CHAOS_DIR/capture.log"
}
another_speaks() { [ -n "$(first_of_another "$1" "$2")" ]; }

numbers() { # NAME: of the file
  sort -n "$CHAOS_DIR/took" | awk -v name="$1" '{ took[NR] = $1 } END { at = int(NR / 2) + 1; if (at > NR) at = NR
    high = int(NR * 0.9) + 1; if (high > NR) high = NR
    printf "| %s | %d | %d | %d | %d |\n", name, NR, took[at], took[high], took[NR] }'
}

rounds() { # NAME RUNS KILL START: KILL and START are given a node
  local run mac node began
  : >"$CHAOS_DIR/took"
  for ((run = 1; run <= $2; run++)); do
    mac=$(last_mac) node=$(node_of "$(last_mac)")
    began=$EPOCHREALTIME
    "$3" "$node"
    await 60 "another announcer" another_speaks "$began" "$mac"
    first_of_another "$began" "$mac" >>"$CHAOS_DIR/took"
    sleep 1
    "$4" "$node"
    sleep "${REST:-4}"
  done
  numbers "$1"
}

# ── ours ────────────────────────────────────────────────────────────────────────────────────────────────────────────────

kill_ours() { end_program "$1" KILL; }

bench_ours() {
  local node
  start_controller
  for node in $LAB_NODES; do start_speaker "$node"; done
  await 60 "ovn-vip's announcement" is_announced
  sleep 4
  rounds "ovn-vip, beats of 100 ms" "${BENCH_RUNS:-30}" kill_ours start_speaker
  for node in $LAB_NODES controller; do end_program "$node"; done
}

# ── MetalLB ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

start_metallb() { # NODE
  program "metallb-$1" "$LAB" x "$1" "$METALLB_SPEAKER" --kubeconfig "$KUBECONFIG_FILE" --namespace metallb-system --node-name "$1" \
    --pod-name "speaker-$1" --ml-bindaddr "$(address_of "$1")" --ml-labels app=metallb
}
kill_metallb() { end_program "metallb-$1" KILL; }
# Of the management network, where gossip goes.
address_of() { "$LAB" x "$1" ip -json -4 address show scope global | jq -r '[.[].addr_info[].local][0]'; }

metallb_pods() { # its speaker looks for its own Pod, and for the others' addresses
  local node
  for node in $LAB_NODES; do
    kube apply --validate=false --filename - <<<"{\"apiVersion\": \"v1\", \"kind\": \"Pod\", \"metadata\": {\"name\": \"speaker-$node\",
      \"namespace\": \"metallb-system\", \"labels\": {\"app\": \"metallb\"}},
      \"spec\": {\"nodeName\": \"$node\", \"containers\": [{\"name\": \"speaker\", \"image\": \"metallb\"}]}}" >/dev/null
    kube patch pod "speaker-$node" --namespace metallb-system --subresource=status --type=merge \
      --patch "{\"status\": {\"podIP\": \"$(address_of "$node")\", \"podIPs\": [{\"ip\": \"$(address_of "$node")\"}]}}" >/dev/null
  done
}

bench_metallb() {
  local node
  if [ -z "${METALLB_SPEAKER:-}" ] || [ -z "${METALLB_CRDS:-}" ]; then
    echo "MetalLB passed over: METALLB_SPEAKER and METALLB_CRDS name its speaker and the folder of its kinds"
    return
  fi
  kube apply --server-side --force-conflicts --filename "$METALLB_CRDS" >/dev/null
  : >"$CHAOS_DIR/capture.log"
  metallb_pods
  for node in $LAB_NODES; do start_metallb "$node"; done
  await 60 "MetalLB's announcement" is_announced
  sleep 8
  REST=12 rounds "MetalLB's speaker, memberlist's defaults" "${PEER_RUNS:-5}" kill_metallb start_metallb
  for node in $LAB_NODES; do end_program "metallb-$node"; done
}

# ── keepalived ──────────────────────────────────────────────────────────────────────────────────────────────────────────

start_keepalived() { # NODE
  local folder=$CHAOS_DIR/keepalived-$1
  mkdir -p "$folder"
  # Less than a second is of VRRP version 3 (RFC 5798).
  printf 'global_defs {\n  vrrp_version 3\n}\nvrrp_instance vip {\n  state BACKUP\n  interface br-provider\n  virtual_router_id 51\n  priority %d\n  advert_int %s\n  virtual_ipaddress { %s/32 }\n}\n' \
    "$((100 + ${1#node}))" "$ADVERT" "$VIP4" >"$folder/keepalived.conf"
  program "keepalived-$1" "$LAB" x "$1" keepalived --dont-fork --log-console --use-file "$folder/keepalived.conf" --pid "$folder/pid" --vrrp_pid "$folder/vrrp.pid"
}

kill_keepalived() { # NODE: both of its processes, at once
  local folder=$CHAOS_DIR/keepalived-$1
  kill -KILL "$(cat "$folder/pid")" "$(cat "$folder/vrrp.pid")"
  "$LAB" x "$1" ip address del "$VIP4/32" dev br-provider 2>/dev/null || true # a dead host answers nobody
}

bench_keepalived() {
  local node
  if ! command -v keepalived >/dev/null; then
    echo "keepalived passed over: it is not installed"
    return
  fi
  for ADVERT in 1 0.1; do
    : >"$CHAOS_DIR/capture.log"
    for node in $LAB_NODES; do start_keepalived "$node"; done
    await 60 "keepalived's announcement" is_announced
    sleep 5
    rounds "keepalived, advert_int $ADVERT" "${PEER_RUNS:-5}" kill_keepalived start_keepalived
    for node in $LAB_NODES; do
      kill "$(cat "$CHAOS_DIR/keepalived-$node/pid")"
      "$LAB" x "$node" ip address del "$VIP4/32" dev br-provider 2>/dev/null || true
    done
    sleep 3
  done
}

bench_update() { # told to end → the next one, which waits beside it, announces
  cargo test --quiet --features lab --test lab -- --ignored --nocapture --test-threads=1 beats::numbers_of_an_update | grep -o 'speaker .*→.*'
}

main() {
  local who
  [ "$(id -u)" = 0 ] || die "the lab's network namespaces need root: run it as root"
  build
  trap 'end_capture; end_stage' EXIT
  end_stage
  mkdir -p "$CLUSTER"
  cp examples/underlay/*.yaml "$CLUSTER"
  "$LAB" up "$VLAN" >&2
  eval "$("$LAB" env)"
  start_kubernetes
  fill_cluster
  capture
  printf 'load %s, %s processors, %s\n' "$(cut -d' ' -f1-3 /proc/loadavg)" "$(nproc)" "$("$OVN_VIP" --version)"
  printf '| killed → the first gratuitous ARP of another node, ms | runs | p50 | p90 | most |\n|---|---|---|---|---|\n'
  for who in ${BENCH_WHO:-ours metallb keepalived update}; do "bench_$who"; done
  printf 'load %s at the end\n' "$(cut -d' ' -f1-3 /proc/loadavg)"
}

main "$@"

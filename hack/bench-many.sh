#!/usr/bin/env bash
# A node that announces 1,000 VIPs dies: how long until another has announced each, by a client's wire; and what the speakers of such a
# cluster cost while nothing happens. docs/benchmarks.md has numbers.
#
#   hack/bench-many.sh [VIPS]     1000
#
# Environment: OVN_VIP, the program (target/release/ovn-vip); BENCH_RUNS (5); LAB_ROOT, another OVN; LAB_PREFIX (vipm-). It needs root, as
# the lab does.
set -euo pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
VIPS=${1:-1000} RUNS=${BENCH_RUNS:-5}
OVN_VIP=${OVN_VIP:-$HERE/../target/release/ovn-vip}
export LAB_PREFIX=${LAB_PREFIX:-vipm-}
[ -x "$OVN_VIP" ] || { echo "no $OVN_VIP: cargo build --release" >&2; exit 1; }

WORK=$(mktemp -d)
declare -A SPEAKER=()
CAPTURE=
# shellcheck disable=SC2317 # called by the trap
leave() {
  kill ${SPEAKER[@]+"${SPEAKER[@]}"} $CAPTURE 2>/dev/null || true
  "$HERE/lab.sh" down
  rm -rf "$WORK"
}
trap leave EXIT
"$HERE/lab.sh" up
eval "$("$HERE/lab.sh" env)"

mkdir "$WORK/cluster"
cp "$HERE/../examples/underlay"/0[125]-*.yaml "$WORK/cluster/"
# A subnet with room for them; the switch does not care.
sed -i 's|10.180.204.0/24|10.180.192.0/18|; s|^  excludeIps:|  excludeIps:\n  - 10.180.208.0..10.180.223.255|' "$WORK/cluster/01-subnet.yaml"
for ((i = 0; i < VIPS; i++)); do
  printf -- '---\napiVersion: v1\nkind: Service\nmetadata: {name: s%d, namespace: default}\nspec: {type: LoadBalancer, ports: [{name: http, protocol: TCP, port: 80}]}\n' "$i"
  printf 'status: {loadBalancer: {ingress: [{ip: 10.180.%d.%d}]}}\n' $((208 + i / 200)) $((i % 200 + 1))
  printf -- '---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: s%d, namespace: default, labels: {kubernetes.io/service-name: s%d}}\n' "$i" "$i"
  printf 'addressType: IPv4\nports: [{name: http, protocol: TCP, port: 80}]\nendpoints:\n'
  printf -- '- {addresses: [10.180.204.111], nodeName: node1, conditions: {ready: true}}\n- {addresses: [10.180.204.121], nodeName: node2, conditions: {ready: true}}\n'
done >"$WORK/cluster/10-services.yaml"
"$OVN_VIP" controller --once --timeout 120 --cluster-dir "$WORK/cluster" --ovn-nb "$LAB_NB" --ovn-sb "$LAB_SB" >"$WORK/once.log" 2>&1 ||
  { tail -5 "$WORK/once.log" >&2; exit 1; }
"$LAB_TOOLS/ovn-nbctl" --timeout=300 --db="$LAB_NB" --no-leader-only --wait=hv sync

nsenter --net="/run/netns/${LAB_PREFIX}client" tcpdump -lnne -tt -B 8192 -i eth0 \
  'ether proto 0x88b5 or (arp and ether broadcast and src net 10.180.208.0/20)' >"$WORK/wire" 2>/dev/null &
CAPTURE=$!

start() { # NODE
  local database=LAB_${1^^}_DB
  nsenter --net="/run/netns/${LAB_PREFIX}$1" "$OVN_VIP" speaker --node "$1" --cluster-dir "$WORK/cluster" --http 127.0.0.1:10686 \
    --ovs "${!database}" >>"$WORK/$1.log" 2>&1 &
  SPEAKER[$1]=$!
}
answered() { nsenter --net="/run/netns/${LAB_PREFIX}$1" curl -sS http://127.0.0.1:10686/metrics 2>/dev/null | awk '$1 == "ovn_vip_vips_announced" { print $2 }'; }
await_all() { # NODE: has all
  local began=$SECONDS
  until [ "$(answered "$1")" = "$VIPS" ]; do
    [ $((SECONDS - began)) -lt 60 ] || { echo "$1 announces $(answered "$1") of $VIPS" >&2; exit 1; }
    sleep 0.2
  done
}
ticks() { awk '{ print $14 + $15 }' "/proc/$1/stat"; }

start node1
await_all node1
start node2
sleep 10

printf 'load %s, %s processors, %s\n' "$(cut -d' ' -f1-3 /proc/loadavg)" "$(nproc)" "$("$OVN_VIP" --version)"
began=$EPOCHREALTIME
declare -A before=()
for node in "${!SPEAKER[@]}"; do before[$node]=$(ticks "${SPEAKER[$node]}"); done
sleep 10
printf '| %s VIPs, nothing happens | CPU, %% of one | RSS, MiB | beats a second |\n|---|---|---|---|\n' "$VIPS"
for node in node1 node2; do
  pid=${SPEAKER[$node]}
  beats=$(awk -v since="$began" -v mac="02:00:00:00:00:0${node#node}" '$1 >= since && $2 == mac && /0x88b5/ { n++ } END { printf "%.1f", n / 10 }' "$WORK/wire")
  printf '| %s | %s | %s | %s |\n' "$node" "$(awk -v ticks=$(($(ticks "$pid") - before[$node])) 'BEGIN { printf "%.1f", ticks / 10 }')" \
    "$(awk '/^VmRSS/ { printf "%.1f", $2 / 1024 }' "/proc/$pid/status")" "$beats"
done

printf '| killed → | first announced, ms | half of them | the last, ms | of %s |\n|---|---|---|---|---|\n' "$VIPS"
from=node1 to=node2
for ((run = 1; run <= RUNS; run++)); do
  began=$EPOCHREALTIME
  kill -KILL "${SPEAKER[$from]}"
  wait "${SPEAKER[$from]}" 2>/dev/null || true
  await_all "$to"
  sleep 1
  awk -v since="$began" -v mac="02:00:00:00:00:0${to#node}" -v run="$run" '
    $1 >= since && $2 == mac && !/0x88b5/ { vip = ""; if (match($0, /10\.180\.2[0-9]+\.[0-9]+/)) vip = substr($0, RSTART, RLENGTH); if (vip != "" && !(vip in seen)) { seen[vip] = 1; at[++n] = ($1 - since) * 1000 } }
    END { printf "| %d | %d | %d | %d | %d |\n", run, at[1], at[int((n + 1) / 2)], at[n], n }' "$WORK/wire"
  start "$from"
  sleep 8
  swap=$from from=$to to=$swap
done
printf 'load %s at the end\n' "$(cut -d' ' -f1-3 /proc/loadavg)"

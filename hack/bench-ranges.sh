#!/usr/bin/env bash
# What source ranges cost: 1,000 VIPs with 20 ranges each, on the lab's real OVN; docs/benchmarks.md explains the table.
#
#   hack/bench-ranges.sh [VIPS [RANGES]]     1000 20
#
# Environment: OVN_VIP, the program (target/release/ovn-vip); LAB_ROOT, another OVN; LAB_PREFIX (vipr-). It needs root, as the lab does.
set -euo pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
VIPS=${1:-1000} RANGES=${2:-20}
OVN_VIP=${OVN_VIP:-$HERE/../target/release/ovn-vip}
export LAB_PREFIX=${LAB_PREFIX:-vipr-}
[ -x "$OVN_VIP" ] || { echo "no $OVN_VIP: cargo build --release" >&2; exit 1; }

WORK=$(mktemp -d)
SPEAKER=
trap '[ -z "$SPEAKER" ] || kill "$SPEAKER"; "$HERE/lab.sh" down; rm -rf "$WORK"' EXIT
"$HERE/lab.sh" up
eval "$("$HERE/lab.sh" env)"

mkdir "$WORK/cluster"
cp "$HERE/../examples/underlay"/0[125]-*.yaml "$WORK/cluster/"
# A subnet with room for them; the switch does not care.
sed -i 's|10.180.204.0/24|10.180.192.0/18|; s|^  excludeIps:|  excludeIps:\n  - 10.180.208.0..10.180.223.255|' "$WORK/cluster/01-subnet.yaml"

services() { # whether with ranges: VIPS Services with one backend on node1, as YAML
  python3 - "$VIPS" "$RANGES" "$1" <<'PY'
import sys
vips, ranges, closed = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3] == "with"
for i in range(vips):
    vip = f"10.180.{208 + i // 200}.{i % 200 + 1}"
    nets = ["10.180.192.0/18"] + [f"198.{18 + i % 2}.{(i + 3 * j) % 250}.{16 * (j % 16)}/28" for j in range(ranges - 1)]
    spec = "  loadBalancerSourceRanges: [" + ", ".join(nets) + "]\n" if closed else ""
    print(f"""---
apiVersion: v1
kind: Service
metadata: {{name: s{i}, namespace: default}}
spec:
  type: LoadBalancer
{spec}  ports: [{{name: http, protocol: TCP, port: 80}}]
status: {{loadBalancer: {{ingress: [{{ip: {vip}}}]}}}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: s{i}, namespace: default, labels: {{kubernetes.io/service-name: s{i}}}}}
addressType: IPv4
ports: [{{name: http, protocol: TCP, port: 80}}]
endpoints: [{{addresses: [10.180.204.111], nodeName: node1, conditions: {{ready: true}}}}]""")
PY
}

now() { date +%s%3N; }
flows() { "$HERE/lab.sh" of node1 dump-aggregate "$1" | grep -o 'flow_count=[0-9]*' | cut -d= -f2; }

printf '%-10s %14s %14s %12s %14s %14s\n' ranges 'written ms' 'on nodes ms' 'ACL rows' 'br-int flows' 'bridge rules'
for how in without with; do
  services "$how" >"$WORK/services.yaml"
  mv "$WORK/services.yaml" "$WORK/cluster/10-services.yaml"
  began=$(now)
  "$OVN_VIP" controller --once --timeout 120 --cluster-dir "$WORK/cluster" --ovn-nb "$LAB_NB" --ovn-sb "$LAB_SB" >"$WORK/once.log" 2>&1 ||
    { tail -5 "$WORK/once.log" >&2; exit 1; }
  written=$(now)
  "$LAB_TOOLS/ovn-nbctl" --timeout=300 --db="$LAB_NB" --no-leader-only --wait=hv sync
  done=$(now)
  nsenter --net="/run/netns/${LAB_PREFIX}node1" "$OVN_VIP" speaker --node node1 --cluster-dir "$WORK/cluster" --http 127.0.0.1:10686 \
    --ovs "$LAB_NODE1_DB" >"$WORK/speaker.log" 2>&1 &
  SPEAKER=$!
  for _ in {1..600}; do
    if grep -q 'rules installed' "$WORK/speaker.log"; then break; fi
    sleep 0.1
  done
  acls=$("$LAB_TOOLS/ovn-nbctl" --db="$LAB_NB" --no-leader-only --bare --columns=_uuid list ACL | grep -c . || true)
  printf '%-10s %14s %14s %12s %14s %14s\n' "$how" "$((written - began))" "$((done - written))" "$acls" "$(flows br-int)" "$(flows br-provider)"
  kill "$SPEAKER"
  wait "$SPEAKER" || true
  SPEAKER=
done

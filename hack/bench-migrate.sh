#!/usr/bin/env bash
# From MetalLB's real speaker to ovn-vip's, step 5 of docs/migrate.md, watched by a client: what is lost, and how long nobody answers ARP.
#
#   METALLB_SPEAKER=FILE METALLB_CRDS=DIR hack/bench-migrate.sh
#
# FILE: MetalLB's speaker, built from its public source (`go build ./speaker`); DIR: its kinds, `config/crd/bases` there. Without
# them nothing is measured, and that is said. A lab with an API server, as hack/chaos.sh has it: MetalLB's speakers announce and
# ovn-vip stands back; then the L2Advertisement is deleted, or MetalLB's speakers end and their ServiceL2Statuses are deleted, as the
# garbage collection does; and back again. Each way is gone MIGRATE_ROUNDS (3) times, watched for 10 s: fifty requests and ten ARP questions a second.
#
# Environment: OVN_VIP=FILE runs that binary; LAB_ROOT and the other settings of hack/lab.sh; LAB_PREFIX (mig-); CHAOS_PORT (24643).
set -euo pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=hack/lab/ovn-tree.sh
. "$HERE/lab/ovn-tree.sh"
cd "$HERE/.."
PATH=$PATH:${CARGO_HOME:-$HOME/.cargo}/bin:/usr/sbin:/sbin

export LAB_PREFIX=${LAB_PREFIX:-mig-}
unset LAB_DIR LAB_NODES
LAB=hack/lab.sh
CHAOS_PORT=${CHAOS_PORT:-24643}
ROUNDS=${MIGRATE_ROUNDS:-3}
# shellcheck disable=SC2034 # the stage reads them
VIP4=10.180.204.252 VLAN=0 FAULT=''
# shellcheck source=hack/chaos/stage.sh
. hack/chaos/stage.sh

start_metallb() { # NODE
  program "metallb-$1" "$LAB" x "$1" "$METALLB_SPEAKER" --kubeconfig "$KUBECONFIG_FILE" --namespace metallb-system --node-name "$1" \
    --pod-name "speaker-$1"
}

metallb_pods() { # its speaker looks for its own Pod
  local node
  for node in $LAB_NODES; do
    kube apply --validate=false --filename - <<<"{\"apiVersion\": \"v1\", \"kind\": \"Pod\", \"metadata\": {\"name\": \"speaker-$node\", \"namespace\": \"metallb-system\"},
      \"spec\": {\"nodeName\": \"$node\", \"containers\": [{\"name\": \"speaker\", \"image\": \"metallb\"}]}}" >/dev/null
  done
}

statuses() { kube get servicel2statuses --all-namespaces --output json | jq -r '.items[] | "\(.metadata.namespace) \(.metadata.name) \(.status.node)"'; }
others_announce() { statuses | grep -q '^metallb-system '; }
we_announce() { statuses | grep -q '^ovn-vip ' && ! others_announce; }

advertise() { kube apply --filename "$CHAOS_DIR/advertisement.yaml" >/dev/null; }
unadvertise() { kube delete l2advertisement underlay --namespace metallb-system >/dev/null; }

metallb_away() { # its DaemonSet gone; what the Pods own is collected
  local node
  for node in $LAB_NODES; do end_program "metallb-$node"; done
  kube delete servicel2statuses --all --namespace metallb-system >/dev/null
}
metallb_back() { local node; for node in $LAB_NODES; do start_metallb "$node"; done; }

one_way() { # NAME COMMAND UNTIL BACK UNTIL: goes it and comes back, and prints its row
  local began results round
  results=$CHAOS_DIR/results
  : >"$results"
  for ((round = 1; round <= ROUNDS; round++)); do
    await 60 "the VIP" is_healthy
    sleep 2
    began=$EPOCHREALTIME
    "$2"
    await 200 "$1" "$3"
    sleep 6
    python3 hack/chaos/report.py "$CHAOS_DIR/watch" "$began" "$EPOCHREALTIME" >>"$results"
    "$4"
    await 200 "the way back" "$5"
  done
  awk -v name="$1" '{ lost += $2; asked += $3; if ($5 > silent) silent = $5; if ($4 > hosts) hosts = $4; macs = $6 }
    END { printf "| %s | %d of %d | %d | %d | %s |\n", name, lost, asked, silent, hosts, macs }' "$results"
}

main() {
  local node
  if [ -z "${METALLB_SPEAKER:-}" ] || [ -z "${METALLB_CRDS:-}" ]; then
    echo "passed over: METALLB_SPEAKER and METALLB_CRDS name MetalLB's speaker and the folder of its kinds"
    return
  fi
  [ "$(id -u)" = 0 ] || die "the lab's network namespaces need root: run it as root"
  build
  trap end_stage EXIT
  end_stage
  mkdir -p "$CLUSTER"
  cp examples/underlay/*.yaml "$CLUSTER"
  "$LAB" up "$VLAN" >&2
  eval "$("$LAB" env)"
  start_kubernetes
  fill_cluster
  kube apply --server-side --force-conflicts --filename "$METALLB_CRDS" >/dev/null
  sed -n '/kind: L2Advertisement/,$p' examples/underlay/05-metallb.yaml | sed '1i apiVersion: metallb.io/v1beta1' >"$CHAOS_DIR/advertisement.yaml"
  metallb_pods
  metallb_back
  await 200 "MetalLB's ServiceL2Status" others_announce
  start_controller
  for node in $LAB_NODES; do start_speaker "$node"; done
  program watch "$LAB" x client python3 hack/chaos/watch.py "$VIP4" "$CHAOS_DIR/watch"
  await 60 "the VIP" is_healthy
  printf 'load %s, %s processors, %s\n' "$(cut -d' ' -f1-3 /proc/loadavg)" "$(nproc)" "$("$OVN_VIP" --version)"
  printf '| step | requests lost | longest time without an answer to ARP, ms | hosts that answered one question, at most | MACs |\n|---|---|---|---|---|\n'
  one_way "L2Advertisement deleted, MetalLB's speaker goes on" unadvertise we_announce advertise others_announce
  one_way "MetalLB's speakers end, their ServiceL2Statuses are collected" metallb_away we_announce metallb_back others_announce
}

main "$@"

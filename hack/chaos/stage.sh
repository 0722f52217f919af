# Sourced by hack/chaos.sh: a lab with an API server, a controller, three speakers and a watch on it. Uses LAB, VIP4, VLAN.
# shellcheck shell=bash

CHAOS_DIR=/run/ovn-vip-chaos/${LAB_PREFIX%-}
CLUSTER=$CHAOS_DIR/cluster

build() {
  command -v kubectl >/dev/null || die "no kubectl: install it (https://kubernetes.io/docs/tasks/tools)"
  [ -z "${OVN_VIP:-}" ] || return 0
  command -v cargo >/dev/null || die "no cargo: install Rust with rustup (https://rustup.rs), or set OVN_VIP to a built binary"
  say "building…"
  cargo build --locked --quiet || die "the build failed: see cargo's message above"
  OVN_VIP=${CARGO_TARGET_DIR:-$PWD/target}/debug/ovn-vip
}

program() { # NAME COMMAND...: in the background; NAME.log and NAME.pid are its traces
  # From a shell of its own: a fault may kill it, and this one need not tell.
  (
    setsid "${@:2}" </dev/null >>"$CHAOS_DIR/$1.log" 2>&1 &
    printf '%s\n' "$!" >"$CHAOS_DIR/$1.pid"
  )
}

pid_of() { cat "$CHAOS_DIR/$1.pid"; } # NAME

end_program() { # NAME [SIGNAL]: ours is one that was given our folder, or its API server's address
  local pid
  pid=$(pid_of "$1" 2>/dev/null) || return 0
  if grep -qsF -e "$CHAOS_DIR" -e "127.0.0.1:$API_PORT" "/proc/$pid/cmdline"; then
    kill "-${2:-TERM}" "$pid"
    while [ -e "/proc/$pid" ] && ! grep -qs '^State:.Z' "/proc/$pid/status"; do sleep 0.02; done
  fi
  rm -f "$CHAOS_DIR/$1.pid"
}

# ── the API server ──────────────────────────────────────────────────────────────────────────────────────────────────────

API_PORT=${CHAOS_PORT:-24443}
KUBECONFIG_FILE=$CHAOS_DIR/kubeconfig

kube() { kubectl --kubeconfig "$KUBECONFIG_FILE" "$@"; }

start_etcd() {
  local etcd=http://127.0.0.1:$((API_PORT + 1)) peers=http://127.0.0.1:0
  program etcd "$KUBE_PROGRAMS/etcd" --listen-client-urls "$etcd" --advertise-client-urls "$etcd" --listen-peer-urls "$peers" \
    --initial-advertise-peer-urls "$peers" --initial-cluster "default=$peers" --unsafe-no-fsync --log-level warn --data-dir "$CHAOS_DIR/etcd"
}

start_apiserver() {
  program apiserver "$KUBE_PROGRAMS/kube-apiserver" --etcd-servers="http://127.0.0.1:$((API_PORT + 1))" --cert-dir="$CHAOS_DIR/certificates" \
    --bind-address=127.0.0.1 --advertise-address=127.0.0.1 --secure-port="$API_PORT" --endpoint-reconciler-type=none --authorization-mode=RBAC \
    --service-cluster-ip-range=10.96.0.0/16,fd00:96::/108 --token-auth-file="$CHAOS_DIR/tokens.csv" \
    --service-account-issuer=https://kubernetes.default.svc --service-account-signing-key-file="$CHAOS_DIR/sa.key" \
    --service-account-key-file="$CHAOS_DIR/sa.key" --disable-admission-plugins=ServiceAccount --shutdown-delay-duration=0s
}

await_apiserver() { await 60 "the API server" kube get namespace kube-system; }

start_kubernetes() {
  KUBE_PROGRAMS=$(hack/kube-programs.sh)
  openssl ecparam -genkey -noout -name prime256v1 -out "$CHAOS_DIR/sa.key"
  printf 'admin,admin,admin,system:masters\n' >"$CHAOS_DIR/tokens.csv"
  start_etcd
  start_apiserver
  jq -n --arg server "https://127.0.0.1:$API_PORT" --arg authority "$CHAOS_DIR/certificates/apiserver.crt" '{
    apiVersion: "v1", kind: "Config", "current-context": "chaos", users: [{name: "chaos", user: {token: "admin"}}],
    contexts: [{name: "chaos", context: {cluster: "chaos", user: "chaos"}}],
    clusters: [{name: "chaos", cluster: {server: $server, "certificate-authority": $authority}}]}' >"$KUBECONFIG_FILE"
  await_apiserver
  carry_connections
}

carry_connections() { # from the nodes' namespaces to the API server, which is on loopback
  local node api=tcp:127.0.0.1:$API_PORT socket=unix:$CHAOS_DIR/api.sock
  program carrier python3 hack/lab/forward.py "$socket" "$api"
  for node in $LAB_NODES; do program "carrier-$node" "$LAB" x "$node" python3 hack/lab/forward.py "$api" "$socket"; done
}

await() { # SECONDS WHAT COMMAND...
  local began=$SECONDS
  until "${@:3}" >/dev/null 2>&1; do
    [ $((SECONDS - began)) -lt "$1" ] || die "$2 is not there after $1 s: see $CHAOS_DIR"
    sleep 0.2
  done
}

put() { # FILE…: the objects, with their status
  local object kind name
  cat "$@" | kube create --dry-run=client --validate=false --output json --filename - | jq --compact-output '.items[]? // .' |
    while read -r object; do
      kube apply --validate=false --filename - <<<"$object" >/dev/null 2>&1
      jq --exit-status .status <<<"$object" >/dev/null || continue
      kind=$(jq -r .kind <<<"$object") name=$(jq -r .metadata.name <<<"$object")
      kube patch "$kind" "$name" --namespace "$(jq -r '.metadata.namespace // "default"' <<<"$object")" --subresource=status \
        --type=merge --patch "$(jq --compact-output '{status}' <<<"$object")" >/dev/null
    done
}

set_ready() { # NODE true|false: its pods, in every slice
  local slice slices
  slices=$(kube get endpointslices --namespace default --output json)
  for slice in $(jq -r '.items[].metadata.name' <<<"$slices"); do
    kube patch endpointslice "$slice" --namespace default --type=merge --patch "$(jq --compact-output --arg slice "$slice" --arg node "$1" \
      --argjson ready "$2" '{endpoints: (.items[] | select(.metadata.name == $slice) | .endpoints
        | map(if .nodeName == $node then .conditions = {ready: $ready} else . end))}' <<<"$slices")" >/dev/null
  done
}

add_backend() { # ADDRESS NODE: a third pod of the web server
  kube patch endpointslice nginx-v4 --namespace default --type=json --patch "[{\"op\": \"add\", \"path\": \"/endpoints/-\",
    \"value\": {\"addresses\": [\"$1\"], \"nodeName\": \"$2\", \"conditions\": {\"ready\": true}}}]" >/dev/null
}

fill_cluster() {
  local file
  kube apply --filename tests/kube/crds >/dev/null
  kube wait --for=condition=Established --timeout=30s crd --all >/dev/null
  kube create namespace metallb-system >/dev/null
  kube apply --filename deploy/rbac.yaml >/dev/null 2>&1
  for file in "$CLUSTER"/*.yaml; do
    cat "$file"
    printf '\n---\n'
  done >"$CHAOS_DIR/all.yaml"
  put "$CHAOS_DIR/all.yaml"
}

# ── ours ────────────────────────────────────────────────────────────────────────────────────────────────────────────────

start_controller() {
  program controller "$OVN_VIP" controller --kubeconfig "$KUBECONFIG_FILE" --lease-namespace=kube-system --ovn-nb "$LAB_NB" --ovn-sb "$LAB_SB"
}

start_speaker() { # NODE
  program "$1" "$LAB" x "$1" "$OVN_VIP" speaker --kubeconfig "$KUBECONFIG_FILE" --node "$1" --ovs "unix:$LAB_DIR/$1/db.sock"
}

start_stage() {
  local node
  end_stage
  mkdir -p "$CLUSTER"
  if [ "$VLAN" = 0 ]; then cp examples/underlay/*.yaml "$CLUSTER"; else cp examples/underlay-vlan341/*.yaml "$CLUSTER"; fi
  "$LAB" up "$VLAN"
  eval "$("$LAB" env)"
  start_kubernetes
  fill_cluster
  start_controller
  for node in $LAB_NODES; do start_speaker "$node"; done
  program watch "$LAB" x client python3 hack/chaos/watch.py "$VIP4" "$CHAOS_DIR/watch"
}

end_stage() {
  local file
  [ -d "$CHAOS_DIR" ] || return 0
  for file in "$CHAOS_DIR"/*.pid; do
    [ -e "$file" ] || continue
    file=${file##*/}
    # One that the fault paused does not end before it goes on.
    kill -CONT "$(pid_of "${file%.pid}")" 2>/dev/null || true
    end_program "${file%.pid}" KILL
  done
  "$LAB" down
  if [ -n "${CHAOS_KEEP:-}" ] && [ -n "${FAULT:-}" ]; then
    rm -rf "$CHAOS_DIR-last"
    cp -r "$CHAOS_DIR" "$CHAOS_DIR-last"
  fi
  rm -rf "$CHAOS_DIR"
  rmdir /run/ovn-vip-chaos 2>/dev/null || true
}

recent() { tail -n "$1" "$CHAOS_DIR/watch" 2>/dev/null; } # LINES of the watch

is_healthy() { # every request of the last second was answered, and one host answers ARP
  local last
  last=$(recent 70)
  [ "$(grep -c '"ok": true' <<<"$last")" -ge 45 ] && ! grep -q '"ok": false' <<<"$last" && [ -n "$(holder)" ]
}

explained() { # what explain says of the web server's VIP: "served", or "✗ STEP: WORDS"; a line
  "$OVN_VIP" explain default/nginx --output json --kubeconfig "$KUBECONFIG_FILE" --ovn-nb "$LAB_NB" --ovn-sb "$LAB_SB" \
    >"$CHAOS_DIR/explained" 2>"$CHAOS_DIR/explain.log" || true
  jq --raw-output --arg vip "$VIP4" '.explained[] | select(.vip == $vip)
    | (.steps | map(select(.mark == "wrong")) | first) as $wrong | if $wrong then "✗ \($wrong.step): \($wrong.wrongs[0].is)" else .verdict end' \
    "$CHAOS_DIR/explained" 2>/dev/null | tr '\n|' '  ' | sed 's/ *$//' | grep . || printf 'no answer: %s\n' "$(tail -n 1 "$CHAOS_DIR/explain.log")"
}

is_dark() { # no request of the last second was answered
  local last
  last=$(recent 50)
  grep -q '"ok": false' <<<"$last" && ! grep -q '"ok": true' <<<"$last"
}

becomes_healthy() { # SECONDS
  local began=$SECONDS
  until is_healthy; do
    [ $((SECONDS - began)) -lt "$1" ] || return 1
    sleep 0.1
  done
}

await_health() {
  becomes_healthy 40 && return
  tail -vn 5 "$CHAOS_DIR"/*.log >&2
  die "the VIP is not served: $FAULT"
}

holder() { # -> the node that answered ARP last
  local mac
  mac=$(recent 300 | sed -n 's/.*"mac": "02:00:00:00:00:0\(.\)".*/\1/p' | tail -n 1)
  [ -z "$mac" ] || printf 'node%s\n' "$mac"
}

other_than() { if [ "$1" = node1 ]; then echo node2; else echo node1; fi; } # NODE: the other one that has a backend

#!/usr/bin/env bash
# The lab: a real OVN underlay subnet in network namespaces, as Kube-OVN sets one up, with MetalLB-like VIPs in mind.
# Pictured in docs/lab.md. It needs root and the kernel's veth, tun and bridge; `hack/setup.sh` installs the rest.
#
#   hack/lab.sh up [VLAN]            bring it up, untagged or on that VLAN; a running one is taken down first
#   hack/lab.sh down                 take it down; nothing is left
#   hack/lab.sh status               which OVN and OVS run, and which processes
#   hack/lab.sh env                  the paths and addresses, as shell variables
#   hack/lab.sh nb|sb ARGS           ovn-nbctl, ovn-sbctl
#   hack/lab.sh vs NODE ARGS         ovs-vsctl             (NODE: node1 node2 node3, or sw, the physical switch)
#   hack/lab.sh of NODE ARGS         ovs-ofctl, e.g. of node1 dump-flows br-provider
#   hack/lab.sh app NODE [DAEMON] ARGS   ovs-appctl; DAEMON: vswitchd (default), ovn-controller; for central: northd, nb, sb
#   hack/lab.sh x NS CMD             run CMD in a namespace: client gw far sw central node1… p11 p12 p21 p31
#   hack/lab.sh move POD NODE        plug a pod into another node; returns when OVN has followed
#   hack/lab.sh cut|mend NODE        take the node's underlay link down, or up again
#   hack/lab.sh restart-vswitchd NODE    as an upgrade of Open vSwitch would
#   hack/lab.sh restart-controller NODE  ovn-controller
#   hack/lab.sh kill|start|pause|resume NODE DAEMON
#                                    DAEMON: vswitchd, ovn-controller or ovsdb of a node; nb, sb or northd of central
#   hack/lab.sh tool NAME ARGS       a program of the OVN tree to use, e.g. tool ovsdb-server …; needs no running lab
#   hack/lab.sh tree [old]           the path of that tree, or of one that is too old for ovn-vip (OVN 23.03, central only)
#
# Environment: LAB_PREFIX (vip-) names the namespaces, so several labs can run side by side; LAB_DIR (/run/ovn-vip-lab/…)
# keeps the state; LAB_NODES (3; 0: central only); LAB_ROOT runs another OVN/OVS tree; LAB_NO_ACCESS_PORT=1 leaves out the
# node's own port on the VLAN; LAB_KUBE_OVN=0|1 says whether the OVN is Kube-OVN's build, where the lab should not look;
# LAB_OVS_USER (nobody, as Kube-OVN since 1.13; root: as before it, or a distribution's service) runs the nodes' daemons;
# LAB_EXCHANGE_LINK_NAME=1 lets bridge and NIC change names, as Kube-OVN's exchangeLinkName does; LAB_NETWORKS=1|same adds
# the networks of hack/lab/networks.sh.
set -euo pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=hack/lab/ovn-tree.sh
. "$HERE/lab/ovn-tree.sh"
# shellcheck source=hack/lab/networks.sh
. "$HERE/lab/networks.sh"

PREFIX=${LAB_PREFIX:-vip-}
# Namespaces are the machine's, not a checkout's, so the state lies beside them; unix socket paths must stay short, too.
LAB_DIR=${LAB_DIR:-/run/ovn-vip-lab/${PREFIX%-}}
TOOLS=$LAB_DIR/tools

SUBNET=underlay-subnet
PROVIDER=provider
BRIDGE=br-$PROVIDER
NIC=underlay0
NET4=10.180.204
NET6=fd00:180:204:
PODS=(p11 p12 p21 p31) # pNM: pod M, at first on node N, with the address .1NM
NAMESPACES=(central sw client client2 client3 gw far node1 node2 node3 "${PODS[@]}" "${MORE_PODS[@]}")

# ── small helpers ───────────────────────────────────────────────────────────────────────────────────────────────────────

in_ns() { # NS COMMAND...: for what needs no /sys of its own; quicker than `ip netns exec`
  local ns=$1
  shift
  nsenter --net="/run/netns/$PREFIX$ns" "$@"
}

need_lab() { [ -f "$LAB_DIR/vlan" ] || die "no lab is up in $LAB_DIR: hack/lab.sh up"; }
need_root() { [ "$(id -u)" = 0 ] || die "network namespaces need root: run it as root"; }

need_kernel() {
  [ -c /dev/net/tun ] || die "no /dev/net/tun: 'modprobe tun', or start the container with --device /dev/net/tun"
  unshare --net true || die "may not make network namespaces: start the container privileged"
}

# The state folder is the lock. `up` and whatever it started in the background hold it, the daemons do not: so `down` waits for
# all of an `up`, even of one that was killed. Whoever waited may hold a folder that is gone by then, and turns to the new one.
lock() {
  until [ "$LAB_DIR" -ef /proc/self/fd/9 ]; do
    mkdir -p "$LAB_DIR"
    exec 9<"$LAB_DIR"
    flock --timeout 60 9 || die "another 'up' or 'down' of $LAB_DIR does not finish"
  done
}

nodes() { cat "$LAB_DIR/nodes"; }
pods() { cat "$LAB_DIR/pods"; }
vlan() { cat "$LAB_DIR/vlan"; }
exchanged_names() { if [ -f "$LAB_DIR/exchange-link-name" ]; then BRIDGE=underlay0 NIC=br-$PROVIDER; fi; }
is_tagged() { [ "$(vlan)" != 0 ]; }

need_one_of() { # NAME LIST: a word of it
  [[ " $(xargs <<<"$2") " == *" $1 "* ]] || die "'$1' is none of: $(xargs <<<"$2")"
}

nb() { "$TOOLS/ovn-nbctl" --timeout=30 --db="unix:$LAB_DIR/central/nb.sock" --no-leader-only "$@"; }
sb() { "$TOOLS/ovn-sbctl" --timeout=30 --db="unix:$LAB_DIR/central/sb.sock" --no-leader-only "$@"; }
vs() { "$TOOLS/ovs-vsctl" --timeout=30 --db="unix:$LAB_DIR/$1/db.sock" "${@:2}"; }
of() { OVS_RUNDIR=$LAB_DIR/$1 "$TOOLS/ovs-ofctl" -O OpenFlow15 "${@:2}"; }

app() { # NODE [DAEMON] ARGS
  local node=$1 daemon=vswitchd
  shift
  case ${1:-} in vswitchd | ovn-controller | ovsdb | northd | nb | sb)
    daemon=$1
    shift
    ;;
  esac
  "$TOOLS/ovs-appctl" --timeout=30 -t "$LAB_DIR/$node/$daemon.ctl" "$@"
}

# ── daemons ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

daemon() { # NS NAME PROGRAM ARGS...: returns when it serves; its socket, pid file and log are $LAB_DIR/NS/NAME.*
  local ns=$1 base=$LAB_DIR/$1/$2 program=$3 user=() control=("--unixctl=$LAB_DIR/$1/$2.ctl")
  shift 3
  [ "$program" != ovn-controller ] || [ ! -f "$LAB_DIR/old-controller" ] || control=()
  [[ $ns != node* ]] || as_ovs_user "$ns"
  OVS_RUNDIR=$LAB_DIR/$ns OVN_RUNDIR=$LAB_DIR/$ns in_ns "$ns" "${OPEN_TUN[@]}" "$TOOLS/$program" -vconsole:off -vsyslog:off "${user[@]}" "$@" \
    "${control[@]}" --pidfile="$base.pid" --log-file="$base.log" --detach --no-chdir 9<&-
  [ ${#control[@]} -gt 0 ] || ln -sf "$(basename "$base").$(<"$base.pid").ctl" "$base.ctl"
}

# A host's /dev/net/tun may be root's alone: the daemons see one of their own, that everybody may open. /run allows no device.
# shellcheck disable=SC2016 # sh expands it
OPEN_TUN=(unshare --mount sh -ec 'mount -t tmpfs -o mode=755 tun /dev/net; mknod -m 666 /dev/net/tun c 10 200; exec "$@"' sh)

# Kube-OVN's pods run a node's daemons as nobody, with file capabilities, and own the host's folders. The daemons' own --user
# comes to the same: their sockets are nobody's (mode 0700), and ovs-vswitchd keeps NET_ADMIN and NET_RAW for tap and packet sockets.
as_ovs_user() { # NODE: sets the array `user` of the caller
  local name
  name=$(<"$LAB_DIR/ovs-user")
  [ "$name" != root ] || return 0
  user=("--user=$name:")
  chown -R "$name:" "$LAB_DIR/$1"
}

database() { # NS NAME SCHEMA [REMOTE]
  "$TOOLS/ovsdb-tool" create "$LAB_DIR/$1/$2.db" "$3"
  serve_database "$1" "$2" ${4:+"$4"}
}

serve_database() { # NS NAME [REMOTE]
  local base=$LAB_DIR/$1/$2 socket=$LAB_DIR/$1/$2.sock
  [ "$2" != ovsdb ] || socket=$LAB_DIR/$1/db.sock
  daemon "$1" "$2" ovsdb-server "$base.db" --remote="punix:$socket" ${3:+--remote="$3"}
}

# A pid file may outlive its process, and the pid be a stranger's by now; and a killed `up` leaves daemons whose pid file was
# not written yet. So candidates come from both, and the lab's are those that were told to keep their pid file in its folder.
our_pids() {
  local ns pid
  {
    cat "$LAB_DIR"/*/*.pid || true
    for ns in "${NAMESPACES[@]}"; do ip netns pids "$PREFIX$ns" || true; done
  } 2>/dev/null | sort -u | while read -r pid; do
    if tr '\0' ' ' 2>/dev/null <"/proc/$pid/cmdline" | grep -qF -e " --pidfile=$LAB_DIR/"; then printf '%s\n' "$pid"; fi
  done
}

kill_ours() { # nothing of theirs is worth keeping, so they are not asked
  local pids _
  for _ in {1..250}; do
    pids=$(our_pids)
    [ -n "$pids" ] || return 0
    # shellcheck disable=SC2086 # a list
    kill -KILL $pids 2>/dev/null || true
    sleep 0.02
  done
  die "of the lab's processes these do not die:" "$pids"
}

# ── the wires ───────────────────────────────────────────────────────────────────────────────────────────────────────────

wire() { # NS1 IF1 MAC1 NS2 IF2 MAC2: a line for ip -batch; both ends are born in their namespaces
  printf 'link add %s address %s netns %s type veth peer name %s address %s netns %s\n' \
    "$2" "$3" "$PREFIX$1" "$5" "$6" "$PREFIX$4"
}

wires() {
  local n pod node
  wire sw client 02:00:00:00:0a:01 client eth0 02:00:00:00:02:64
  wire sw gw 02:00:00:00:0a:02 gw eth0 02:00:00:00:02:01
  wire gw far 02:00:00:00:0a:03 far eth0 02:00:00:00:02:0a
  for node in $(nodes); do
    n=${node#node}
    wire central "$node" "02:00:00:00:0b:0$n" "$node" mgmt0 "02:00:00:00:0c:0$n"
    wire sw "$node" "02:00:00:00:0d:0$n" "$node" "$NIC" "02:00:00:00:00:0$n"
  done
  for pod in $(pods); do wire "node${pod:1:1}" "$pod" "02:00:00:0e:$(octet_of "$pod"):${pod:1}" "$pod" eth0 "$(pod_mac "$pod")"; done
  more_wires
}

# Userspace Open vSwitch reads frames as they lie in the veth: with checksums left to a NIC that is not there, all would be bad.
plain_frames() { # NS IF...
  # shellcheck disable=SC2016 # sh expands it
  in_ns "$1" sh -c 'for dev; do ethtool -K "$dev" tx off tso off gso off gro off >/dev/null || exit; done' sh "${@:2}"
}

addresses() { # NS DEVICE HOST: its subnet's addresses with that last number
  local net4 net6
  read -r net4 net6 <<<"$(prefixes "$1")"
  printf 'addr replace %s.%s/24 dev %s\naddr replace %s:%s/64 dev %s nodad\n' "$net4" "$3" "$2" "$net6" "$3" "$2" |
    ip -n "$PREFIX$1" -batch -
}

end_system() { # NS HOST: client or pod, with its default route through its subnet's gateway
  local net4 net6
  read -r net4 net6 <<<"$(prefixes "$1")"
  addresses "$1" eth0 "$2"
  printf 'route add default via %s.1\nroute add default via %s:1\n' "$net4" "$net6" | ip -n "$PREFIX$1" -batch -
}

gateway() {
  addresses gw eth0 1
  ip -n "${PREFIX}gw" -batch - <<<$'addr add 192.0.2.1/24 dev far\naddr add fd00:2::1/64 dev far nodad'
  in_ns gw sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward; echo 1 >/proc/sys/net/ipv6/conf/all/forwarding'
  ip -n "${PREFIX}far" -batch - <<<$'addr add 192.0.2.10/24 dev eth0\naddr add fd00:2::10/64 dev eth0 nodad
    route add default via 192.0.2.1\nroute add default via fd00:2::1'
}

make_namespaces() {
  local ns
  printf "netns add $PREFIX%s\n" "$@" | ip -batch -
  mkdir -p "${@/#/$LAB_DIR/}"
  # Duplicate address detection would keep link-local addresses from speaking for their first second or two.
  for ns; do in_ns "$ns" sh -c 'echo 0 >/proc/sys/net/ipv6/conf/all/accept_dad; echo 0 >/proc/sys/net/ipv6/conf/default/accept_dad'; done
}

raise_links() { # NS...: every link in them up, and veths with plain frames
  local ns links
  for ns; do
    mapfile -t links < <(ip -n "$PREFIX$ns" -brief link show type veth | sed 's/[@ ].*//')
    printf 'link set %s up\n' lo "${links[@]}" | ip -n "$PREFIX$ns" -batch -
    plain_frames "$ns" "${links[@]}"
  done
}

# ── the parts ───────────────────────────────────────────────────────────────────────────────────────────────────────────

central_databases() {
  database central nb "$(schema_in_tree "$1" ovn-nb)" 'ptcp:6641:[::]' &
  database central sb "$(schema_in_tree "$1" ovn-sb)" 'ptcp:6642:[::]' &
  await_all
}

northd() { daemon central northd ovn-northd --ovnnb-db="unix:$LAB_DIR/central/nb.sock" --ovnsb-db="unix:$LAB_DIR/central/sb.sock"; }

management_lan() { # where OVN's southbound and the tunnels run
  local node
  {
    printf 'link add br0 type bridge\nlink set br0 up\naddr add 172.30.0.1/24 dev br0\n'
    for node in $(nodes); do printf 'link set %s master br0\n' "$node"; done
  } | ip -n "${PREFIX}central" -batch -
}

switch_daemons() { # NS VSCTL-COMMAND...: Open vSwitch in that namespace, configured
  database "$1" ovsdb "$(<"$LAB_DIR/vswitch-schema")"
  vs "$1" --no-wait init -- set Open_vSwitch . external_ids:system-id="$1" external_ids:hostname="$1" other_config:vlan-limit=0
  vswitchd "$1"
  vs "$@" # returns when ovs-vswitchd has done it
}

vswitchd() { daemon "$1" vswitchd ovs-vswitchd "unix:$LAB_DIR/$1/db.sock"; }
ovn_controller() { daemon "$1" ovn-controller ovn-controller "unix:$LAB_DIR/$1/db.sock"; }

bridge() { # NAME SETTING...: commands for ovs-vsctl, a line each
  printf '%s\n' -- add-br "$1" -- set bridge "$1" datapath_type=netdev "${@:2}"
}

physical_switch() { # clients on access ports, nodes on trunks
  local tag=() config node
  is_tagged && tag=("tag=$(vlan)")
  mapfile -t config < <(bridge br-sw)
  config+=(-- add-port br-sw client "${tag[@]}" -- add-port br-sw gw "${tag[@]}")
  for node in $(nodes); do config+=(-- add-port br-sw "$node"); done
  mapfile -t -O ${#config[@]} config < <(more_switch_ports)
  switch_daemons sw "${config[@]:1}"
}

node_bridges() { # NODE: what Kube-OVN's daemon makes of a node with a ProviderNetwork, as ovs-vsctl commands, a line each
  local mac=02:00:00:00:00:0${1#node} trunks=0
  is_tagged && trunks=0,$(vlan)
  ! has_networks || trunks+=,$TRUNK_VLAN
  bridge br-phy
  printf '%s\n' -- add-port br-phy mgmt0
  bridge "$BRIDGE" external_ids:vendor=kube-ovn "other_config:hwaddr=\"$mac\""
  printf '%s\n' -- add-port "$BRIDGE" "$NIC" "trunks=$trunks" -- set port "$NIC" external_ids:vendor=kube-ovn
  if has_access_port; then
    printf '%s\n' -- add-port "$BRIDGE" "$(node_device)" "tag=$(vlan)" \
      -- set interface "$(node_device)" type=internal "mac=\"$mac\"" \
      -- set port "$(node_device)" external_ids:vendor=kube-ovn "external_ids:provider-vlan-interface=$(node_device)"
  fi
  more_node_bridges "$1"
  bridge br-int fail_mode=secure other_config:disable-in-band=true
}

has_access_port() { is_tagged && [ ! -f "$LAB_DIR/no-access-port" ]; }

# Where a node's own stack meets the subnet. There is no 8021q here: an internal port carries the tag, as Kube-OVN's
# preserved VLAN interfaces do.
node_device() { if is_tagged; then printf '%s.%s\n' "$NIC" "$(vlan)"; else printf '%s\n' "$BRIDGE"; fi; }

node_chassis() { # NODE: what makes it a chassis, as ovs-vsctl commands, a line each
  local n=${1#node} bridges=$PROVIDER:$BRIDGE macs
  macs=$PROVIDER:02:00:00:00:01:0$n
  ! has_networks || bridges+=,$SECOND:br-$SECOND macs+=,$SECOND:02:00:00:00:11:0$n
  printf '%s\n' -- set Open_vSwitch . external_ids:ovn-remote=tcp:172.30.0.1:6642 external_ids:ovn-encap-type=geneve \
    "external_ids:ovn-encap-ip=172.30.0.1$n" external_ids:ovn-bridge-datapath-type=netdev \
    "external_ids:ovn-bridge-mappings=\"$bridges\"" "external_ids:ovn-chassis-mac-mappings=\"$macs\""
  if [ -f "$LAB_DIR/kube-ovn" ]; then printf '%s\n' external_ids:ovn-match-northd-version=true; fi
}

# Again after a restart of ovs-vswitchd: in userspace the bridges' ports are its tap devices, which it leaves down behind it.
node_addresses() { # NODE
  local n=${1#node} device=$BRIDGE
  printf 'addr replace 172.30.0.1%s/24 dev br-phy\nlink set br-phy up\nlink set %s up\n' "$n" "$BRIDGE" | ip -n "$PREFIX$1" -batch -
  ! has_networks || ip -n "$PREFIX$1" link set "br-$SECOND" up
  if has_access_port; then
    device=$(node_device)
    ip -n "$PREFIX$1" link set "$device" up
  fi
  if has_access_port || ! is_tagged; then addresses "$1" "$device" "1$n"; fi
}

node() { # NODE
  local config pod
  mapfile -t config < <(node_bridges "$1" && node_chassis "$1")
  for pod in $(pods); do
    if [ "node${pod:1:1}" = "$1" ]; then config+=(-- add-port br-int "$pod" -- set interface "$pod" "external_ids:iface-id=$pod.default"); fi
  done
  switch_daemons "$1" "${config[@]:1}"
  node_addresses "$1"
  ovn_controller "$1"
}

pod_server() { # POD
  in_ns "$1" python3 "$HERE/lab/podserver.py" "$1" --pidfile="$LAB_DIR/$1/server.pid" 9<&-
}

pod() { # POD
  end_system "$1" "1${1:1}"
  pod_server "$1"
}

# ── the logical network ─────────────────────────────────────────────────────────────────────────────────────────────────

pod_mac() { printf '0a:00:00:00:%s:%s\n' "$(octet_of "$1")" "${1:1}"; }

pod_addresses() { # POD
  local net4 net6
  read -r net4 net6 <<<"$(prefixes "$1")"
  printf '%s %s.1%s %s:1%s\n' "$(pod_mac "$1")" "$net4" "${1:1}" "$net6" "${1:1}"
}

logical_network() {
  local localnet=localnet.$SUBNET pod config=()
  config=(ls-add "$SUBNET" -- lsp-add "$SUBNET" "$localnet" -- lsp-set-type "$localnet" localnet
    -- lsp-set-addresses "$localnet" unknown -- lsp-set-options "$localnet" "network_name=$PROVIDER")
  is_tagged && config+=(-- set Logical_Switch_Port "$localnet" "tag_request=$(vlan)" "tag=$(vlan)")
  for pod in "${PODS[@]}"; do
    config+=(-- lsp-add "$SUBNET" "$pod.default" -- lsp-set-addresses "$pod.default" "$(pod_addresses "$pod")")
  done
  [ ! -f "$LAB_DIR/kube-ovn" ] || config+=("${KUBE_OVN_SETTINGS[@]}")
  mapfile -t -O ${#config[@]} config < <(more_subnets)
  nb init -- "${config[@]}"
}

# What Kube-OVN sets, and only its own OVN understands.
KUBE_OVN_SETTINGS=(
  -- set NB_Global . options:ls_dnat_mod_dl_dst=true options:ls_ct_skip_dst_lport_ips=false options:use_ct_inv_match=false
  options:use_logical_dp_groups=true
  -- set Logical_Switch "$SUBNET" external_ids:vendor=kube-ovn
  -- set Logical_Switch_Port "localnet.$SUBNET" external_ids:vendor=kube-ovn "external_ids:ls=$SUBNET"
  "external_ids:ipv4_network=$NET4.0/24" "external_ids:ipv6_network=\"$NET6:/64\""
)
for pod in "${PODS[@]}"; do
  KUBE_OVN_SETTINGS+=(-- set Logical_Switch_Port "$pod.default" external_ids:vendor=kube-ovn "external_ids:ls=$SUBNET"
    "external_ids:pod=default/$pod")
done

# Up is what ovn-controller reports once a port's flows are in; only then does --wait=hv cover every node, too.
await_ovn() {
  local pod config=()
  if [ -z "$(nodes)" ]; then
    nb --wait=sb sync
    return
  fi
  for pod in $(pods); do config+=(-- wait-until Logical_Switch_Port "$pod.default" up=true); done
  nb "${config[@]:1}"
  nb --wait=hv sync
}

# ── verbs ───────────────────────────────────────────────────────────────────────────────────────────────────────────────

await_all() { # every background job, and their failures
  local job failed=0
  for job in $(jobs -p); do wait "$job" || failed=1; done
  return "$failed"
}

note_choices() { # VLAN TREE: what later calls must know
  local n
  touch "$LAB_DIR/.lab"
  [ "${LAB_NETWORKS:-0}" = 0 ] || printf '%s\n' "$LAB_NETWORKS" >"$LAB_DIR/networks"
  [ "${LAB_EXCHANGE_LINK_NAME:-0}" = 0 ] || touch "$LAB_DIR/exchange-link-name"
  exchanged_names
  : >"$LAB_DIR/nodes"
  : >"$LAB_DIR/pods"
  for ((n = 1; n <= ${LAB_NODES:-3}; n++)); do
    printf 'node%s\n' "$n" >>"$LAB_DIR/nodes"
    { printf '%s\n' "${PODS[@]}" && more_pods; } | grep "^.$n" >>"$LAB_DIR/pods"
  done
  printf '%s\n' "$2" >"$LAB_DIR/tree"
  [ "${LAB_NO_ACCESS_PORT:-0}" = 0 ] || touch "$LAB_DIR/no-access-port"
  printf '%s\n' "${LAB_OVS_USER:-nobody}" >"$LAB_DIR/ovs-user"
  case ${LAB_KUBE_OVN:-} in
  0) ;;
  1) touch "$LAB_DIR/kube-ovn" ;;
  *) if is_kube_ovn_build "$2"; then touch "$LAB_DIR/kube-ovn"; fi ;;
  esac
  printf '%s\n' "$1" >"$LAB_DIR/vlan"
}

up() { # [VLAN]
  local vlan=${1:-0} tree
  [[ $vlan =~ ^[0-9]{1,4}$ && $vlan -lt 4095 ]] || die "'$vlan' is no VLAN: 1 to 4094, or nothing"
  need_one_of "${LAB_NODES:-3}" "0 1 2 3"
  need_one_of "${LAB_NETWORKS:-0}" "0 1 same"
  id "${LAB_OVS_USER:-nobody}" >/dev/null || die "LAB_OVS_USER: there is no such user"
  [ ${#LAB_DIR} -le 70 ] || die "LAB_DIR is too long for unix sockets in it (over 70 characters): $LAB_DIR"
  need_kernel
  tree=$(pick_tree)
  lock
  clear_up
  trap 'say "up failed; the logs are in $LAB_DIR, and hack/lab.sh down clears up"' EXIT
  note_choices "$vlan" "$tree"
  mkdir "$TOOLS"
  write_tools "$tree" "$TOOLS"
  # OVN 24.03's has no --unixctl: its socket's name holds its pid.
  "$TOOLS/ovn-controller" --help 2>/dev/null | grep -q -e --unixctl || touch "$LAB_DIR/old-controller"
  if [ -z "$(nodes)" ]; then up_central "$tree"; else up_all "$tree"; fi
  await_ovn
  trap - EXIT
}

up_central() { # TREE
  make_namespaces central
  raise_links central
  central_databases "$1"
  northd
  logical_network
}

up_all() { # TREE
  local every ns
  mapfile -t every < <(printf '%s\n' central sw client gw far && more_namespaces && nodes && pods)
  schema_in_tree "$1" vswitch >"$LAB_DIR/vswitch-schema"
  make_namespaces "${every[@]}"
  wires | ip -batch -
  raise_links "${every[@]}"
  management_lan
  central_databases "$1"
  northd
  logical_network
  physical_switch &
  for ns in $(nodes); do node "$ns" & done
  for ns in $(pods); do pod "$ns" & done
  end_system client 100
  more_clients
  gateway
  await_all
}

down() {
  lock
  clear_up
  rm -rf "$LAB_DIR"
  rmdir /run/ovn-vip-lab 2>/dev/null || true
}

clear_up() {
  local ns
  [ -f "$LAB_DIR/.lab" ] || [ -z "$(ls -A "$LAB_DIR")" ] || die "$LAB_DIR is no lab's folder: set LAB_DIR to another"
  kill_ours
  for ns in "${NAMESPACES[@]}"; do
    [ -e "/run/netns/$PREFIX$ns" ] || continue
    warn_of_guests "$ns"
    ip netns del "$PREFIX$ns"
  done
  rm -rf "${LAB_DIR:?}"/* # but not its mark, .lab
}

warn_of_guests() { # NS: a process that somebody started in it keeps the nameless namespace alive
  local pids
  pids=$(ip netns pids "$PREFIX$1" | tr '\n' ' ')
  [ -z "$pids" ] || say "still running in $1, and not the lab's: $pids"
}

status() {
  local file pid tree
  tree=$(<"$LAB_DIR/tree")
  printf 'tree   %s: OVN %s' "$tree" "$(version_in_tree "$tree" ovn-northd)"
  [ -z "$(nodes)" ] || printf ', Open vSwitch %s' "$(version_in_tree "$tree" ovs-vswitchd)"
  [ ! -f "$LAB_DIR/kube-ovn" ] || printf ", Kube-OVN's build"
  printf '\nvlan   %s\nstate  %s, namespaces %s…\n' "$(vlan)" "$LAB_DIR" "$PREFIX"
  for file in "$LAB_DIR"/*/*.pid; do
    [ -f "$file" ] || continue
    pid=$(<"$file")
    file=${file#"$LAB_DIR/"}
    printf '%-24s %s\n' "${file%.pid}" "$(ps -o pid=,rss=,etime= -p "$pid" 2>/dev/null || echo DEAD)"
  done
}

lab_env() {
  local node
  printf 'LAB_PREFIX=%q\nLAB_DIR=%q\nLAB_TREE=%q\nLAB_TOOLS=%q\n' "$PREFIX" "$LAB_DIR" "$(<"$LAB_DIR/tree")" "$TOOLS"
  printf 'LAB_BRIDGE=%q\nLAB_NIC=%q\n' "$BRIDGE" "$NIC"
  printf 'LAB_VLAN=%q\nLAB_NODES=%q\nLAB_PODS=%q\n' "$(vlan)" "$(nodes | xargs)" "$(pods | xargs)"
  printf 'LAB_NB=unix:%q\nLAB_SB=unix:%q\n' "$LAB_DIR/central/nb.sock" "$LAB_DIR/central/sb.sock"
  for node in $(nodes); do printf 'LAB_%s_DB=unix:%q\n' "${node^^}" "$LAB_DIR/$node/db.sock"; done
}

move() { # POD NODE: the same wire, plugged in elsewhere
  local pod=$1 to=$2 from
  need_one_of "$pod" "$(pods)"
  need_one_of "$to" "$(nodes)"
  from=$(node_of "$pod")
  [ "$from" != "$to" ] || return 0
  vs "$from" del-port br-int "$pod"
  ip -n "$PREFIX$from" link set "$pod" netns "$PREFIX$to"
  ip -n "$PREFIX$to" link set "$pod" up
  plain_frames "$to" "$pod"
  vs "$to" add-port br-int "$pod" -- set interface "$pod" "external_ids:iface-id=$pod.default"
  await_move "$pod" "$to"
}

node_of() { # POD
  local node
  for node in $(nodes); do
    if [ -n "$(ip -n "$PREFIX$node" -brief link show "$1" 2>/dev/null)" ]; then
      printf '%s\n' "$node"
      return
    fi
  done
  die "$1 is plugged in nowhere"
}

await_move() { # POD NODE
  local chassis
  chassis=$(sb --bare --columns=_uuid find Chassis "name=$2")
  sb wait-until Port_Binding "$1.default" "chassis=$chassis" up=true
  nb --wait=hv sync
}

link_of() { # NODE up|down: at the switch's end, so that the node sees its carrier go
  need_one_of "$1" "$(nodes)"
  ip -n "${PREFIX}sw" link set "$1" "$2"
}

restart() { # NODE vswitchd|ovn-controller
  need_one_of "$1" "$(nodes)"
  app "$1" "$2" exit
  while [ -e "$LAB_DIR/$1/$2.pid" ]; do sleep 0.01; done
  start "$@"
  nb --wait=hv sync
}

start() { # NODE DAEMON: one that does not run; its database is as it was
  case $2 in
  vswitchd)
    vswitchd "$1"
    vs "$1" set Open_vSwitch . external_ids:restarted="$(date +%s%N)" # returns when the bridges are back
    node_addresses "$1"
    ;;
  ovn-controller) ovn_controller "$1" ;;
  northd) northd ;;
  ovsdb) serve_database "$1" ovsdb ;;
  nb) serve_database central nb 'ptcp:6641:[::]' ;;
  sb) serve_database central sb 'ptcp:6642:[::]' ;;
  esac
}

signal() { # SIGNAL NODE DAEMON: returns when it has taken effect
  local pid
  need_one_of "$3" "vswitchd ovn-controller ovsdb northd nb sb"
  pid=$(<"$LAB_DIR/$2/$3.pid")
  kill "-$1" "$pid"
  [ "$1" = KILL ] || return 0
  while [ -e "/proc/$pid" ]; do sleep 0.01; done
}

tool() { # NAME ARGS
  local tree
  tree=$(pick_tree)
  tree_command "$tree" "$1"
  exec "${COMMAND[@]}" "${@:2}"
}

tree() {
  case ${1:-new} in
  new) pick_tree ;;
  old)
    make_old_tree
    printf '%s/bookworm\n' "$(cache_dir)"
    ;;
  *) die "tree [old]" ;;
  esac
}

help() { sed -n '2,/^set -/{/^set -/!s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}"; }

close_foreign_descriptors() { # a caller's lock, say, would live on in the daemons; 255 is bash's own, of this script
  local fd
  for fd in /proc/self/fd/*; do
    fd=${fd##*/}
    [ "$fd" -le 2 ] || [ "$fd" = 255 ] || eval "exec $fd>&-"
  done
}

main() {
  local verb=${1:-help}
  shift || true
  close_foreign_descriptors
  case $verb in
  help | -h | --help) help ;;
  tool | tree) "$verb" "$@" ;;
  *) with_root "$verb" "$@" ;;
  esac
}

with_root() { # VERB ARGS
  local verb=$1
  shift
  need_root
  case $verb in up | down) ;; *) need_lab ;; esac
  exchanged_names
  case $verb in
  up | down | nb | sb | vs | of | app | status | move) "$verb" "$@" ;;
  env) lab_env ;;
  x) exec ip netns exec "$PREFIX${1:?which namespace?}" "${@:2}" ;;
  cut) link_of "$1" down ;;
  mend) link_of "$1" up ;;
  restart-vswitchd) restart "$1" vswitchd ;;
  restart-controller) restart "$1" ovn-controller ;;
  start) start "$@" ;;
  kill) signal KILL "$@" ;;
  pause) signal STOP "$@" ;;
  resume) signal CONT "$@" ;;
  *) die "there is no verb '$verb': hack/lab.sh help" ;;
  esac
}

main "$@"

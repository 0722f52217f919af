# Sourced by hack/lab.sh: the further networks of LAB_NETWORKS, beside the first one.
#
#   subnet          provider   its bridge, and NIC              VLAN  addresses                    pod            client
#   vlan342-subnet  provider   the first one's                  342   10.180.205, fd00:180:205:    s11 on node1   client2
#   second-subnet   second     br-second, underlay1 (on node2:  none  10.180.206, fd00:180:206:    t21 on node2   client3
#                              underlay2)
#
# LAB_NETWORKS=same gives vlan342-subnet the addresses of the first subnet. Neither has a gateway, nor a node's own port.
# shellcheck shell=bash

TRUNK_VLAN=342
SWITCH_VLAN=900 # keeps the second network apart within the physical switch, untagged on the wires
SECOND=second
MORE_PODS=(s11 t21)

has_networks() { [ -f "$LAB_DIR/networks" ]; }

more_pods() { if has_networks; then printf '%s\n' "${MORE_PODS[@]}"; fi; }

second_nic() { if [ "$1" = node2 ]; then echo underlay2; else echo underlay1; fi; } # NODE

subnet_of() { # POD
  case $1 in
  s*) echo vlan342-subnet ;;
  t*) echo "$SECOND-subnet" ;;
  *) echo "$SUBNET" ;;
  esac
}

octet_of() { # POD: what tells its subnet's MAC addresses from others
  case $1 in s*) echo 05 ;; t*) echo 06 ;; *) echo 00 ;; esac
}

prefixes() { # NS: the first part of its IPv4 address, and of its IPv6 address
  case $1 in
  s[0-9]* | client2) [ "$(<"$LAB_DIR/networks")" = same ] || { echo 10.180.205 fd00:180:205: && return; } ;;
  t[0-9]* | client3) echo 10.180.206 fd00:180:206: && return ;;
  esac
  echo "$NET4" "$NET6"
}

more_namespaces() { if has_networks; then printf '%s\n' client2 client3; fi; }

more_wires() {
  local node n
  has_networks || return 0
  wire sw client2 02:00:00:00:0a:04 client2 eth0 02:00:00:00:05:64
  wire sw client3 02:00:00:00:0a:05 client3 eth0 02:00:00:00:06:64
  for node in $(nodes); do
    n=${node#node}
    wire sw "$node-2" "02:00:00:00:1d:0$n" "$node" "$(second_nic "$node")" "02:00:00:00:10:0$n"
  done
}

more_clients() {
  has_networks || return 0
  end_system client2 100
  end_system client3 100
}

# The functions below print commands for ovs-vsctl and ovn-nbctl, a word a line.

more_switch_ports() {
  local node
  has_networks || return 0
  printf '%s\n' -- add-port br-sw client2 "tag=$TRUNK_VLAN" -- add-port br-sw client3 "tag=$SWITCH_VLAN"
  for node in $(nodes); do printf '%s\n' -- add-port br-sw "$node-2" "tag=$SWITCH_VLAN"; done
}

more_node_bridges() { # NODE
  local nic
  has_networks || return 0
  nic=$(second_nic "$1")
  bridge "br-$SECOND" external_ids:vendor=kube-ovn "other_config:hwaddr=\"02:00:00:00:10:0${1#node}\""
  printf '%s\n' -- add-port "br-$SECOND" "$nic" trunks=0 -- set port "$nic" external_ids:vendor=kube-ovn
}

more_subnets() {
  has_networks || return 0
  one_more_subnet vlan342-subnet "$PROVIDER" s11 "tag_request=$TRUNK_VLAN" "tag=$TRUNK_VLAN"
  one_more_subnet "$SECOND-subnet" "$SECOND" t21
}

one_more_subnet() { # SUBNET PROVIDER POD SETTING...: of the localnet port
  local localnet=localnet.$1
  printf '%s\n' -- ls-add "$1" -- lsp-add "$1" "$localnet" -- lsp-set-type "$localnet" localnet \
    -- lsp-set-addresses "$localnet" unknown -- lsp-set-options "$localnet" "network_name=$2"
  [ $# -eq 3 ] || printf '%s\n' -- set Logical_Switch_Port "$localnet" "${@:4}"
  printf '%s\n' -- lsp-add "$1" "$3.default" -- lsp-set-addresses "$3.default" "$(pod_addresses "$3")"
  if [ -f "$LAB_DIR/kube-ovn" ]; then
    printf '%s\n' -- set Logical_Switch "$1" external_ids:vendor=kube-ovn \
      -- set Logical_Switch_Port "$localnet" external_ids:vendor=kube-ovn "external_ids:ls=$1" \
      -- set Logical_Switch_Port "$3.default" external_ids:vendor=kube-ovn "external_ids:ls=$1" "external_ids:pod=default/$3"
  fi
}

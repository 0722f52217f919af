#!/usr/bin/env bash
# A VIP on an underlay subnet, from nothing: a real OVN in network namespaces, ovn-vip on it, and clients that ask.
#
#   hack/demo.sh [VLAN]          untagged, or on that VLAN (1 to 4094); as root: it makes network namespaces
#   hack/demo.sh --keep [VLAN]   leaves everything running, and says how to look around
#   hack/demo.sh --end           ends what --keep left
#
# Installs what is missing (hack/setup.sh demo) and builds; after that it takes under 30 seconds. It leaves with 1 if a request
# failed that should not have. Nothing stays behind, also after Ctrl-C.
#
# Environment: LAB_PREFIX (demo-) names the namespaces; NO_COLOR=1; OVN_VIP=FILE runs that binary and builds none.
set -euo pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=hack/lab/ovn-tree.sh
. "$HERE/lab/ovn-tree.sh"
cd "$HERE/.."
PATH=$PATH:${CARGO_HOME:-$HOME/.cargo}/bin:/usr/sbin:/sbin

export LAB_PREFIX=${LAB_PREFIX:-demo-}
unset LAB_DIR LAB_NODES LAB_NO_ACCESS_PORT
LAB=hack/lab.sh
DEMO_DIR=/run/ovn-vip-demo/${LAB_PREFIX%-}
CLUSTER=$DEMO_DIR/cluster

VIP4=10.180.204.252
VIP6=fd00:180:204::252
RULES=cookie=0x6f766e2d76697000/0xffffffffffffff00 # ours, and nobody else's
declare -A ADDRESS=([client4]=10.180.204.100 [client6]=fd00:180:204::100 [far4]=192.0.2.10 [far6]=fd00:2::10)
CALLERS=(client4 client6 far4 far6)

BOLD='' DIM='' GREEN='' RED='' PLAIN=''
if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then BOLD=$'\e[1m' DIM=$'\e[2m' GREEN=$'\e[32m' RED=$'\e[31m' PLAIN=$'\e[0m'; fi

KEEP=
VLAN=0
FAILED=0

# ── saying ──────────────────────────────────────────────────────────────────────────────────────────────────────────────

act() { printf '\n%s━━ %s%s\n%s\n%s\n\n' "$BOLD" "$1" "$PLAIN" "$2" "$3"; } # TITLE WHAT-HAPPENS WHAT-TO-SEE
shown() { printf '%s$ %s%s\n' "$DIM" "$1" "$PLAIN"; }
good() { printf '%s✓%s %s\n' "$GREEN" "$PLAIN" "$*"; }
bad() {
  printf '%s✗ %s%s\n' "$RED" "$*" "$PLAIN"
  FAILED=1
}

milliseconds() { printf '%s\n' "$((${EPOCHREALTIME/./} / 1000))"; }
vip_of() { if [[ $1 == *4 ]]; then printf '%s\n' "$VIP4"; else printf '%s\n' "$VIP6"; fi; } # CALLER
in_url() { if [[ $1 == *:* ]]; then printf '[%s]\n' "$1"; else printf '%s\n' "$1"; fi; }
node_of_mac() { printf 'node%s\n' "$((16#${1##*:}))"; } # the lab numbers its nodes' MACs

# ── what is run ─────────────────────────────────────────────────────────────────────────────────────────────────────────

build() {
  local quiet=()
  [ -z "${OVN_VIP:-}" ] || return 0
  command -v cargo >/dev/null || die "no cargo: install Rust with rustup (https://rustup.rs)"
  [ -t 2 ] || quiet=(--quiet)
  say "building… (the first time a few minutes)"
  retry 4 cargo fetch --locked --quiet || die "could not fetch the crates: is there a network?"
  cargo build --locked "${quiet[@]}" || die "the build failed: see cargo's message above"
  OVN_VIP=${CARGO_TARGET_DIR:-$PWD/target}/debug/ovn-vip
}

prepare() { # OVN is fetched while cargo builds: the one waits for the network, the other for the processors
  "$HERE/setup.sh" packages
  "$HERE/setup.sh" demo &
  tree=$!
  trap 'kill "$tree" 2>/dev/null || true' EXIT
  build
  trap - EXIT
  wait "$tree" || die "could not fetch OVN: see the message above"
}

program() { # NAME COMMAND...: in the background, out of reach of this terminal's Ctrl-C; NAME.log and NAME.pid are its traces
  setsid "${@:2}" </dev/null >"$DEMO_DIR/$1.log" 2>&1 &
  printf '%s\n' "$!" >"$DEMO_DIR/$1.pid"
}

# A pid may be a stranger's by now: ours are those that were given our cluster.
end_programs() {
  local file pid
  for file in "$DEMO_DIR"/*.pid; do
    pid=$(cat "$file" 2>/dev/null) || continue
    if grep -qsF -e "$CLUSTER" -e "$VIP4" "/proc/$pid/cmdline"; then kill "$pid" 2>/dev/null || true; fi
  done
}

end() {
  end_programs
  "$LAB" down
  rm -rf "$DEMO_DIR"
  rmdir /run/ovn-vip-demo 2>/dev/null || true
}

start() {
  mkdir -p "$CLUSTER"
  if [ "$VLAN" = 0 ]; then
    cp examples/underlay/* "$CLUSTER"
  else
    cp examples/underlay-vlan341/* "$CLUSTER"
    sed -i "s/id: 341$/id: $VLAN/" "$CLUSTER/01-subnet.yaml"
  fi
  "$LAB" up "$VLAN"
  eval "$("$LAB" env)"
  program controller "$OVN_VIP" controller --cluster-dir "$CLUSTER" --ovn-nb "$LAB_NB" --ovn-sb "$LAB_SB"
  local node
  for node in $LAB_NODES; do
    program "$node" "$LAB" x "$node" "$OVN_VIP" speaker --cluster-dir "$CLUSTER" --node "$node" --ovs "unix:$LAB_DIR/$node/db.sock" --http 127.0.0.1:10686
  done
}

answers() { "$LAB" x "$1" curl --globoff --silent --max-time 0.3 --output /dev/null "http://$(in_url "$2")/"; } # NAMESPACE VIP

await_answers() {
  local caller began
  began=$(milliseconds)
  for caller in "${CALLERS[@]}"; do
    until answers "${caller%[46]}" "$(vip_of "$caller")"; do
      [ $(($(milliseconds) - began)) -lt 15000 ] || die_with_logs "$(vip_of "$caller") does not answer ${caller%[46]}"
    done
  done
}

die_with_logs() {
  tail -vn 8 "$DEMO_DIR"/*.log >&2
  die "$@"
}

announcer4() { # -> the node that answers ARP for the VIP, or "nobody"
  local mac
  mac=$("$LAB" x client arping -c 1 -w 2 -I eth0 "$VIP4" | sed -n 's/.*\[\(.*\)\].*/\1/p')
  if [ -n "$mac" ]; then node_of_mac "$mac"; else printf 'nobody\n'; fi
}

# The EndpointSlices say of every pod on that node whether it is ready. Written beside and moved in, as editors do.
pods_of_are() { # NODE true|false
  local file
  for file in "$CLUSTER"/*.yaml; do
    sed "/nodeName: $1\$/,/ready:/ s/ready: .*/ready: $2/" "$file" >"$DEMO_DIR/edited"
    mv "$DEMO_DIR/edited" "$file"
  done
}

# ── the acts ────────────────────────────────────────────────────────────────────────────────────────────────────────────

act_cluster() {
  local began subnet="untagged"
  [ "$VLAN" = 0 ] || subnet="VLAN $VLAN"
  act "1  A cluster with a VIP" \
    "Three nodes with OVN, pods and clients on one underlay subnet ($subnet); Services nginx (tcp/80) and dns (udp/53)." \
    "To see: MetalLB gave both $VIP4 and $VIP6; until ovn-vip runs, nobody has them."
  cat <<PICTURE
      far 192.0.2.10 ── gateway ──┐        client 10.180.204.100
                                  │              │
        ══════════╤═══════════════╧══╤═══════════╧═════╤══════  10.180.204.0/24  fd00:180:204::/64
                node1              node2             node3
                p11 p12            p21               no backend

PICTURE
  start
  began=$(milliseconds)
  await_answers
  good "the lab is up, one controller and three speakers run; both VIPs answered after $(($(milliseconds) - began)) ms"
  grep -h announcing "$DEMO_DIR"/node?.log | sed 's/^[^ ]* *INFO /    /' | sed "s/ *interface=.*//"
}

act_who_has() {
  local seen macs neighbor
  act "2  Who has the VIP?" \
    "The client asks the whole segment, by broadcast, twice; every node hears it." \
    "To see: as many answers as questions, all from one MAC, which is one node's own."
  capture 'arp and host 10.180.204.252'
  shown "arping -b -c 2 $VIP4"
  seen=$("$LAB" x client arping -b -c 2 -w 3 -I eth0 "$VIP4") || true
  macs=$(sed -n 's/.*\[\(.*\)\].*/\1/p' <<<"$seen")
  sed -n 's/^Unicast/  Unicast/p; s/^Received/  Received/p' <<<"$seen"
  end_capture
  shown "tcpdump -e arp   (at the client)"
  sed -n 's/, ethertype ARP (0x0806), length [0-9]*:/ /; s/, length [0-9]*$//; s/^[0-9:.]* /  /p' "$DEMO_DIR/capture" | head -n 2
  if [ "$(wc -l <<<"$macs")" = 2 ] && [ "$(sort -u <<<"$macs" | wc -l)" = 1 ]; then
    good "2 questions, 2 answers, one MAC: $(node_of_mac "${macs%%$'\n'*}") and nobody else has $VIP4"
  else
    bad "2 questions to $VIP4, and these answers: ${macs:-none}"
  fi
  shown "ndisc6 -m $VIP6"
  neighbor=$("$LAB" x client ndisc6 -m -r 1 -w 500 "$VIP6" eth0) || true
  macs=$(sed -n 's/^Target link-layer address: //p' <<<"$neighbor")
  macs=$(sort -u <<<"$macs") # what a node says unasked, soon after a claim, may be among them
  sed -n 's/^Target/  Target/p' <<<"$neighbor" | sort -u
  if [ "$(wc -w <<<"$macs")" = 1 ]; then
    good "one MAC: $(node_of_mac "$macs") has $VIP6; a Service has one announcer for all its addresses"
  else
    bad "whose is $VIP6? These answered: ${macs:-none}"
  fi
}

capture() { # FILTER: at the client, into the file capture
  setsid "$LAB" x client tcpdump -l -nn -e -tt -i eth0 "$1" </dev/null >"$DEMO_DIR/capture" 2>"$DEMO_DIR/capture.err" &
  CAPTURE=$!
  until grep -qs '^listening' "$DEMO_DIR/capture.err"; do sleep 0.02; done
}

end_capture() {
  sleep 0.1
  kill "$CAPTURE" 2>/dev/null || true
  wait "$CAPTURE" 2>/dev/null || true
}

act_requests() {
  local caller
  act "3  Requests" \
    "20 to each, every one from a port of its own; a pod answers with its name and the address that it saw." \
    "To see: all answered, by pods of the VIP's own node, and the client's own address arrives, even from behind the gateway."
  for caller in "${CALLERS[@]}"; do
    probe "$caller" 0.5 --interval 0.025 --timeout 2.5 &
    setsid "$LAB" x "${caller%[46]}" python3 hack/lab/udpprobe.py "$(vip_of "$caller")" 20 --interval 0.025 --timeout 1 --new-ports \
      >"$DEMO_DIR/$caller.udp" &
  done
  wait_for_jobs
  printf '  %s%-7s %-26s %-9s %-22s %s%s\n' "$BOLD" from to answered "served by" "source that the pod saw" "$PLAIN"
  for caller in "${CALLERS[@]}"; do
    jq -r '[.ok, .failed, (.served_by | to_entries | map("\(.key) \(.value)") | join(", ")), (.sources | keys | join(" "))] | @tsv' \
      "$DEMO_DIR/$caller.tcp" | request_line "$caller" 80/tcp
    jq -r '[.ok, .failed, ([.runs[] | {pod: (.answer | split(" ")[0]), count}] | group_by(.pod)
        | map("\(.[0].pod) \(map(.count) | add)") | join(", ")),
      ([.runs[].answer | split(" ")[1] // empty] | unique | join(" "))] | @tsv' "$DEMO_DIR/$caller.udp" | request_line "$caller" 53/udp
  done
}

probe() { # CALLER SECONDS OPTIONS; in the background, where `leave` can end it and Ctrl-C does not reach it
  exec setsid "$LAB" x "${1%[46]}" python3 hack/lab/probe.py "$(vip_of "$1")" "${@:2}" >"$DEMO_DIR/$1.tcp"
}

wait_for_jobs() { # the probes; not the programs, which run on
  local job
  for job in $(jobs -p); do
    if ! grep -qsx "$job" "$DEMO_DIR"/*.pid && [ "$job" != "${CAPTURE:-}" ]; then wait "$job" || true; fi
  done
}

request_line() { # CALLER PORT <TSV
  local ok failed by sources mark=$GREEN✓
  IFS=$'\t' read -r ok failed by sources
  if [ "$failed" != 0 ] || [ "$sources" != "${ADDRESS[$1]}" ]; then
    mark=$RED✗
    FAILED=1
  fi
  printf '%s%s %-7s %-26s %-9s %-22s %s\n' "$mark" "$PLAIN" "${1%[46]}" "$(vip_of "$1") $2" "$ok/$((ok + failed))" "$by" "$sources"
}

act_written() {
  local holder node counts=()
  holder=$(announcer4)
  act "4  What ovn-vip wrote" \
    "In the northbound one load balancer row per Service and protocol; on each node's bridge one rule per VIP and port." \
    "To see: every pod is in the row, and 'distributed' makes each node use its own; the rules hand the VIP's frames to OVN."
  shown "ovn-nbctl lb-list"
  "$LAB" nb lb-list | sed 's/^.\{40\}/  /' | cut -c 1-140
  shown "ovn-nbctl --columns=name,options,external_ids find Load_Balancer name=default/nginx/tcp"
  "$LAB" nb --columns=name,options,external_ids find Load_Balancer name=default/nginx/tcp | sed 's/^/  /'
  shown "ovs-ofctl dump-flows br-provider $RULES   (on $holder)"
  rules "$holder" | sed -n 's/.*n_packets=\([0-9]*\).*priority=[0-9]*,\([^ ]*\) .*/\1 \2/p' |
    while read -r count match; do printf '  %-105s %s packets\n' "$match" "$count"; done
  printf '  each with actions=%s; those of echo requests answer themselves\n' "$(rules "$holder" | sed -n '/IN_PORT/d; s/"patch-localnet."/patch-localnet.underlay-subnet-to-br-int/; s/.*actions=//p' | sort -u)"
  for node in $LAB_NODES; do counts+=("$node $(rules "$node" | grep -c priority || true)"); done
  good "rules of ours: $(printf '%s, ' "${counts[@]}" | sed 's/, $//'); a node with a backend is ready to take over, one without stays out"
}

rules() { "$LAB" of "$1" --names dump-flows br-provider "$RULES"; }

act_move() {
  local from to began at caller
  from=$(announcer4)
  act "5  The VIP moves" \
    "100 requests a second from each client; the pods on $from become unready, as in a rollout, then ready again." \
    "To see: another node with a backend takes $VIP4 over and says so by gratuitous ARP; $VIP6, of the same Service, goes with it."
  # Patient enough for one lost packet, which TCP sends again after a second: lost is what a client would see as an error.
  for caller in "${CALLERS[@]}"; do probe "$caller" 5 --timeout 2.5 & done
  capture "arp and arp src host $VIP4 and ether broadcast"
  sleep 1.2
  began=$(milliseconds) at=$(date +%T)
  pods_of_are "$from" false
  sleep 1.5
  to=$(announcer4)
  printf '  %s  pods of %s not ready; %s\n' "$at" "$from" "$(first_claim "$began" "$from")"
  at=$(date +%T)
  if [ "$to" = "$from" ] || [ "$to" = nobody ]; then bad "$VIP4 should have left $from, and $to answers for it"; fi
  pods_of_are "$from" true
  sleep 1
  printf '  %s  pods of %s ready;     %s has it: nothing moves without need\n\n' "$at" "$from" "$(announcer4)"
  end_capture
  wait_for_jobs
  printf '  %s%-7s %-18s %8s %8s %5s %12s   %s%s\n' "$BOLD" from to requests answered lost "longest gap" "served by" "$PLAIN"
  for caller in "${CALLERS[@]}"; do
    move_line "$caller" < <(jq -r '[.ok, .failed, .longest_gap_ms,
      (.served_by | to_entries | map("\(.key) \(.value)") | join(", ")),
      (.failures | to_entries | map(" (\(.key) \(.value))") | join(""))] | @tsv' "$DEMO_DIR/$caller.tcp")
  done
}

first_claim() { # SINCE-MILLISECONDS NODE: the first gratuitous ARP after that which is not from that node
  local at mac
  while read -r at mac; do
    if [ "$(node_of_mac "$mac")" != "$2" ] && [ $((${at/./} / 1000)) -ge "$1" ]; then
      printf '%s ms later %s says "%s is-at %s"\n' "$((${at/./} / 1000 - $1))" "$(node_of_mac "$mac")" "$VIP4" "$mac"
      return
    fi
  done < <(sed -n 's/^\([^ ]*\) .* is-at \([^,]*\),.*/\1 \2/p' "$DEMO_DIR/capture")
  printf 'no other node said so by gratuitous ARP\n'
}

# A move may lose what was under way at that moment.
move_line() { # CALLER <TSV
  local ok failed gap by kinds mark=$GREEN✓ allowed=25
  IFS=$'\t' read -r ok failed gap by kinds
  if [ "$failed" -gt "$allowed" ] || [ "$gap" -gt 1000 ]; then
    mark=$RED✗
    FAILED=1
  fi
  printf '%s%s %-7s %-18s %8s %8s %5s %9s ms   %s\n' "$mark" "$PLAIN" "${1%[46]}" "$(vip_of "$1")" "$((ok + failed))" "$ok" "$failed" "$gap" "$by$kinds"
}

look_around() {
  cat <<HELP

It all still runs. To look around:
  export LAB_PREFIX=$LAB_PREFIX
  hack/lab.sh x client curl http://$VIP4/            # and: far, http://[$VIP6]/
  $OVN_VIP explain -f $CLUSTER nginx --ovn-nb $LAB_NB --ovn-sb $LAB_SB   # and: check, plan, instead of explain
  hack/lab.sh x node1 $OVN_VIP status                # node1's speaker: what it announces, and waits for
  hack/lab.sh nb lb-list
  hack/lab.sh of node1 dump-flows br-provider
  hack/lab.sh x client tcpdump -ne -i eth0 arp
  \$EDITOR $CLUSTER/*.yaml         # followed as you write; spec.loadBalancerSourceRanges: ["192.0.2.0/24"] lets far in alone
  tail -f $DEMO_DIR/*.log
and at the end:
  hack/demo.sh --end
HELP
}

# shellcheck disable=SC2317 # called by the trap
leave() {
  local code=$?
  trap '' INT TERM HUP
  if [ -n "$KEEP" ] && [ "$code" -le 1 ]; then return; fi
  local job
  for job in $(jobs -p); do kill "$job" 2>/dev/null || true; done
  end
}

main() {
  local began
  case ${1:-} in
  --help | -h) sed -n '2,/^set -/{/^set -/!s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}"; exit 0 ;;
  --end) end; exit 0 ;;
  --keep) KEEP=1; shift ;;
  esac
  VLAN=${1:-0}
  [[ $VLAN =~ ^(0|[1-9][0-9]{0,3})$ && $VLAN -lt 4095 ]] || { say "'$1' is no VLAN: 1 to 4094, or nothing; hack/demo.sh --help"; exit 2; }
  [ "$(id -u)" = 0 ] || die "network namespaces need root: run it as root"
  prepare
  trap leave EXIT
  trap 'exit 130' INT TERM HUP
  end
  began=$(milliseconds)
  act_cluster
  act_who_has
  act_requests
  act_written
  act_move
  printf '\n'
  if [ "$FAILED" = 0 ]; then good "all as it should be, in $((($(milliseconds) - began) / 1000)) s"; else bad "something above is not as it should be"; fi
  [ -z "$KEEP" ] || look_around
  exit "$FAILED"
}

main "$@"

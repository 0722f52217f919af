#!/usr/bin/env bash
# Kills the leader of a raft cluster of three again and again while a client writes: every acknowledged write must be there on
# every member, and none twice. The tests do the same with 5 kills; this is for an afternoon.
#
#   hack/soak-ovsdb.sh [KILLS]    50, unless said otherwise; four seconds each
#
# Environment: OVN_VIP_BIN, a folder with Open vSwitch's programs; else they come from $PATH, else from the lab's tree.
set -euo pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=hack/lab/ovn-tree.sh
. "$HERE/lab/ovn-tree.sh"

main() {
  case ${1:-50} in
  *[!0-9]*) sed -n '2,/^set -/{/^set -/!s/^# \{0,1\}//p}' "$0"; exit 2 ;;
  esac
  PATH=$PATH:/usr/sbin:/sbin
  if [ -z "${OVN_VIP_BIN:-}" ] && ! command -v ovsdb-server >/dev/null; then
    OVN_VIP_BIN=$(mktemp -d)
    trap 'rm -rf "$OVN_VIP_BIN"' EXIT
    export OVN_VIP_BIN
    write_tools "$(pick_tree)" "$OVN_VIP_BIN"
  fi
  cd "$HERE/.."
  OVN_VIP_KILLS=${1:-50} cargo test --features lab --test ovsdb_server -- \
    --nocapture every_acknowledged_write_is_there_and_none_twice_while_leaders_die
}

main "$@"

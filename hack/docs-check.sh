#!/usr/bin/env bash
# Runs the commands of the documents that can run on the lab, and compares what they print with what stands there.
#
#   hack/docs-check.sh [FILE…]     README.md and docs/*.md by default; as root: it makes network namespaces
#
# On what hack/demo.sh --keep leaves: a real OVN with three nodes, a controller and three speakers. A fenced block is run where
# it is marked, and a block without a language that follows it at once is what it must print:
#
#   ```sh run          it must end with 0
#   ```sh run 2        … with 2
#   ```sh              for a cluster: not run; tests/documents.rs sees that it is shell at all
#
# In docs/verify.md each `hack/lab.sh …` of a table is run, too. What a reader puts in for a name of their own is put in here:
# tcp:[10.0.0.1]:6641 and :6642, DIR, NAMESPACE/NAME, VIP, INTERFACE, PROVIDER. Not in continuous integration: it takes a minute.
#
# Environment: OVN_VIP=FILE runs that binary and builds none.
set -euo pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=hack/lab/ovn-tree.sh
. "$HERE/lab/ovn-tree.sh"
cd "$HERE/.."

export LAB_PREFIX=docs-
WRAPPERS=$(mktemp -d)

# What a node or client of a cluster has under its own name; within it the real one is meant again.
wrap() { # NAME COMMAND…
  printf '#!/bin/sh\nPATH=%s\nexec %s "$@"\n' "$PATH" "${*:2}" >"$WRAPPERS/$1"
  chmod +x "$WRAPPERS/$1"
}

# shellcheck disable=SC2317 # called by the trap
leave() {
  hack/demo.sh --end
  rm -rf "$WRAPPERS"
}

main() {
  case ${1:-} in -*) sed -n '2,/^set -/{/^set -/!s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}"; [ "$1" = --help ] || exit 2; exit 0 ;; esac
  [ $# -gt 0 ] || set -- README.md docs/*.md
  hack/picture.py --check
  trap leave EXIT
  hack/demo.sh --keep >"$WRAPPERS/demo.log" || { cat "$WRAPPERS/demo.log"; die "the demo does not run"; }
  eval "$(hack/lab.sh env)"
  OVN_VIP=${OVN_VIP:-${CARGO_TARGET_DIR:-$PWD/target}/debug/ovn-vip}
  wrap ovn-vip "$OVN_VIP"
  wrap ovn-nbctl "$PWD/hack/lab.sh" nb
  wrap ovn-sbctl "$PWD/hack/lab.sh" sb
  wrap ovs-ofctl "$PWD/hack/lab.sh" of node1
  wrap arping "$PWD/hack/lab.sh" x client arping
  PATH=$WRAPPERS:$PATH LAB_CLUSTER=/run/ovn-vip-demo/${LAB_PREFIX%-}/cluster LAB_NB=$LAB_NB LAB_SB=$LAB_SB python3 hack/docs-check.py "$@"
}

main "$@"

#!/usr/bin/env bash
# Our OVSDB client on a real ovsdb-server with OVN's northbound schema, beside a probe that does the least, `ovn-nbctl` as a
# daemon, and Python's two libraries; printed as a table whose ratios are to the probe. docs/benchmarks.md explains it.
#
#   hack/bench-ovsdb.sh
#
# Environment: BENCH_RUNS (15), how often each thing is done; OVN_VIP_BIN, a folder with the programs and ovn-nb.ovsschema, as
# hack/test.sh makes it, else the lab's tree; LAB_ROOT, another tree. As root it installs Python's libraries where Debian has
# them; a peer that cannot be had is skipped. It needs neither root nor network namespaces.
set -euo pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=hack/lab/ovn-tree.sh
. "$HERE/lab/ovn-tree.sh"
# shellcheck source=hack/bench/lib.sh
. "$HERE/bench/lib.sh"

# Python's libraries, of the system's own interpreter.
python_peers() {
  local module missing=()
  for module in openvswitch:ovs ovsdbapp:ovsdbapp; do
    /usr/bin/python3 -c "import ${module#*:}" 2>/dev/null || missing+=("python3-${module%:*}")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  [ "$(id -u)" = 0 ] || { say "without ${missing[*]}: not root"; return 0; }
  DEBIAN_FRONTEND=noninteractive apt-get -qq --yes --no-install-recommends install "${missing[@]}" >/dev/null ||
    say "without ${missing[*]}: apt could not install them"
}

programs() { # sets OVN_VIP_BIN, where the environment does not
  [ -z "${OVN_VIP_BIN:-}" ] || return 0
  local tree
  tree=$(pick_tree)
  export OVN_VIP_BIN=$TMPDIR/bin
  mkdir "$OVN_VIP_BIN"
  write_tools "$tree" "$OVN_VIP_BIN"
  cp "$(schema_in_tree "$tree" ovn-nb)" "$OVN_VIP_BIN/"
}

clear_up() { # the bench ends its daemons itself, unless it was killed
  local pidfile
  for pidfile in "$TMPDIR"/*/*.pid; do
    [ ! -f "$pidfile" ] || kill "$(<"$pidfile")" 2>/dev/null || true
  done
  rm -rf "$TMPDIR"
}

main() {
  local bench
  [ $# = 0 ] || { help; exit 2; }
  PATH=$PATH:${CARGO_HOME:-$HOME/.cargo}/bin:/usr/sbin:/sbin
  cd "$HERE/.."
  TMPDIR=$(mktemp -d)
  export TMPDIR
  trap clear_up EXIT
  trap 'exit 130' INT TERM
  programs
  python_peers
  bench=$(built --bench ovsdb --features lab)
  say "$("$OVN_VIP_BIN/ovsdb-server" --version | head -1); load $(cut -d' ' -f1-3 /proc/loadavg), $(nproc) cores"
  "$bench" --runs "${BENCH_RUNS:-15}"
}

main "$@"

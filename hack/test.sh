#!/usr/bin/env bash
# Everything that must hold before a change goes in. Continuous integration runs this, and nothing else.
#
#   hack/test.sh             all of it, as root: the lab's tests make network namespaces
#   hack/test.sh --quick     what needs neither root nor OVN
#
# From a clean checkout on Debian 12 or 13 with a Rust toolchain; hack/setup.sh installs the rest. A step that fails does
# not keep the others from running: the summary names it, and the exit code is 1.
#
# Environment: LAB_TEST_THREADS (1) tests of the lab at a time; each is a network of a dozen daemons.
# shellcheck disable=SC2317 # most functions are steps, called by name
set -euo pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=hack/lab/ovn-tree.sh
. "$HERE/lab/ovn-tree.sh"
cd "$HERE/.."
PATH=$PATH:${CARGO_HOME:-$HOME/.cargo}/bin:/usr/sbin:/sbin

BOLD='' GREEN='' RED='' PLAIN=''
if [ -t 1 ]; then BOLD=$'\e[1m' GREEN=$'\e[32m' RED=$'\e[31m' PLAIN=$'\e[0m'; fi

QUICK=
FEATURES=(--features lab)
SUMMARY=()
FAILED=0

# ── steps ───────────────────────────────────────────────────────────────────────────────────────────────────────────────

step() { # NAME COMMAND...
  local name=$1 began=$SECONDS mark="${GREEN}ok${PLAIN}" code=0
  shift
  printf '\n%s━━ %s%s\n' "$BOLD" "$name" "$PLAIN"
  ("$@") </dev/null || code=$?
  if [ "$code" != 0 ]; then
    mark="${RED}FAILED${PLAIN}"
    FAILED=1
  fi
  printf '%s── %s: %s, %s s%s\n' "$BOLD" "$name" "$mark$BOLD" "$((SECONDS - began))" "$PLAIN"
  SUMMARY+=("$(printf '%5s s  %-40s %s' "$((SECONDS - began))" "$name" "$mark")")
  return "$code"
}

must() { step "$@" || finish; } # what the steps after it cannot do without

finish() {
  printf '\n%s━━ summary%s\n' "$BOLD" "$PLAIN"
  printf '%s\n' "${SUMMARY[@]}"
  printf '%5s s  %s\n' "$SECONDS" "all"
  exit "$FAILED"
}

# ── what they do ────────────────────────────────────────────────────────────────────────────────────────────────────────

may_run_the_lab() {
  [ "$(id -u)" = 0 ] || die "the lab's network namespaces need root: run it as root, or hack/test.sh --quick"
  [ -c /dev/net/tun ] || die "no /dev/net/tun: 'modprobe tun', or start the container with --device /dev/net/tun"
  unshare --net true || die "may not make network namespaces: start the container privileged, or hack/test.sh --quick"
}

toolchain() { # rustup fetches what rust-toolchain.toml names at the first use of it
  command -v cargo >/dev/null || die "no cargo: install Rust with rustup (https://rustup.rs)"
  retry 3 cargo --version || die "cargo does not run: see its message above"
  cargo fmt --version || die "no rustfmt: 'rustup component add rustfmt', or your system's package of that name"
  cargo clippy --version || die "no clippy: 'rustup component add clippy', or your system's package of that name"
}

dependencies() {
  local host
  host=$(rustc --version --verbose | sed -n 's/^host: //p')
  retry 4 cargo fetch --locked --target "$host" ||
    die "could not fetch the crates: is there a network, and does Cargo.lock fit Cargo.toml?"
}

shell_scripts() { shellcheck --external-sources hack/*.sh hack/lab/*.sh hack/chaos/*.sh .ci/run; }

targets() { # with|without: the names of the test targets that need the lab, or of those that do not
  cargo metadata --no-deps --format-version 1 | jq --arg which "$1" --raw-output '
    .packages[].targets[] | select(.kind == ["test"]) | .name as $name
    | (."required-features" // []) | index("lab") | if . == null then "without" else "with" end
    | select(. == $which) | $name'
}

plain_tests() { # with the lab's feature where its tests follow, so that nothing is compiled twice
  local name chosen=()
  for name in $(targets without); do chosen+=(--test "$name"); done
  cargo test "${FEATURES[@]}" --no-fail-fast --lib --bins "${chosen[@]}" &&
    cargo test "${FEATURES[@]}" --doc --quiet
}

# A folder with the lab's OVN and Open vSwitch, and the schemas beside them: tests that need no whole network start these.
programs() {
  local tree name
  tree=$(pick_tree)
  mkdir -p "$OVN_VIP_BIN"
  write_tools "$tree" "$OVN_VIP_BIN"
  for name in vswitch ovn-nb ovn-sb; do cp "$(schema_in_tree "$tree" "$name")" "$OVN_VIP_BIN/"; done
  printf 'OVN %s, Open vSwitch %s\n' "$("$OVN_VIP_BIN/ovn-northd" --version | sed -n '1s/.* //p')" \
    "$("$OVN_VIP_BIN/ovs-vswitchd" --version | sed -n '1s/.* //p')"
}

lab_tests() { # TARGET
  cargo test "${FEATURES[@]}" --no-fail-fast --test "$1" -- --test-threads="${LAB_TEST_THREADS:-1}"
}

demo() { # under a prefix of its own, so that one that runs is left alone
  LAB_PREFIX=tdemo- OVN_VIP=${CARGO_TARGET_DIR:-$PWD/target}/debug/ovn-vip hack/demo.sh
}

# ── all of it ───────────────────────────────────────────────────────────────────────────────────────────────────────────

main() {
  local target
  case ${1:-} in
  '') ;;
  --quick) QUICK=1 FEATURES=() ;;
  *) sed -n '2,/^set -/{/^set -/!s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}"; [ "$1" = --help ] || exit 2; exit 0 ;;
  esac

  [ -n "$QUICK" ] || must "setup" "$HERE/setup.sh"
  [ -n "$QUICK" ] || must "may run the lab" may_run_the_lab
  must "toolchain" toolchain
  must "dependencies" dependencies
  export CARGO_NET_OFFLINE=true
  step "rustfmt" cargo fmt --check || true
  if [ -z "$QUICK" ] || command -v shellcheck >/dev/null; then step "shellcheck" shell_scripts || true; fi
  step "pictures of the documents" hack/picture.py --check || true
  step "clippy" cargo clippy --all-targets --features lab -- -D warnings || true
  step "tests: unit, golden, property, layers" plain_tests || true
  [ -z "$QUICK" ] || finish
  export OVN_VIP_BIN=${CARGO_TARGET_DIR:-$PWD/target}/ovn
  must "OVN's programs" programs
  for target in $(targets with); do step "real OVN: $target" lab_tests "$target" || true; done
  step "demo" demo || true
  finish
}

main "$@"

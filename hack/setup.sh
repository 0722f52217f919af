#!/usr/bin/env bash
# Makes a bare Debian 12 or 13 with a Rust toolchain ready to build, test and run the lab. Quick when nothing is missing.
#
#   hack/setup.sh             for all of that
#   hack/setup.sh demo        for building and for hack/demo.sh: no API server, no Helm, no old OVN
#   hack/setup.sh packages    the demo's Debian packages alone
#
# It installs programs, never a daemon: the lab's OVN and Open vSwitch are unpacked into a cache (OVN_VIP_CACHE, else
# ~/.cache/ovn-vip), unless the host's own are new enough.
set -euo pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=hack/lab/ovn-tree.sh
. "$HERE/lab/ovn-tree.sh"

# PROGRAM PACKAGE: what the build, hack/lab.sh and hack/demo.sh use; a file stands for a package without a program.
DEMO_NEEDS='
cc gcc
/usr/include/stdio.h libc6-dev
curl curl
jq jq
python3 python3
ip iproute2
ethtool ethtool
arping iputils-arping
ndisc6 ndisc6
tcpdump tcpdump
ps procps
nsenter util-linux
flock util-linux
/etc/ssl/certs/ca-certificates.crt ca-certificates
/usr/share/keyrings/debian-archive-keyring.gpg debian-archive-keyring
'

# What the tests and the other scripts use besides.
TEST_NEEDS='
make make
pkg-config pkg-config
git git
shellcheck shellcheck
ping iputils-ping
openssl openssl
'

is_there() {
  case $1 in
  /*) [ -e "$1" ] ;;
  *) command -v "$1" >/dev/null || [ -x "/usr/sbin/$1" ] || [ -x "/sbin/$1" ] ;;
  esac
}

missing_packages() { # NEEDS
  local need package
  while read -r need package; do
    [ -z "$need" ] || is_there "$need" || printf '%s\n' "$package"
  done <<<"$1" | sort -u
}

as_root() {
  if [ "$(id -u)" = 0 ]; then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo "$@"
  else
    die "'$*' needs root: run hack/setup.sh as root, or install sudo"
  fi
}

apt() { as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq --yes -o Acquire::Retries=3 -o DPkg::Lock::Timeout=120 "$@" >/dev/null; }

install_packages() { # NEEDS
  local packages
  mapfile -t packages < <(missing_packages "$1")
  [ ${#packages[@]} -gt 0 ] || return 0
  say "installing ${packages[*]}"
  retry 4 apt update || die "apt-get update failed: is there a network, and do /etc/apt/sources.list* name a reachable mirror?"
  retry 3 apt install --no-install-recommends "${packages[@]}" ||
    die "apt-get could not install ${packages[*]}: see its message above; 'apt-get --fix-broken install' mends an interrupted one"
}

need_rust() {
  is_there cargo || [ -x "${CARGO_HOME:-$HOME/.cargo}/bin/cargo" ] ||
    die "no cargo: install Rust with rustup (https://rustup.rs); rust-toolchain.toml says which version, rustup fetches it"
}

new_tree() {
  local tree
  tree=$(pick_tree)
  say "the lab's OVN: $tree"
}

for_tests() {
  local kube helm
  make_old_tree
  kube=$("$HERE/kube-programs.sh")
  say "the tests' API server: $kube"
  helm=$("$HERE/helm.sh" --path)
  say "the tests' Helm: $helm"
}

main() {
  command -v apt-get >/dev/null || die "no apt-get: on another system than Debian, install by hand what DEMO_NEEDS and TEST_NEEDS in this script name"
  case ${1:-} in
  packages)
    install_packages "$DEMO_NEEDS"
    ;;
  demo)
    install_packages "$DEMO_NEEDS"
    need_rust
    new_tree
    ;;
  '')
    install_packages "$DEMO_NEEDS$TEST_NEEDS"
    need_rust
    new_tree
    for_tests
    say "ready"
    ;;
  *) sed -n '2,/^set -/{/^set -/!s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}"; [ "$1" = --help ] || exit 2 ;;
  esac
}

main "$@"

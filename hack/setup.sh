#!/usr/bin/env bash
# Makes a bare Debian 12 or 13 with a Rust toolchain ready to build, test and run the lab. Quick when nothing is missing.
#
#   hack/setup.sh
#
# It installs programs, never a daemon: the lab's OVN and Open vSwitch are unpacked into a cache (OVN_VIP_CACHE, else
# ~/.cache/ovn-vip), unless the host's own are new enough.
set -euo pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=hack/lab/ovn-tree.sh
. "$HERE/lab/ovn-tree.sh"

# PROGRAM PACKAGE: what is used by hack/, the tests and the build; a file stands for a package without a program.
NEEDS='
cc build-essential
make make
pkg-config pkg-config
git git
curl curl
jq jq
python3 python3
shellcheck shellcheck
ip iproute2
ethtool ethtool
arping iputils-arping
ping iputils-ping
ndisc6 ndisc6
tcpdump tcpdump
ps procps
nsenter util-linux
flock util-linux
openssl openssl
/etc/ssl/certs/ca-certificates.crt ca-certificates
/usr/share/keyrings/debian-archive-keyring.gpg debian-archive-keyring
'

is_there() {
  case $1 in
  /*) [ -e "$1" ] ;;
  *) command -v "$1" >/dev/null || [ -x "/usr/sbin/$1" ] || [ -x "/sbin/$1" ] ;;
  esac
}

missing_packages() {
  local need package
  while read -r need package; do
    [ -z "$need" ] || is_there "$need" || printf '%s\n' "$package"
  done <<<"$NEEDS" | sort -u
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

install_packages() {
  local packages
  mapfile -t packages < <(missing_packages)
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

main() {
  local tree kube
  command -v apt-get >/dev/null || die "no apt-get: on another system than Debian, install by hand what NEEDS in this script names"
  install_packages
  tree=$(pick_tree)
  say "the lab's OVN: $tree"
  make_old_tree
  need_rust
  kube=$("$HERE/kube-programs.sh")
  say "the tests' API server: $kube"
  say "the tests' Helm: $("$HERE/helm.sh" --path)"
  say "ready"
}

main

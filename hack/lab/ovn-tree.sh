# shellcheck shell=bash
# Where the lab's OVN and Open vSwitch come from. Sourced by hack/lab.sh and hack/setup.sh; it runs nothing by itself.
#
# A *tree* is a folder with OVN and OVS in it: "/" (the host's own), an install prefix, or a Debian root. The Debian trees
# are made here: apt resolves, downloads and verifies the packages with a state of its own, and they are only unpacked,
# never installed and never chrooted into. Their programs run through their own dynamic loader, so nothing is mounted.

OVN_OLDEST=26.03 # `options:distributed`
OVS_OLDEST=3.3   # 3.1's userspace conntrack aborts: assertion conn->conn_type == CT_CONN_TYPE_DEFAULT
# What `lab.sh` runs; a tree that lacks one of the programs for nodes can still run central.
CENTRAL_TOOLS=(ovsdb-server ovsdb-tool ovsdb-client ovn-northd ovn-nbctl ovn-sbctl)
NODE_TOOLS=(ovs-vswitchd ovs-vsctl ovs-ofctl ovs-appctl ovn-controller)

say() { printf '%s\n' "${0##*/}: $*" >&2; }
die() { say "$@"; exit 1; }

cache_dir() { printf '%s\n' "${OVN_VIP_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/ovn-vip}"; }

retry() { # TIMES COMMAND...: mirrors and networks hiccup
  local left=$1 pause=2
  shift
  until "$@"; do
    left=$((left - 1))
    [ "$left" -gt 0 ] || return 1
    say "'$1' failed, again in $pause s"
    sleep "$pause"
    pause=$((pause * 2))
  done
}

# ── what is in a tree ───────────────────────────────────────────────────────────────────────────────────────────────────

find_in_tree() { # TREE NAME -> the program's path
  local at
  for at in usr/sbin usr/bin usr/lib/openvswitch-switch usr/local/sbin usr/local/bin sbin bin; do
    if [ -x "${1%/}/$at/$2" ]; then
      printf '%s\n' "${1%/}/$at/$2"
      return
    fi
  done
  return 1
}

schema_in_tree() { # TREE DATABASE -> the path of its schema; DATABASE is vswitch, ovn-nb or ovn-sb
  local found
  for found in "${1%/}"/{usr/,usr/local/,}share/{openvswitch,ovn}/"$2.ovsschema"; do
    if [ -f "$found" ]; then
      printf '%s\n' "$found"
      return
    fi
  done
  die "no $2.ovsschema in $1"
}

loader_in_tree() { # TREE -> its own dynamic loader, if it has one; the host's tree needs none
  [ "$1" != / ] || return 0
  local found
  for found in "$1"{,/usr}/lib/*/ld-linux*.so.[0-9] "$1"{,/usr}/lib{64,}/ld-linux*.so.[0-9]; do
    # An absolute link in it leads to the host's loader, which does not fit the tree's libc.
    if [ -x "$found" ] && [[ $(realpath "$found") == "$(realpath "$1")"/* ]]; then
      printf '%s\n' "$found"
      return
    fi
  done
}

libraries_in_tree() { # TREE -> its library folders, as a search path
  local at path=
  for at in "$1"{,/usr,/usr/local}/lib{,/*-linux-gnu*}; do
    if compgen -G "$at/*.so*" >/dev/null; then path+=${path:+:}$at; fi
  done
  printf '%s\n' "$path"
}

tree_command() { # TREE NAME -> sets the array COMMAND: how to run that program
  local program loader libraries
  program=$(find_in_tree "$1" "$2") || die "no $2 in $1"
  COMMAND=("$program")
  [ "$1" != / ] || return 0
  loader=$(loader_in_tree "$1")
  libraries=$(libraries_in_tree "$1")
  if [ -n "$loader" ]; then
    COMMAND=("$loader" --library-path "$libraries" "$program")
  elif [ -n "$libraries" ]; then
    COMMAND=(env "LD_LIBRARY_PATH=$libraries" "$program")
  fi
}

write_tools() { # TREE FOLDER: one small program in FOLDER for each of the tree's
  local name
  for name in "${CENTRAL_TOOLS[@]}" "${NODE_TOOLS[@]}"; do
    find_in_tree "$1" "$name" >/dev/null || continue
    tree_command "$1" "$name"
    printf '#!/bin/sh\nexec %s "$@"\n' "${COMMAND[*]@Q}" >"$2/$name"
    chmod +x "$2/$name"
  done
}

version_in_tree() { # TREE NAME -> e.g. 26.03.1
  tree_command "$1" "$2"
  "${COMMAND[@]}" --version | sed -n '1s/.* //p'
}

at_least() { # VERSION OLDEST
  [ "$(printf '%s\n' "$2" "$1" | sort -V | head -n 1)" = "$2" ]
}

is_new_enough() { # TREE
  local name
  for name in "${CENTRAL_TOOLS[@]}" "${NODE_TOOLS[@]}"; do
    find_in_tree "$1" "$name" >/dev/null || return 1
  done
  at_least "$(version_in_tree "$1" ovn-northd)" "$OVN_OLDEST" && at_least "$(version_in_tree "$1" ovs-vswitchd)" "$OVS_OLDEST"
}

# Kube-OVN's build is told by an option that only its northd knows.
is_kube_ovn_build() { # TREE
  local northd
  northd=$(find_in_tree "$1" ovn-northd) || return 1
  grep -qs ls_dnat_mod_dl_dst "$northd" "${1%/}"/{,usr/,usr/local/}lib{,/*-linux-gnu*}/libovn*.so*
}

# ── making a Debian tree ────────────────────────────────────────────────────────────────────────────────────────────────

# The mirror this machine already uses; on a host that is no Debian, the one debootstrap would use.
debian_mirror() {
  local mirror=${OVN_VIP_DEBIAN_MIRROR:-}
  # shellcheck disable=SC2016 # the $(…) are apt's own
  [ -n "$mirror" ] || mirror=$(apt-get indextargets --format '$(ORIGIN) $(LABEL) $(REPO_URI)' 'Created-By: Packages' |
    sed -n 's/^Debian Debian //p' | head -n 1)
  [ -n "$mirror" ] || mirror=$(sed -n 's/^DEF_MIRROR="\(.*\)"/\1/p' /usr/sbin/debootstrap 2>/dev/null)
  [ -n "$mirror" ] || die "found no Debian mirror: set OVN_VIP_DEBIAN_MIRROR to the URL of one, or install debootstrap, which names one"
  printf '%s\n' "$mirror"
}

# An apt that believes nothing is installed and knows only SUITE. The index's age does not matter, for a lab, so a mirror that
# lags or stands still will do; its signature does.
apt_state() { # FOLDER SUITE
  local mirror
  mirror=$(debian_mirror) || return 1
  mkdir -p "$1"/state/lists/partial "$1"/cache/archives/partial "$1"/none
  : >"$1/status"
  printf 'deb [signed-by=%s] %s %s main\n' /usr/share/keyrings/debian-archive-keyring.gpg "$mirror" "$2" >"$1/sources.list"
  cat >"$1/apt.conf" <<CONF
Dir::State "$1/state";
Dir::State::status "$1/status";
Dir::Cache "$1/cache";
Dir::Etc::sourcelist "$1/sources.list";
Dir::Etc::sourceparts "$1/none";
Dir::Etc::preferences "$1/none/preferences";
Dir::Etc::preferencesparts "$1/none";
APT::Sandbox::User "root";
APT::Install-Recommends "false";
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
Acquire::Check-Valid-Until "false";
Acquire::Languages "none";
Acquire::Retries "3";
CONF
}

download_packages() { # STATE PACKAGE...
  local state=$1
  shift
  apt-get -c "$state/apt.conf" -qq update >&2 &&
    apt-get -c "$state/apt.conf" -qq --yes --download-only install "$@" >/dev/null
}

make_debian_tree() { # SUITE PACKAGE...: into the cache, unless it is there
  local cache
  cache=$(cache_dir)
  [ ! -d "$cache/$1" ] || return 0
  mkdir -p "$cache"
  # One maker at a time: whoever waited finds the tree made, and whatever bears a making's name is a dead one's.
  (
    flock 9
    [ ! -d "$cache/$1" ] || exit 0
    rm -rf "$cache"/.making.*
    fill_debian_tree "$(mktemp -d "$cache/.making.XXXXXX")" "$@"
  ) 9>"$cache/.lock"
}

# Renamed only when whole, so that what lies under the suite's name is complete, whoever was killed on the way.
fill_debian_tree() { # FOLDER SUITE PACKAGE...
  local making=$1 suite=$2 deb
  shift 2
  say "fetching OVN and Open vSwitch of Debian $suite into $(cache_dir)/$suite, once"
  apt_state "$making/apt" "$suite" || exit 1
  retry 4 download_packages "$making/apt" "$@" ||
    die "could not fetch Debian $suite's packages (apt's message is above); OVN_VIP_DEBIAN_MIRROR=URL names another mirror"
  mkdir -m 755 "$making/tree"
  for deb in "$making"/apt/cache/archives/*.deb; do
    dpkg-deb --extract "$deb" "$making/tree" || die "could not unpack ${deb##*/}: is the disk full?"
  done
  rm -rf "$making"/tree/usr/share/{doc,man,locale}
  mv -T "$making/tree" "$(cache_dir)/$suite"
  rm -rf "$making"
}

make_new_tree() { make_debian_tree sid ovn-central ovn-host openvswitch-switch; }

# OVN 23.03: too old for ovn-vip, which must say so. Central only.
make_old_tree() { make_debian_tree bookworm ovn-central; }

pick_tree() { # -> the tree to run: LAB_ROOT, else the host's where it is new enough, else the cached Debian sid
  if [ -n "${LAB_ROOT:-}" ]; then
    find_in_tree "$LAB_ROOT" ovn-northd >/dev/null || die "LAB_ROOT=$LAB_ROOT holds no ovn-northd: it must be a root (usr/bin …) or an install prefix (bin, sbin, share)"
    realpath "$LAB_ROOT"
  elif is_new_enough /; then
    printf '/\n'
  else
    make_new_tree
    printf '%s\n' "$(cache_dir)/sid"
  fi
}

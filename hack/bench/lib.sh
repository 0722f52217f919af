# shellcheck shell=bash
# What the bench scripts share. Sourced by hack/bench-*.sh; it runs nothing by itself.
# shellcheck disable=SC2034 # variables are for those who source it

REPO=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
LAB=$REPO/hack/lab.sh
export LAB_PREFIX=${LAB_PREFIX:-vipb-} # beside a lab that somebody works with
CHILDREN=()

say() { printf '%s\n' "${0##*/}: $*" >&2; }
die() { say "$@"; exit 1; }

help() { sed -n '2,/^set -/{/^set -/!s/^# \{0,1\}//p}' "$0"; }

title() { printf '\n## %s\n\n' "$1"; }

clear_up() {
  local pid
  for pid in "${CHILDREN[@]}"; do kill "$pid" 2>/dev/null || true; done
  "$LAB" down || true
  rm -rf "$WORK"
}

# Sets OVN_VIP, the program, and WORK, a folder that goes again.
prepare_program() {
  [ "$(id -u)" = 0 ] || die "the lab needs root: run it as root"
  say "building"
  cargo build --quiet --release --manifest-path "$REPO/Cargo.toml" --bin ovn-vip
  OVN_VIP=$(built --bin ovn-vip)
  WORK=$(mktemp -d)
  trap clear_up EXIT
  trap 'exit 130' INT TERM
}

# The same, and BENCH.
prepare() {
  prepare_program
  BENCH=$(built --bench northbound)
}

built() { # --bin|--bench NAME -> its file
  cargo build --quiet --release --manifest-path "$REPO/Cargo.toml" "$@" --message-format=json |
    jq -r --arg name "$2" 'select(.reason == "compiler-artifact" and .target.name == $name) | .executable // empty'
}

# A lab with so many nodes, and its paths as variables LAB_*.
lab_up() { # NODES
  LAB_NODES=$1 "$LAB" up
  eval "$("$LAB" env)"
  "$LAB" status | sed -n 's/^tree *[^:]*: //p' | head -1
  say "load $(cut -d' ' -f1-3 /proc/loadavg), $(nproc) cores"
}

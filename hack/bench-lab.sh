#!/usr/bin/env bash
# How long the lab takes: up, down, and the demo. The tree of OVN must be there already (hack/setup.sh).
#
#   hack/bench-lab.sh
#
# Environment: BENCH_RUNS (5), how often; LAB_PREFIX (vipb-); LAB_ROOT, another OVN. It needs root.
set -euo pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=hack/bench/lib.sh
. "$HERE/bench/lib.sh"

took() { # COMMAND...: its milliseconds
  local began=$EPOCHREALTIME output
  output=$("$@" 2>&1 </dev/null) || die "$* failed: $(tail -5 <<<"$output")"
  awk -v from="$began" -v to="$EPOCHREALTIME" 'BEGIN { printf "%.0f\n", (to - from) * 1000 }'
}

line() { # WHAT MILLISECONDS...
  local what=$1
  shift
  printf '%s\n' "$@" | sort -n | awk -v what="$what" '{ ms[NR] = $1 }
    END { printf "| %s | %d (%d–%d) |\n", what, ms[int((NR + 1) / 2)], ms[1], ms[NR] }'
}

measure() { # VLAN WHAT
  local run up=() down=()
  for ((run = 0; run < ${BENCH_RUNS:-5}; run++)); do
    up+=("$(took "$LAB" up "$1")")
    down+=("$(took "$LAB" down)")
  done
  line "up, $2" "${up[@]}"
  line "down, $2" "${down[@]}"
}

demo() { # building is not what is measured
  local run times=()
  cargo build --quiet --release --manifest-path "$REPO/Cargo.toml" --bin ovn-vip
  OVN_VIP=$(built --bin ovn-vip)
  export OVN_VIP
  for ((run = 0; run < ${BENCH_RUNS:-5}; run++)); do times+=("$(took "$REPO/hack/demo.sh")"); done
  line "hack/demo.sh, everything built" "${times[@]}"
}

main() {
  [ "$(id -u)" = 0 ] || die "the lab needs root: run it as root"
  WORK=$(mktemp -d)
  trap clear_up EXIT
  "$LAB" tree >/dev/null
  printf 'N = %s; milliseconds: median (least–most).\n\n| what | ms |\n|---|---|\n' "${BENCH_RUNS:-5}"
  measure 0 untagged
  measure 341 "VLAN 341"
  [ ! -x "$REPO/hack/demo.sh" ] || demo
}

main "$@"

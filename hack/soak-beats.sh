#!/usr/bin/env bash
# Whether a VIP leaves a node that lives: three speakers, a real API server, and time. Each take-over is a false one, and the exit
# code is then 1; docs/benchmarks.md has numbers.
#
#   hack/soak-beats.sh
#
# Environment: SOAK_MINUTES (60); SOAK_BUSY (2) loops that keep a processor busy each, 0 where the machine is busy anyhow.
# It needs root, as the lab does, and what hack/setup.sh installs.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
PATH=$PATH:${CARGO_HOME:-$HOME/.cargo}/bin
cargo test --quiet --features lab --test lab --no-run
loops=()
stop() { [ ${#loops[@]} = 0 ] || kill "${loops[@]}" 2>/dev/null || true; }
trap stop EXIT
for _ in $(seq "${SOAK_BUSY:-2}"); do
  # Bounded in time, whatever becomes of this script.
  timeout "$((${SOAK_MINUTES:-60} * 60 + 120))" sh -c 'while :; do :; done' &
  loops+=($!)
done
cargo test --quiet --features lab --test lab -- --ignored --nocapture --test-threads=1 beats_soak::soak

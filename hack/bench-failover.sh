#!/usr/bin/env bash
# How long a VIP is nobody's when the speaker that announces it is killed on a healthy node, and when an update replaces it by
# one that waits beside it; docs/benchmarks.md explains it.
#
#   hack/bench-failover.sh
#
# Environment: BENCH_RUNS (30); LAB_ROOT, another OVN. It needs root, as the lab does, and what hack/setup.sh installs.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
PATH=$PATH:${CARGO_HOME:-$HOME/.cargo}/bin
cargo test --quiet --features lab --test lab -- --ignored --nocapture --test-threads=1 beats::numbers | grep -o 'speaker .*→.*'

#!/usr/bin/env bash
# What a large cluster costs the controller: a real kube-apiserver, a real northbound, and so many Services between them.
#
#   hack/bench-kube.sh
#
# It prints a table: cold start until the northbound has everything, a second start, memory, the way of one endpoint change
# (p50, p99), and a burst of them. It needs root, hack/setup.sh, some minutes, and a machine with little else to do.
#
# Environment: BENCH_SERVICES (5000), BENCH_CHANGES (300), BENCH_BURST (1000); LAB_ROOT, another OVN.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
printf 'load %s, %s processors\n' "$(cut -d' ' -f1-3 /proc/loadavg)" "$(nproc)"
exec cargo test --release --features lab --test kube -- --ignored --nocapture --exact numbers::numbers "$@"

#!/usr/bin/env bash
# Addresses for many Services at once: MetalLB's real controller and ovn-vip's, one after the other on the same kube-apiserver,
# and what MetalLB writes beside ours.
#
#   METALLB_CONTROLLER=FILE METALLB_CRDS=DIR hack/bench-allocate.sh
#
# FILE: MetalLB's controller, built from its public source (`go build ./controller`); DIR: its kinds, `config/crd/bases` there.
# Without them nothing is measured, and that is said. It needs root, hack/setup.sh, and a machine with little else to do.
#
# Environment: BENCH_SERVICES (10000; 1000 for the writes), BENCH_RUNS (3).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
if [ -z "${METALLB_CONTROLLER:-}" ] || [ -z "${METALLB_CRDS:-}" ]; then
  echo 'passed over: METALLB_CONTROLLER and METALLB_CRDS name MetalLB'"'"'s controller and the folder of its kinds'
  exit 0
fi
printf 'load %s, %s processors\n' "$(cut -d' ' -f1-3 /proc/loadavg)" "$(nproc)"
cargo build --release
export BENCH_PROGRAM="$PWD/target/release/ovn-vip"
exec cargo test --features lab --test kube -- --ignored --nocapture --test-threads=1 "${@:-beside_controller}"

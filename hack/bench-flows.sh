#!/usr/bin/env bash
# 10,000 flows onto a real bridge, and one VIP more or less beside them and beside 8: ours against `ovs-ofctl --bundle
# add-flows`, in turns, printed as ratios.
# Needs Open vSwitch in $OVN_VIP_BIN or $PATH; neither root nor a kernel module. Arguments go to cargo (--profile dev …).
set -euo pipefail
cd "$(dirname "$0")/.."
exec cargo bench --features lab --bench flows "$@"

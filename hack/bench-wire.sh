#!/usr/bin/env bash
# How soon a question for one of 1, 1,000 and 10,000 VIPs is answered on a wire, alone and beside 100,000 foreign broadcasts a
# second, against the kernel's answers for its own address in the same run. Needs root: it makes two namespaces and a veth pair.
# N=5 is the number of runs.
set -euo pipefail
cd "$(dirname "$0")/.."
exec cargo bench --bench wire "$@"

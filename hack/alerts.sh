#!/usr/bin/env bash
# Whether Prometheus takes the chart's alerts, and fires them when it should: promtool, of Debian's package, unpacked.
#
#   hack/alerts.sh
set -euo pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=hack/lab/ovn-tree.sh
. "$HERE/lab/ovn-tree.sh"
# shellcheck source=hack/lab/go-program.sh
. "$HERE/lab/go-program.sh"
cd "$HERE/../deploy/chart/monitoring"

main() {
  local tree
  tree=$(cache_dir)/prometheus
  mkdir -p "$(cache_dir)"
  unpack_debian "$tree" "promtool" prometheus
  tree_command "$tree" promtool
  "${COMMAND[@]}" check rules rules.yaml
  "${COMMAND[@]}" test rules rules-test.yaml
}

main

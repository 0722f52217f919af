#!/usr/bin/env bash
# Writes the manifests in deploy/ that kustomize reads, from the chart: deploy/chart is the one source.
#
#   hack/render-deploy.sh [FOLDER]    into deploy/ and deploy/remove/, or into FOLDER and below; tests/kube/chart.rs holds them equal
set -euo pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cd "$HERE/.."

rendered() { # NAME [ARGS…]: as the chart has it offline, with the image that kustomization.yaml names
  local name=$1
  shift
  printf '# Rendered from deploy/chart by hack/render-deploy.sh: edit the template there.\n'
  hack/helm.sh template ovn-vip deploy/chart --show-only "templates/$name.yaml" "$@" | sed -e 1d -e '/^# Source: /d' |
    awk '/^$/ { blank = blank "\n"; next } /^---$/ { blank = "" } { printf "%s%s\n", blank, $0; blank = "" }'
}

main() {
  local folder=${1:-deploy} name text
  for name in rbac admission controller speaker; do
    text=$(rendered "$name")
    printf '%s\n' "$text" >"$folder/$name.yaml"
  done
  mkdir -p "$folder/openshift"
  text=$(rendered openshift --set-string openshift.scc=true)
  printf '%s\n' "$text" >"$folder/openshift/scc.yaml"
  mkdir -p "$folder/remove"
  for name in rbac controller speaker; do
    text=$(rendered "$name" --set remove=true)
    printf '%s\n' "$text" >"$folder/remove/$name.yaml"
  done
}

main "$@"

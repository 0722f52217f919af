#!/usr/bin/env bash
# Runs Helm: builds it once, from its Go module, into the cache.
#
#   hack/helm.sh ARGS…     as `helm ARGS…`
#   hack/helm.sh --path    prints where the program is
#
# With HELM=FILE that program is run, and none is built.
#
# Environment: OVN_VIP_CACHE (~/.cache/ovn-vip) keeps it; GOPROXY and its like are Go's own.
set -euo pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=hack/lab/ovn-tree.sh
. "$HERE/lab/ovn-tree.sh"
# shellcheck source=hack/lab/go-program.sh
. "$HERE/lab/go-program.sh"

MODULE=$HERE/helm

built_from() { cat "$MODULE"/{go.mod,go.sum} | sha256sum | cut -c 1-16; }

make_helm() { # FILE
  local version package=helm.sh/helm/v4
  version=$(sed -n "s|^require $package ||p; s|^\t$package ||p" "$MODULE/go.mod" | cut -d ' ' -f 1)
  mkdir -p "$BUILDING"
  pick_go "$MODULE"
  say "building Helm $version with Go $(go_version "$GO"), once; about 3 minutes of two processors"
  (retry 3 go_build "$MODULE" "$BUILDING/made" "$package/cmd/helm" "-X $package/internal/version.version=$version") ||
    die "could not build Helm: see Go's message above. It needs a Go module proxy (GOPROXY) and 2 GB in $BUILDING; \
HELM=FILE names a helm that is there"
  mv "$BUILDING/made" "$1"
  rm -rf "$BUILDING"
}

main() {
  local cache program
  if [ -z "${HELM:-}" ]; then
    cache=$(cache_dir)/helm BUILDING=$(cache_dir)/helm/building
    program=$cache/$(built_from)
    if [ ! -x "$program" ]; then
      mkdir -p "$cache"
      (
        flock 9
        [ -x "$program" ] || make_helm "$program"
      ) 9>"$cache/.lock"
    fi
    HELM=$program
  fi
  if [ "${1:-}" = --path ]; then printf '%s\n' "$HELM"; else exec "$HELM" "$@"; fi
}

main "$@"

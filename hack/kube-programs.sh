#!/usr/bin/env bash
# A kube-apiserver and an etcd for the tests: makes them once, and prints the folder that holds them. hack/setup.sh runs it.
#
# With KUBEBUILDER_ASSETS set, that folder's are taken. Else the API server is built from hack/kube-apiserver, which takes some
# minutes and 3 GB of disk the first time, and etcd is the machine's or Debian sid's, unpacked and not installed.
#
# Environment: OVN_VIP_CACHE (~/.cache/ovn-vip) keeps them; GOPROXY, GOMODCACHE and their like are Go's own.
set -euo pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=hack/lab/ovn-tree.sh
. "$HERE/lab/ovn-tree.sh"
# shellcheck source=hack/lab/go-program.sh
. "$HERE/lab/go-program.sh"

MODULE=$HERE/kube-apiserver
ETCD_OLDEST=3.5.8 # streaming lists: older ones answer "RequestWatchProgress is disabled"

are_in() { [ -x "$1/kube-apiserver" ] && [ -x "$1/etcd" ]; }

built_from() { cat "$MODULE"/{go.mod,go.sum,main.go} | sha256sum | cut -c 1-16; }

# ── etcd ────────────────────────────────────────────────────────────────────────────────────────────────────────────────

is_new_etcd() { # PROGRAM
  at_least "$("$1" --version 2>/dev/null | sed -n 's/^etcd Version: //p')" "$ETCD_OLDEST"
}

put_etcd() { # FOLDER: a program "etcd" in it, which runs the machine's or the one in the cache
  local own
  if own=$(command -v etcd) && is_new_etcd "$own"; then
    COMMAND=("$own")
  else
    unpack_debian "$KUBE/etcd" "etcd" etcd-server
    tree_command "$KUBE/etcd" etcd
  fi
  printf '#!/bin/sh\nexec %s "$@"\n' "${COMMAND[*]@Q}" >"$1/etcd"
  chmod +x "$1/etcd"
  is_new_etcd "$1/etcd" || die "${COMMAND[*]} is not an etcd of at least $ETCD_OLDEST"
}

# ── the API server ──────────────────────────────────────────────────────────────────────────────────────────────────────

put_apiserver() { # FOLDER
  local version
  version=$(sed -n 's/.*k8s.io\/kubernetes //p' "$MODULE/go.mod")
  pick_go "$MODULE"
  say "building kube-apiserver with Go $(go_version "$GO"), once; about 5 minutes of two processors"
  (retry 3 go_build "$MODULE" "$1/kube-apiserver" . "-X k8s.io/component-base/version.gitVersion=$version") ||
    die "could not build kube-apiserver: see Go's message above. It needs a Go module proxy (GOPROXY) and 3 GB in $BUILDING; \
KUBEBUILDER_ASSETS=DIR names a folder that has kube-apiserver and etcd"
  "$1/kube-apiserver" --version >&2
}

# ── both ────────────────────────────────────────────────────────────────────────────────────────────────────────────────

make_programs() { # FOLDER
  local making=$1.making
  rm -rf "$making"
  mkdir -p "$making" "$BUILDING"
  [ ! -x "$1/kube-apiserver" ] || cp "$1/kube-apiserver" "$making/"
  put_etcd "$making"
  [ -x "$making/kube-apiserver" ] || put_apiserver "$making"
  rm -rf "$1" "$BUILDING"
  mv -T "$making" "$1"
}

main() {
  local folder
  if [ -n "${KUBEBUILDER_ASSETS:-}" ]; then
    are_in "$KUBEBUILDER_ASSETS" || die "KUBEBUILDER_ASSETS=$KUBEBUILDER_ASSETS does not hold both kube-apiserver and etcd"
    realpath "$KUBEBUILDER_ASSETS"
    return
  fi
  KUBE=$(cache_dir)/kube BUILDING=$(cache_dir)/kube/building
  folder=$KUBE/$(built_from)
  if ! are_in "$folder"; then
    mkdir -p "$KUBE"
    (
      flock 9
      are_in "$folder" || make_programs "$folder"
    ) 9>"$KUBE/.lock"
  fi
  printf '%s\n' "$folder"
}

main

#!/usr/bin/env bash
# Everything that a release consists of, in target/dist/: checked, and with its checksums. As root on Debian (hack/image.sh).
#
#   hack/release.sh [ARCH…]      amd64, arm64; by default this machine's
#
#   ovn-vip-VERSION-linux-ARCH.tar.gz      the program, its completions and manual pages
#   ovn-vip-VERSION-image-ARCH.tar         the image, as an OCI archive
#   ovn-vip-VERSION-linux-ARCH.cdx.json    what it is made of (CycloneDX)
#   ovn-vip-VERSION.tgz                    the Helm chart
#   ovn-vip.yaml                           a manifest for krew: `kubectl ovn-vip`
#   SHA256SUMS
#
# The same commit gives the same archives: files are sorted, nobody's, and as old as the commit.
#
# Environment: RELEASE_URL, where the archives will lie, for krew; without it `kubectl krew install --manifest=ovn-vip.yaml --archive=FILE`.
set -euo pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=hack/lab/ovn-tree.sh
. "$HERE/lab/ovn-tree.sh"
cd "$HERE/.."
PATH=$PATH:${CARGO_HOME:-$HOME/.cargo}/bin

DIST=$PWD/target/dist
IMAGE=$PWD/target/image

packed() { # ARCHIVE FOLDER
  tar --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$(git log -1 --format=%ct)" -C "${2%/*}" -cf - "${2##*/}" | gzip -n9 >"$1"
}

# Of this machine's program: they are the same for every processor.
put_extras() { # PROGRAM FOLDER
  mkdir -p "$2/completions" "$2/man/man1"
  "$1" completions bash >"$2/completions/ovn-vip.bash"
  "$1" completions zsh >"$2/completions/_ovn-vip"
  "$1" completions fish >"$2/completions/ovn-vip.fish"
  "$1" man "$2/man/man1"
  rm -f "$2/man/man1/ovn-vip-man.1"
  cp LICENSE README.md CHANGELOG.md "$2"
}

archive() { # VERSION ARCH
  local name=ovn-vip-$1-linux-$2 folder
  folder=$DIST/.making/$name
  rm -rf "$DIST/.making"
  mkdir -p "$folder"
  put_extras "$IMAGE/$(dpkg --print-architecture)/ovn-vip" "$folder"
  cp "$IMAGE/$2/ovn-vip" "$folder"
  packed "$DIST/$name.tar.gz" "$folder"
  cp "$IMAGE/$2/ovn-vip.cdx.json" "$DIST/$name.cdx.json"
  cp "$IMAGE/ovn-vip-$2.tar" "$DIST/ovn-vip-$1-image-$2.tar"
  rm -rf "$DIST/.making"
}

# kubectl finds `kubectl ovn-vip` as a program kubectl-ovn_vip; krew makes that name for what `bin` says.
krew_manifest() { # VERSION ARCH…
  local version=$1 arch name
  cat <<HEAD
apiVersion: krew.googlecontainertools.github.com/v1alpha2
kind: Plugin
metadata:
  name: ovn-vip
spec:
  version: v$version
  shortDescription: See MetalLB VIPs on Kube-OVN underlay subnets
  description: |
    Says of each VIP who announces it, what is wrong with it and what to do (explain, status, check, plan, support).
    Reads the cluster of the kubeconfig, and writes nothing.
  platforms:
HEAD
  for arch in "${@:2}"; do
    name=ovn-vip-$version-linux-$arch
    cat <<PLATFORM
  - selector:
      matchLabels: {os: linux, arch: $arch}
    uri: ${RELEASE_URL:-https://localhost}/$name.tar.gz
    sha256: $(sha256sum "$DIST/$name.tar.gz" | cut -d' ' -f1)
    bin: ovn-vip
    files:
    - {from: $name/ovn-vip, to: .}
    - {from: $name/LICENSE, to: .}
PLATFORM
  done
}

main() {
  local version arch own
  case ${1:-} in -*) sed -n '2,/^set -/{/^set -/!s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}"; [ "$1" = --help ] || exit 2; exit 0 ;; esac
  own=$(dpkg --print-architecture)
  [ $# -gt 0 ] || set -- "$own"
  [ -z "$(git status --porcelain)" ] || die "the work tree has changes: a release is made of a commit"
  version=$(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml | head -n 1)
  [[ " $* " == *" $own "* ]] || "$HERE/image.sh" programs "$own"
  "$HERE/image.sh" "$@"
  rm -rf "$DIST"
  mkdir -p "$DIST"
  for arch in "$@"; do archive "$version" "$arch"; done
  krew_manifest "$version" "$@" >"$DIST/ovn-vip.yaml"
  "$HERE/helm.sh" package deploy/chart --destination "$DIST" >&2
  (cd "$DIST" && sha256sum -- ovn-vip-* ovn-vip.yaml >SHA256SUMS && sha256sum --check --quiet SHA256SUMS)
  ls -l "$DIST" >&2
}

main "$@"

#!/usr/bin/env bash
# The container image: a static program, FROM scratch, and what it is made of (a CycloneDX SBOM). As root on Debian.
#
#   hack/image.sh [ARCH…]             amd64, arm64; by default this machine's: target/image/ovn-vip-ARCH.tar, checked
#   hack/image.sh programs [ARCH…]    the programs and SBOMs alone: target/image/ARCH/
#   hack/image.sh pack [ARCH…]        the images alone, of programs that are there
#
# The archives are in OCI's layout: `skopeo copy oci-archive:FILE docker://…`, `podman load -i FILE`, `ctr image import FILE`.
# Debian's buildah makes them, with a storage of its own that is removed again: no daemon, no overlay file system.
# Another processor's program takes Debian's cross compiler and, unless rustup has that target, Debian sid's Rust, unpacked into
# the cache; it is run by qemu. A release build takes some minutes; IMAGE_PROFILE=dev is quicker, larger, and not for use.
set -euo pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=hack/lab/ovn-tree.sh
. "$HERE/lab/ovn-tree.sh"
# shellcheck source=hack/lab/go-program.sh
. "$HERE/lab/go-program.sh"
cd "$HERE/.."
PATH=$PATH:${CARGO_HOME:-$HOME/.cargo}/bin:/usr/sbin:/sbin

OUT=$PWD/target/image
PROFILE=${IMAGE_PROFILE:-release}
LARGEST=25000000 # bytes of a release's image
SBOM_TOOL=0.5.9

triple() { case $1 in amd64) printf 'x86_64-unknown-linux-gnu\n' ;; arm64) printf 'aarch64-unknown-linux-gnu\n' ;; *) die "'$1' is no ARCH: amd64 or arm64" ;; esac; }
own_arch() { dpkg --print-architecture; }
version() { cargo metadata --no-deps --format-version 1 | jq -r '.packages[] | select(.name == "ovn-vip") | .version'; }
commit() { git rev-parse --short=12 HEAD 2>/dev/null || true; }

install() { # PACKAGE…: those that are missing
  local package missing=()
  for package in "$@"; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing+=("$package")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  say "installing ${missing[*]}"
  { apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq --yes --no-install-recommends install "${missing[@]}"; } >&2 ||
    die "apt-get could not install ${missing[*]}: see its message above"
}

# ── the program ─────────────────────────────────────────────────────────────────────────────────────────────────────────

# What cargo needs to know for a processor; every variable names the target, so that build scripts are compiled as ever.
prepare_cargo() { # ARCH TRIPLE
  local upper=${2//-/_}
  upper=${upper^^}
  export "CARGO_TARGET_${upper}_RUSTFLAGS=-C target-feature=+crt-static" CARGO_PROFILE_RELEASE_STRIP=symbols CARGO_PROFILE_DEV_DEBUG=false
  [ "$1" != "$(own_arch)" ] || return 0
  install "gcc-${2/-unknown/}" "libc6-dev-$1-cross"
  export "CARGO_TARGET_${upper}_LINKER=${2/-unknown/}-gcc" "CC_${2//-/_}=${2/-unknown/}-gcc"
  [ -d "$(rustc --print target-libdir --target "$2")" ] || use_debians_rust "$1"
}

# Rustc of Debian sid, with the standard library of two processors, run in place by its own loader.
use_debians_rust() { # ARCH
  local tree libraries
  tree=$(cache_dir)/rust-$1
  libraries=$tree/usr/lib/$(uname -m)-linux-gnu
  mkdir -p "$(cache_dir)"
  FOREIGN=$1 unpack_debian "$tree" "Rust" rustc libstd-rust-dev "libstd-rust-dev:$1"
  printf '#!/bin/sh\nexec %q --library-path %q %q --sysroot %q "$@"\n' \
    "$(compgen -G "$libraries/ld-linux*.so.2")" "$libraries" "$tree/usr/bin/rustc" "$tree/usr" >"$tree/run-rustc"
  chmod +x "$tree/run-rustc"
  export RUSTC=$tree/run-rustc CARGO_TARGET_DIR=$PWD/target/debian-rust
}

program() { # ARCH
  local triple folder profile=$PROFILE
  triple=$(triple "$1")
  (
    prepare_cargo "$1" "$triple"
    export OVN_VIP_COMMIT=${OVN_VIP_COMMIT:-$(commit)}
    say "building the program for $1 ($PROFILE)…"
    cargo build --locked --profile "$PROFILE" --target "$triple" --bin ovn-vip || die "the build failed: see cargo's message above"
    [ "$profile" != dev ] || profile=debug
    folder=${CARGO_TARGET_DIR:-$PWD/target}/$triple/$profile
    rm -rf "${OUT:?}/$1"
    mkdir -p "$OUT/$1"
    cp "$folder/ovn-vip" "$OUT/$1/ovn-vip"
  )
  is_static "$1" || die "$OUT/$1/ovn-vip is not a static program for $1: $(file -b "$OUT/$1/ovn-vip")"
}

is_static() { # ARCH
  local said
  said=$(file -b "$OUT/$1/ovn-vip")
  case $1 in amd64) [[ $said == *x86-64* ]] ;; arm64) [[ $said == *aarch64* ]] ;; esac && [[ $said == *static* ]]
}

sbom() { # ARCH: what the program is made of
  local tool
  tool=$(cache_dir)/cargo-cyclonedx-$SBOM_TOOL
  [ -x "$tool/bin/cargo-cyclonedx" ] || cargo install --quiet --debug --locked --root "$tool" "cargo-cyclonedx@$SBOM_TOOL" ||
    die "could not build cargo-cyclonedx: see cargo's message above"
  SOURCE_DATE_EPOCH=$(git log -1 --format=%ct) "$tool/bin/cargo-cyclonedx" cyclonedx --quiet --format json --spec-version 1.5 --no-build-deps --target "$(triple "$1")" --override-filename ovn-vip.cdx
  mv ovn-vip.cdx.json "$OUT/$1/ovn-vip.cdx.json"
}

# ── the image ───────────────────────────────────────────────────────────────────────────────────────────────────────────

pack() { # ARCH
  local storage=$OUT/storage archive=$OUT/ovn-vip-$1.tar
  local buildah=(buildah --storage-driver vfs --root "$storage/root" --runroot "$storage/run")
  [ -x "$OUT/$1/ovn-vip" ] || die "no program for $1: run hack/image.sh programs $1"
  rm -rf "$storage" "$archive"
  "${buildah[@]}" build --quiet --isolation chroot --format oci --platform "linux/$1" --build-arg "TARGETARCH=$1" --timestamp 0 \
    --label "org.opencontainers.image.version=$(version)" --label "org.opencontainers.image.revision=$(commit)" \
    --file deploy/Dockerfile --tag "ovn-vip:$(version)" . >&2
  "${buildah[@]}" push --quiet "ovn-vip:$(version)" "oci-archive:$archive:ovn-vip:$(version)" >&2
  rm -rf "$storage"
  check "$1" "$archive"
}

# Started from the image's own root file system, as its own user, as a kubelet would.
check() { # ARCH ARCHIVE
  local root=$OUT/root run user size said
  run=$(size_and_root "$2" "$root")
  read -r size user <<<"$run"
  [ "$PROFILE" != release ] || [ "$size" -le "$LARGEST" ] || die "$2 is $size bytes: more than $LARGEST"
  diff -r "$OUT/$1" "$root" >&2 || die "$2 does not hold exactly what is in $OUT/$1"
  if [ "$1" != "$(own_arch)" ]; then
    install qemu-user-static
    mkdir -p "$root/usr/bin"
    cp "/usr/bin/qemu-$(uname_of "$1")-static" "$root/emulator"
    run="/emulator /ovn-vip"
  else
    run=/ovn-vip
  fi
  cp -r examples/underlay "$root/cluster"
  printf '127.0.0.1 a-name\n' | install_file "$root/etc/hosts"
  # shellcheck disable=SC2086 # the emulator and its argument
  in_root() { chroot --userspec="$user" "$root" $run "$@"; }
  in_root --version >&2
  in_root check -f /cluster >&2 || die "the image's program does not read a cluster"
  # Names are resolved without any file of the image's: nothing listens there, and that is what it must find out.
  said=$(in_root status a-name:9 2>&1) || true
  [[ $said == *refused* ]] || die "the image's program does not resolve names: $said"
  rm -rf "$root"
  printf '%s: %s bytes compressed, as user %s\n' "${2#"$PWD"/}" "$size" "$user"
}

install_file() { mkdir -p "${1%/*}" && cat >"$1"; }
uname_of() { case $1 in amd64) printf 'x86_64\n' ;; arm64) printf 'aarch64\n' ;; esac; }

size_and_root() { # ARCHIVE FOLDER: unpacks its layers -> SIZE USER
  local blobs=$OUT/blobs manifest digest
  rm -rf "$blobs" "$2"
  mkdir -p "$blobs" "$2"
  tar -xf "$1" -C "$blobs"
  blob() { printf '%s/blobs/%s\n' "$blobs" "${1/://}"; }
  manifest=$(blob "$(jq -r '.manifests[0].digest' "$blobs/index.json")")
  for digest in $(jq -r '.layers[].digest' "$manifest"); do tar -xf "$(blob "$digest")" -C "$2"; done
  printf '%s %s\n' "$(stat -c %s "$1")" "$(jq -r '.config.User' "$(blob "$(jq -r .config.digest "$manifest")")")"
  rm -rf "$blobs"
}

main() {
  local what=all arch
  case ${1:-} in
  programs | pack) what=$1; shift ;;
  -*) sed -n '2,/^set -/{/^set -/!s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}"; [ "$1" = --help ] || exit 2; exit 0 ;;
  esac
  [ $# -gt 0 ] || set -- "$(own_arch)"
  for arch in "$@"; do triple "$arch" >/dev/null; done
  [ "$(id -u)" = 0 ] || die "buildah's storage and chroot need root: run it as root"
  install file jq
  [ "$what" = pack ] || for arch in "$@"; do
    program "$arch"
    [ "$PROFILE" = dev ] || sbom "$arch"
  done
  [ "$what" != programs ] || return 0
  install buildah
  for arch in "$@"; do pack "$arch"; done
}

main "$@"

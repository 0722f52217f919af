# shellcheck shell=bash
# Programs that the tests build from Go modules, and those they unpack from Debian. Sourced after ovn-tree.sh; it runs
# nothing by itself. BUILDING names the folder for what is compiled or fetched on the way.

# From sid into FOLDER, which appears only when it is whole. FOREIGN names a second processor whose packages are known, as NAME:ARCH.
unpack_debian() { # FOLDER WHAT PACKAGE...
  local folder=$1 what=$2 deb
  shift 2
  [ ! -d "$folder" ] || return 0
  say "fetching $what of Debian sid"
  rm -rf "$folder".{apt,making}
  apt_state "$folder.apt" sid || exit 1
  [ -z "${FOREIGN:-}" ] || printf 'APT::Architectures { "%s"; "%s"; };\n' "$(dpkg --print-architecture)" "$FOREIGN" >>"$folder.apt/apt.conf"
  retry 4 download_packages "$folder.apt" "$@" ||
    die "could not fetch $what (apt's message is above); OVN_VIP_DEBIAN_MIRROR=URL names another mirror"
  mkdir "$folder.making"
  for deb in "$folder.apt"/cache/archives/*.deb; do
    dpkg-deb --extract "$deb" "$folder.making" || die "could not unpack ${deb##*/}: is the disk full?"
  done
  mv -T "$folder.making" "$folder"
  rm -rf "$folder.apt"
}

go_version() { GOTOOLCHAIN=local "$1" env GOVERSION 2>/dev/null | sed 's/^go//'; }

pick_go() { # MODULE: sets GO
  local oldest
  oldest=$(sed -n 's/^go //p' "$1/go.mod")
  for GO in "$(command -v go)" /usr/local/go/bin/go /usr/lib/go-*/bin/go; do
    [ ! -x "$GO" ] || ! at_least "$(go_version "$GO")" "$oldest" || return 0
  done
  unpack_debian "$BUILDING/debian" "Go" golang-go
  for GO in "$BUILDING"/debian/usr/lib/go-*/bin/go; do
    ! at_least "$(go_version "$GO")" "$oldest" || return 0
  done
  die "no Go of at least $oldest, neither here nor in Debian sid: install one from https://go.dev/dl"
}

# A build that was interrupted goes on where it was, from what lies in BUILDING.
go_build() { # MODULE OUTPUT PACKAGE LDFLAGS
  cd "$1" && env -u GOROOT CGO_ENABLED=0 GOTOOLCHAIN=local GOWORK=off GOFLAGS='-modcacherw -mod=readonly' \
    GOCACHE="$BUILDING/cache" GOPATH="$BUILDING/go" "$GO" build -v -trimpath -buildvcs=false \
    -ldflags "-s -w $4" -o "$2" "$3" 2>&1 | progress >&2
}

# Go names each module that it fetches and each package that it compiles; what else it says is worth reading.
progress() {
  awk '/^go: downloading/ { if (!fetched++) print "  fetching Go modules"; fflush(); next }
    /^[^ :]+$/ { if (++compiled % 200 == 0) print "  compiled " compiled " packages"; fflush(); next }
    { print; fflush() }'
}

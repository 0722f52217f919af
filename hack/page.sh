#!/usr/bin/env bash
# The controller's page in a real browser, headless: screenshots in light and dark, with 2 and with 1,000 VIPs, to be looked at.
#
#   hack/page.sh [FOLDER]      target/page by default; as root on Debian: it installs chromium where that is missing
#
# What the page shows is made by the controller's own code, of a cluster with faults in it (src/controller/page/tests.rs). Beside
# the pictures the script reads what the browser made of it: each VIP is drawn, what is wrong comes first and is not told by colour
# alone, the keyboard reaches the filter, nothing outside is asked for, and no script failed.
set -euo pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=hack/lab/ovn-tree.sh
. "$HERE/lab/ovn-tree.sh"
cd "$HERE/.."
PATH=$PATH:${CARGO_HOME:-$HOME/.cargo}/bin

OUT=${1:-$PWD/target/page}
case $OUT in -*) sed -n '2,/^set -/{/^set -/!s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}"; [ "$OUT" = --help ] || exit 2; exit 0 ;; esac

install() {
  command -v chromium >/dev/null && return
  say "installing chromium"
  { apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq --yes --no-install-recommends install chromium fonts-dejavu-core; } >&2 ||
    die "apt-get could not install chromium: see its message above"
}

main() {
  install
  mkdir -p "$OUT"
  PAGE_OUT=$OUT cargo test --quiet --features lab --lib -- --exact controller::page::tests::what_hack_page_shows >&2
  cp src/telemetry/page.html "$OUT/page.html"
  python3 hack/page/look.py "$OUT"
}

main

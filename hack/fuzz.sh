#!/usr/bin/env bash
# Coverage-guided fuzzing of every parser that reads a stranger's bytes. The tests replay the corpus (tests/corpus.rs); this
# looks for what is not in it yet, and is for an afternoon.
#
#   hack/fuzz.sh [TARGET...]          these, else all: hack/fuzz/targets/ has one file for each
#   hack/fuzz.sh --keep [TARGET...]   adds to tests/corpus/<target>/ inputs found that cover more code, up to 60
#
# For each target one line: executions, executions a second, crashes. What crashes it is left in hack/fuzz/artifacts/<target>/,
# and the exit code is 1: mend it, and put the file into tests/corpus/<target>/ under a name that tells what it is. New inputs
# are kept in hack/fuzz/corpus/<target>/, which is not committed.
#
# The toolchain is the one in rust-toolchain.toml; cargo-fuzz is installed where it is missing.
#
# Environment: FUZZ_RUNS (10000000) executions of each target; FUZZ_SECONDS (0: no limit) for each; FUZZ_JOBS (2) targets at a time.
set -euo pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cd "$HERE/.."
PATH=$PATH:${CARGO_HOME:-$HOME/.cargo}/bin
export RUSTC_BOOTSTRAP=1 # cargo-fuzz asks for coverage by an unstable flag; there is no nightly here

MOST_FILES=60 # as in tests/corpus.rs

# The parsers are safe Rust, so that a panic is all that a sanitizer could find as well.
cargo_fuzz() { cargo fuzz "$1" --fuzz-dir hack/fuzz --sanitizer none "${@:2}"; }

longest_input() { # TARGET: what is longer finds nothing new, slower
  case $1 in
  arp) echo 64 ;;
  dot1q | ndp) echo 128 ;;
  beat) echo 400 ;;
  ovsdb_value) echo 320 ;;
  openflow | ovsdb_framing | ovsdb_update) echo 512 ;;
  responder) echo 700 ;;
  *) echo 1024 ;;
  esac
}

fuzz() { # TARGET: its line, and whether nothing crashed
  local target=$1 log=hack/fuzz/artifacts/$1.log code=0 runs rate crashes
  mkdir -p "hack/fuzz/corpus/$target" "hack/fuzz/artifacts/$target"
  cargo_fuzz run "$target" "hack/fuzz/corpus/$target" "tests/corpus/$target" -- \
    -runs="${FUZZ_RUNS:-10000000}" -max_total_time="${FUZZ_SECONDS:-0}" -max_len="$(longest_input "$target")" \
    -timeout=10 -print_final_stats=1 >"$log" 2>&1 || code=$?
  runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
  rate=$(sed -n 's/^stat::average_exec_per_sec: *//p' "$log")
  crashes=$(find "hack/fuzz/artifacts/$target" -type f | wc -l)
  printf '%-14s %10s executions  %7s exec/s  %s crashes\n' "$target" "${runs:-?}" "${rate:-?}" "$crashes"
  if [ "$code" != 0 ]; then
    printf '%s: it ended with %s; the end of %s:\n' "$target" "$code" "$log" >&2
    tail -n 20 "$log" >&2
  fi
  [ "$code" = 0 ] && [ "$crashes" = 0 ]
}

keep() { # TARGET: what reaches an edge that no other does; those that reach most, where the tests take no more files
  local target=$1 folder=tests/corpus/$1
  mkdir -p "hack/fuzz/corpus/$target" hack/fuzz/artifacts
  cargo_fuzz run "$target" "$folder" "hack/fuzz/corpus/$target" -- -set_cover_merge=1 -use_counters=0 \
    -max_len=4096 >"hack/fuzz/artifacts/$target.log" 2>&1
  drop_smallest "$folder"
  printf '%-14s %3s files, %6s bytes\n' "$target" "$(find "$folder" -type f | wc -l)" "$(cat "$folder"/* | wc -c)"
}

drop_smallest() { # FOLDER: of the files that libFuzzer has named by their hash
  local name
  find "$1" -type f -regextype posix-egrep -regex '.*/[0-9a-f]{40}' -printf '%s %p\n' | sort -n | cut -d ' ' -f 2- |
    head -n "$(($(find "$1" -type f | wc -l) > MOST_FILES ? $(find "$1" -type f | wc -l) - MOST_FILES : 0))" |
    while read -r name; do rm "$name"; done
}

main() {
  local target what=fuzz
  case ${1:-} in
  --one) fuzz "$2"; return ;; # of our own xargs, below
  --keep) what=keep; shift ;;
  -*) sed -n '2,/^set -/{/^set -/!s/^# \{0,1\}//p}' "$HERE/fuzz.sh"; [ "$1" = --help ] || exit 2; exit 0 ;;
  esac
  if [ $# = 0 ]; then
    for target in hack/fuzz/targets/*.rs; do set -- "$@" "$(basename "$target" .rs)"; done
  fi
  cargo fuzz --version >/dev/null 2>&1 || cargo install --locked cargo-fuzz
  cargo_fuzz build
  if [ "$what" = keep ]; then
    for target in "$@"; do keep "$target"; done
    return
  fi
  printf '%s\n' "$@" | xargs -n 1 -P "${FUZZ_JOBS:-2}" "$HERE/fuzz.sh" --one
}

main "$@"

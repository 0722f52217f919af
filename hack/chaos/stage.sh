# Sourced by hack/chaos.sh: a lab with a controller, three speakers and a watch on it. Uses LAB, VIP4, VLAN.
# shellcheck shell=bash

CHAOS_DIR=/run/ovn-vip-chaos/${LAB_PREFIX%-}
CLUSTER=$CHAOS_DIR/cluster

build() {
  [ -z "${OVN_VIP:-}" ] || return 0
  command -v cargo >/dev/null || die "no cargo: install Rust with rustup (https://rustup.rs), or set OVN_VIP to a built binary"
  say "building…"
  cargo build --locked --quiet || die "the build failed: see cargo's message above"
  OVN_VIP=${CARGO_TARGET_DIR:-$PWD/target}/debug/ovn-vip
}

program() { # NAME COMMAND...: in the background; NAME.log and NAME.pid are its traces
  # From a shell of its own: a fault may kill it, and this one need not tell.
  (
    setsid "${@:2}" </dev/null >>"$CHAOS_DIR/$1.log" 2>&1 &
    printf '%s\n' "$!" >"$CHAOS_DIR/$1.pid"
  )
}

pid_of() { cat "$CHAOS_DIR/$1.pid"; } # NAME

end_program() { # NAME [SIGNAL]: ours is one that was given our folder
  local pid
  pid=$(pid_of "$1" 2>/dev/null) || return 0
  if grep -qsF -e "$CHAOS_DIR" "/proc/$pid/cmdline"; then
    kill "-${2:-TERM}" "$pid"
    while [ -e "/proc/$pid" ] && ! grep -qs '^State:.Z' "/proc/$pid/status"; do sleep 0.02; done
  fi
  rm -f "$CHAOS_DIR/$1.pid"
}

start_controller() {
  program controller "$OVN_VIP" controller --cluster-dir "$CLUSTER" --ovn-nb "$LAB_NB" --ovn-sb "$LAB_SB"
}

start_speaker() { # NODE
  program "$1" "$LAB" x "$1" "$OVN_VIP" speaker --cluster-dir "$CLUSTER" --node "$1" --ovs "unix:$LAB_DIR/$1/db.sock"
}

start_stage() {
  local node
  end_stage
  mkdir -p "$CLUSTER"
  if [ "$VLAN" = 0 ]; then cp examples/underlay/*.yaml "$CLUSTER"; else cp examples/underlay-vlan341/*.yaml "$CLUSTER"; fi
  "$LAB" up "$VLAN"
  eval "$("$LAB" env)"
  prepare
  start_controller
  for node in $LAB_NODES; do start_speaker "$node"; done
  program watch "$LAB" x client python3 hack/chaos/watch.py "$VIP4" "$CHAOS_DIR/watch"
}

end_stage() {
  local file
  [ -d "$CHAOS_DIR" ] || return 0
  for file in "$CHAOS_DIR"/*.pid; do
    [ -e "$file" ] || continue
    file=${file##*/}
    # One that the fault paused does not end before it goes on.
    kill -CONT "$(pid_of "${file%.pid}")" 2>/dev/null || true
    end_program "${file%.pid}" KILL
  done
  "$LAB" down
  if [ -n "${CHAOS_KEEP:-}" ] && [ -n "${FAULT:-}" ]; then
    rm -rf "$CHAOS_DIR-last"
    cp -r "$CHAOS_DIR" "$CHAOS_DIR-last"
  fi
  rm -rf "$CHAOS_DIR"
  rmdir /run/ovn-vip-chaos 2>/dev/null || true
}

recent() { tail -n "$1" "$CHAOS_DIR/watch" 2>/dev/null; } # LINES of the watch

is_healthy() { # every request of the last second was answered, and one host answers ARP
  local last
  last=$(recent 70)
  [ "$(grep -c '"ok": true' <<<"$last")" -ge 45 ] && ! grep -q '"ok": false' <<<"$last" && [ -n "$(holder)" ]
}

await_health() {
  local began=$SECONDS
  until is_healthy; do
    if [ $((SECONDS - began)) -gt 40 ]; then
      tail -vn 5 "$CHAOS_DIR"/*.log >&2
      die "the VIP is not served: $FAULT"
    fi
    sleep 0.1
  done
}

holder() { # -> the node that answered ARP last
  local mac
  mac=$(recent 300 | sed -n 's/.*"mac": "02:00:00:00:00:0\(.\)".*/\1/p' | tail -n 1)
  [ -z "$mac" ] || printf 'node%s\n' "$mac"
}

other_than() { if [ "$1" = node1 ]; then echo node2; else echo node1; fi; } # NODE: the other one that has a backend

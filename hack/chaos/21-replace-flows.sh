# shellcheck shell=bash disable=SC2034
FAULT="kube-ovn-cni's replacing of all flows, from a dump, five times"
PROMISE="nothing lost"
break_it() {
  local turn
  for turn in 1 2 3 4 5; do
    "$LAB" of "$HOLDER" --no-stats --no-names dump-flows br-provider | grep -v '^ *OFPST\|^NXST' | sed 's/^ *//' >"$CHAOS_DIR/flows.$turn"
    "$LAB" of "$HOLDER" --bundle replace-flows br-provider "$CHAOS_DIR/flows.$turn"
  done
}

# shellcheck shell=bash disable=SC2034
FAULT="the Vlan's id is not the localnet port's tag (342, and 341 in OVN)"
PROMISE="named by check, with both numbers"
VLAN=341 WATCH=3 HEALS_MS=any LOSES=any SILENT_MS=any
break_it() {
  sed 's/id: 341$/id: 342/' "$CLUSTER/01-subnet.yaml" >"$CHAOS_DIR/edited"
  mv "$CHAOS_DIR/edited" "$CLUSTER/01-subnet.yaml"
  put "$CLUSTER/01-subnet.yaml"
}
mend_it() {
  cp examples/underlay-vlan341/01-subnet.yaml "$CLUSTER"
  put "$CLUSTER/01-subnet.yaml"
}
look() {
  local said
  said=$("$OVN_VIP" check -f "$CLUSTER" --ovn-nb "$LAB_NB" 2>&1 || true)
  if grep -q 342 <<<"$said" && grep -q 341 <<<"$said"; then echo "check names both"; else
    echo "check does not name both"
    return 1
  fi
}
DARK='has number 342, and localnet port'
darken() { break_it; }
brighten() { mend_it; }

# shellcheck shell=bash disable=SC2034
FAULT="the ports of the announcing node's pods taken out of br-int"
PROMISE="let go within 1 s, another node within 1 s more"
SILENT_MS=2000 HEALS_MS=2000 LOSES=120
ports() { case $1 in node1) echo p11 p12 ;; *) echo p21 ;; esac; } # NODE
break_it() {
  local pod commands=()
  for pod in $(ports "$HOLDER"); do commands+=(-- del-port br-int "$pod"); done
  "$LAB" vs "$HOLDER" "${commands[@]:1}"
}
mend_it() {
  local pod
  for pod in $(ports "$HOLDER"); do "$LAB" vs "$HOLDER" add-port br-int "$pod" -- set interface "$pod" "external_ids:iface-id=$pod.default"; done
  "$LAB" nb --wait=hv sync
}
DARK='no chassis has its port'

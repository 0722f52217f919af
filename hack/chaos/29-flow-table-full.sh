# shellcheck shell=bash disable=SC2034
FAULT="the provider bridge's flow table full on the announcing node, and our rules deleted from it"
PROMISE="let go within 1 s, another node within 1 s more"
SILENT_MS=2000 HEALS_MS=2000 LOSES=120
break_it() {
  "$LAB" vs "$HOLDER" --id=@full create Flow_Table flow_limit=1 overflow_policy=refuse -- set Bridge br-provider flow_tables:0=@full
  "$LAB" of "$HOLDER" del-flows br-provider 'cookie=0x6f766e2d76697000/0xffffffffffffff00'
}
mend_it() { "$LAB" vs "$HOLDER" clear Bridge br-provider flow_tables; sleep 2; }
DARK='cannot deliver'

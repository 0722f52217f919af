# shellcheck shell=bash disable=SC2034
FAULT="Kube-OVN's clean-up at its start: every Load_Balancer that it does not know deleted"
PROMISE="back at once"
HEALS_MS=500 LOSES=25
prepare_it() { # the fault is what is deleted, not how long it takes to list it
  local row
  CLEAN_UP=()
  for row in $("$LAB" nb --bare --columns=_uuid list Load_Balancer); do CLEAN_UP+=(-- destroy Load_Balancer "$row"); done
}
break_it() { "$LAB" nb "${CLEAN_UP[@]:1}"; }
DARK='northbound: it is not as it should be'
darken() { # nobody puts it back
  end_program controller
  break_it
}
brighten() { start_controller; }

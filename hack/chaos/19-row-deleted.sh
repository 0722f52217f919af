# shellcheck shell=bash disable=SC2034
FAULT="our Load_Balancer row deleted by hand"
PROMISE="back at once"
HEALS_MS=500 LOSES=25
break_it() { "$LAB" nb lb-del default/nginx/tcp; }
DARK='northbound: it is not as it should be'
darken() { # nobody puts it back
  end_program controller
  break_it
}
brighten() { start_controller; }

# shellcheck shell=bash disable=SC2034
FAULT="our rules deleted from the announcing node's bridge"
PROMISE="back at once"
HEALS_MS=300 LOSES=15
break_it() { "$LAB" of "$HOLDER" del-flows br-provider 'cookie=0x6f766e2d76697000/0xffffffffffffff00'; }
DARK='has not been heard since'
darken() { # nobody puts them back
  on_each_node end_speaker
  on_each_node break_it
}
brighten() { start_speaker node1; start_speaker node2; }
end_speaker() { end_program "$HOLDER" KILL; }

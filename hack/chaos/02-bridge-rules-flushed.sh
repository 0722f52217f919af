# shellcheck shell=bash disable=SC2034
FAULT="our rules deleted from the announcing node's bridge"
PROMISE="back at once"
HEALS_MS=300 LOSES=15
break_it() { "$LAB" of "$HOLDER" del-flows br-provider 'cookie=0x6f766e2d76697000/0xffffffffffffff00'; }

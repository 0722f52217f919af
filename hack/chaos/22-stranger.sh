# shellcheck shell=bash disable=SC2034
FAULT="a stranger's two gratuitous ARPs, 1.5 s apart"
PROMISE="defended at once, and held"
STRANGER=02:00:00:00:66:66
HEALS_MS=5000 LOSES=10 WATCH=8
break_it() {
  "$LAB" x gw python3 hack/chaos/stranger.py "$VIP4" "$STRANGER" eth0
  sleep 1.5
  "$LAB" x gw python3 hack/chaos/stranger.py "$VIP4" "$STRANGER" eth0
}

# shellcheck shell=bash disable=SC2034
FAULT="a Service whose endpoint OVN does not have, on the same VIP; then the announcing speaker restarts"
PROMISE="the good Service is served on"
HEALS_MS=1000 LOSES=10 SILENT_MS=3000 WATCH=10
break_it() {
  put hack/chaos/bad-neighbour.yaml
  sleep 2
  end_program "$HOLDER"
  start_speaker "$HOLDER"
}
mend_it() { kube delete --filename hack/chaos/bad-neighbour.yaml; }

# shellcheck shell=bash disable=SC2034
FAULT="the API server answers 500 to everything, for a minute"
PROMISE="nothing lost, nothing moves"
WATCH=64
break_it() {
  end_program apiserver KILL
  program answers-500 python3 hack/chaos/answers500.py "$API_PORT" "$CHAOS_DIR/certificates"
  sleep 60
  end_program answers-500 KILL
  start_apiserver
}
mend_it() { await_apiserver; }

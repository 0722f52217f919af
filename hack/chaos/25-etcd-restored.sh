# shellcheck shell=bash disable=SC2034
FAULT="etcd restored to an older state, with its API server started anew"
PROMISE="nothing lost, nothing moves"
WATCH=12
prepare_it() { # what etcd forgets: a Service of the time after, and hundreds of versions
  end_program etcd
  cp -r "$CHAOS_DIR/etcd" "$CHAOS_DIR/etcd.older"
  start_etcd
  await_apiserver
  put hack/chaos/bad-neighbour.yaml
  local number
  for number in {1..100}; do printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: later-%s}\n---\n' "$number"; done |
    kube create --validate=false --filename - >/dev/null
}
break_it() {
  end_program apiserver KILL
  end_program etcd
  rm -rf "$CHAOS_DIR/etcd"
  mv "$CHAOS_DIR/etcd.older" "$CHAOS_DIR/etcd"
  start_etcd
  start_apiserver
}
look() { # the Service is forgotten, and so is its row
  local rows
  await_apiserver
  rows=$("$LAB" nb --bare --columns=name list Load_Balancer | xargs)
  case $rows in *nginx*) ;; *) echo "the good Service's row is gone" && return 1 ;; esac
  echo "rows: $rows"
}

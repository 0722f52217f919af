#!/usr/bin/env bash
# How long a changed source range takes, from the write of the Service's file to the client: closed, and open again, on the lab's
# real OVN. Of it 20 ms are the wait for the writer of a file, which an API server does without. docs/benchmarks.md has the table.
#
#   hack/bench-range-change.sh [RUNS]     5
#
# Environment: OVN_VIP, the program (target/release/ovn-vip); LAB_ROOT, another OVN; LAB_PREFIX (vipc-). It needs root, as the lab does.
set -euo pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
RUNS=${1:-5}
OVN_VIP=$(realpath "${OVN_VIP:-$HERE/../target/release/ovn-vip}")
export LAB_PREFIX=${LAB_PREFIX:-vipc-}
[ -x "$OVN_VIP" ] || { echo "no $OVN_VIP: cargo build --release" >&2; exit 1; }

WORK=$(mktemp -d)
PIDS=()
# shellcheck disable=SC2317 # the trap calls it
clean_up() {
  kill "${PIDS[@]}" || true
  "$HERE/lab.sh" down
  rm -rf "$WORK"
}
trap clean_up EXIT
"$HERE/lab.sh" up
eval "$("$HERE/lab.sh" env)"
cp -r "$HERE/../examples/underlay" "$WORK/cluster"

ranges() { # OTHER-CLIENTS...: sets the ranges of the Service dns, at once
  local list='"192.0.2.0/24"' range
  for range in "$@"; do list+=", \"$range\""; done
  sed "s|^  type: LoadBalancer|  type: LoadBalancer\n  loadBalancerSourceRanges: [$list]|" "$HERE/../examples/underlay/04-dns.yaml" >"$WORK/new.yaml"
  mv "$WORK/new.yaml" "$WORK/cluster/.new"
  date +%s%6N
  mv "$WORK/cluster/.new" "$WORK/cluster/04-dns.yaml"
}

in_netns() { # NAMESPACE COMMAND...
  local namespace=$1
  shift
  exec nsenter --net="/run/netns/${LAB_PREFIX}$namespace" "$@"
}

cat >"$WORK/ask.py" <<'PY'
import selectors, socket, sys, time
# A datagram each millisecond, each from a port of its own, for two seconds; prints when each was sent, and whether it was answered.
selector, sent = selectors.DefaultSelector(), []
end, due = time.time() + 2, time.time()
while time.time() < end + 0.2:
    now = time.time()
    if now >= due and now < end:
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.setblocking(False)
        sock.connect(("10.180.204.252", 53))
        entry = [now, False]
        sock.send(b"who are you?\n")
        selector.register(sock, selectors.EVENT_READ, entry)
        sent.append(entry)
        due = max(due + 0.001, now)
    for key, _ in selector.select(timeout=max(0, min(due - time.time(), 0.01))):
        key.data[1] = True
        selector.unregister(key.fileobj)
        key.fileobj.close()
for at, answered in sent:
    print(int(at * 1e6), int(answered))
PY

(in_netns central "$OVN_VIP" controller --cluster-dir "$WORK/cluster" --ovn-nb "$LAB_NB" --ovn-sb "$LAB_SB" >"$WORK/controller.log" 2>&1) &
PIDS+=($!)
for node in node1 node2; do
  database=LAB_${node^^}_DB
  (in_netns "$node" "$OVN_VIP" speaker --node "$node" --cluster-dir "$WORK/cluster" --ovs "${!database}" >"$WORK/$node.log" 2>&1) &
  PIDS+=($!)
done
until cat "$WORK"/node?.log | grep -q 'announcing vip=10.180.204.252 '; do sleep 0.1; done

took() { # WRITTEN ANSWERED: ms from the write to the first datagram that was answered (1), or from which on none was (0)
  awk -v written="$1" -v wanted="$2" '
    $1 >= written { if ($2 != wanted) last = $1; else if (!first || (!wanted && last > first)) first = $1 }
    END { printf "%.1f\n", (first - written) / 1000 }' "$WORK/asked"
}

measure() { # ANSWERED RANGE...
  local answered=$1 written
  shift
  (in_netns client python3 "$WORK/ask.py" >"$WORK/asked") &
  local asking=$!
  sleep 0.5
  written=$(ranges "$@")
  wait "$asking"
  took "$written" "$answered"
}

ranges 10.180.204.100/32 >/dev/null
sleep 1
printf '%-8s %12s %12s\n' run 'closed, ms' 'open, ms'
for run in $(seq "$RUNS"); do
  closed=$(measure 0)
  sleep 0.5
  open=$(measure 1 10.180.204.100/32)
  sleep 0.5
  printf '%-8s %12s %12s\n' "$run" "$closed" "$open"
done

#!/usr/bin/env python3
"""An API server of so many Services, a real speaker that reads it, and changes of single endpoints.

Run by hack/bench-speaker.sh churn in a node's namespace. It serves lists and watches of what a speaker reads, and takes what
one writes; it is no test of either. One endpoint of one Service changes at a time, on a node of its own.
Prints one row of a table: the speaker's CPU for each change, and how long the answers to ARP took meanwhile.
"""
import argparse
import ipaddress
import json
import os
import queue
import random
import subprocess
import sys
import threading
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlparse

NET = int(ipaddress.ip_address("10.100.0.0"))
NODES = ["node1", "node2", "node3"]
CORE, KUBE_OVN = "/api/v1/", "/apis/kubeovn.io/v1/"
SLICES, LEASES = "/apis/discovery.k8s.io/v1/endpointslices", "/apis/coordination.k8s.io/v1/namespaces/ovn-vip/leases"


def address(number):
    return str(ipaddress.ip_address(NET + number))


def vip(number):
    return address(256 + number)


def pod(number, at):
    return address(32768 + 2 * (number % 16000) + at)


class Cluster:
    """Objects by path of their kind, with those who watch them."""

    def __init__(self, services, steering):
        self.lock, self.version = threading.Lock(), 1000
        self.watchers, self.kinds = {}, {}
        # Of each Service one backend is there always, and one comes and goes; both on one node, so that none is elected anew.
        self.places = ("node1", "node1") if steering == "all" else ("node2", "node2")
        put = lambda path, objects: self.kinds.__setitem__(path, {self.key(one): one for one in objects})
        put(CORE + "services", [self.service(n) for n in range(services)])
        put(SLICES, [self.slice(n, True) for n in range(services)])
        put(CORE + "nodes", [self.node(name) for name in NODES])
        meta = lambda name: {"name": name, "uid": name, "resourceVersion": "1000"}
        put(KUBE_OVN + "subnets", [{"metadata": meta("underlay-subnet"), "spec": {
            "protocol": "IPv4", "cidrBlock": "10.100.0.0/16", "gateway": address(65534),
            "excludeIps": [address(65534), vip(0) + ".." + vip(30000)], "vlan": "vlan", "enableExternalLBAddress": True}}])
        put(KUBE_OVN + "vlans", [{"metadata": meta("vlan"), "spec": {"id": 0, "provider": "provider"}}])
        put(KUBE_OVN + "provider-networks", [{"metadata": meta("provider"), "spec": {"defaultInterface": "underlay0"}}])
        put(LEASES, [])

    @staticmethod
    def key(one):
        return one["metadata"].get("namespace", "") + "/" + one["metadata"]["name"]

    def node(self, name):
        return {"metadata": {"name": name, "uid": name, "resourceVersion": "1000",
                             "labels": {"provider.provider-network.kubernetes.io/ready": "true"},
                             "annotations": {"ovn.kubernetes.io/chassis": name}},
                "status": {"conditions": [{"type": "Ready", "status": "True"}],
                           "addresses": [{"type": "InternalIP", "address": f"172.30.0.1{name[-1]}"}]}}

    def service(self, n):
        return {"metadata": {"name": f"s{n}", "namespace": "default", "uid": f"s{n}", "resourceVersion": "1000"},
                "spec": {"type": "LoadBalancer", "externalTrafficPolicy": "Local",
                         "ports": [{"name": "http", "protocol": "TCP", "port": 80, "targetPort": 80}]},
                "status": {"loadBalancer": {"ingress": [{"ip": vip(n)}]}}}

    def slice(self, n, ready, places=None):
        places = places or self.places
        endpoint = lambda at, ready: {"addresses": [pod(n, at)], "nodeName": places[at], "conditions": {"ready": ready}}
        return {"metadata": {"name": f"s{n}", "namespace": "default", "resourceVersion": str(self.version),
                             "labels": {"kubernetes.io/service-name": f"s{n}"}},
                "addressType": "IPv4", "endpoints": [endpoint(0, True), endpoint(1, ready)],
                "ports": [{"name": "http", "protocol": "TCP", "port": 80}]}

    def change(self, path, one):
        with self.lock:
            self.version += 1
            one["metadata"]["resourceVersion"] = str(self.version)
            kind = "MODIFIED" if self.key(one) in self.kinds[path] else "ADDED"
            self.kinds[path][self.key(one)] = one
            for watcher in self.watchers.get(path, []):
                watcher.put({"type": kind, "object": one})
        return one


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    cluster = None

    def log_message(self, *_):
        pass

    def answer(self, code, body):
        text = json.dumps(body).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def do_GET(self):
        url, cluster = urlparse(self.path), self.cluster
        if url.path not in cluster.kinds:
            return self.answer(404, {"kind": "Status", "status": "Failure", "reason": "NotFound", "code": 404, "message": "none"})
        if "watch" in parse_qs(url.query):
            return self.watch(url.path)
        with cluster.lock:
            query = parse_qs(url.query)
            items, start = list(cluster.kinds[url.path].values()), int(query.get("continue", ["0"])[0])
            end = start + int(query.get("limit", ["500"])[0])
            meta = {"resourceVersion": str(cluster.version)}
            if end < len(items):
                meta["continue"] = str(end)
            self.answer(200, {"kind": "List", "apiVersion": "v1", "metadata": meta, "items": items[start:end]})

    def watch(self, path):
        events = queue.Queue()
        with self.cluster.lock:
            self.cluster.watchers.setdefault(path, []).append(events)
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        while True:
            text = json.dumps(events.get()).encode() + b"\n"
            try:
                self.wfile.write(b"%x\r\n%s\r\n" % (len(text), text))
                self.wfile.flush()
            except OSError:
                return

    def body(self):
        return json.loads(self.rfile.read(int(self.headers["Content-Length"])))

    def do_PATCH(self):
        path, one = urlparse(self.path).path.rsplit("/", 1)[0], self.body()
        one["metadata"].update(namespace="ovn-vip", uid="lease")
        self.answer(200, self.cluster.change(path, one))

    def do_POST(self):
        self.answer(201, self.body())


def cpu(pid):
    """Seconds on a CPU (proc(5), schedstat), of all its threads."""
    tasks = [open(f"/proc/{pid}/task/{task}/schedstat").read().split()[0] for task in os.listdir(f"/proc/{pid}/task")]
    return sum(map(int, tasks)) / 1e9


def metrics(port):
    text = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30).read().decode()
    return {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if not line.startswith("#")}


def steady(pid):
    """Waits until the speaker does nothing but its rounds."""
    before = cpu(pid)
    while True:
        time.sleep(2)
        after = cpu(pid)
        if after - before < 0.15:
            return
        before = after


def memory(pid):
    for line in open(f"/proc/{pid}/status"):
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024


def probe(arguments, seconds):
    """The lab's client asks for VIPs; gives the times of the answers, in ms, sorted."""
    command = arguments.client.split() + [sys.executable, os.path.join(os.path.dirname(__file__), "arp.py"),
                                          vip(0), str(min(arguments.services, 250)), str(seconds)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def times(asked):
    return sorted(json.loads(asked.communicate()[0]))


def part(values, share):
    return f"{values[min(len(values) - 1, int(len(values) * share))]:.2f}" if values else "-"


def gap(before, after):
    """The p99.9 and the longest of the times between two looks, in ms; buckets are cumulative."""
    name = 'ovn_vip_turn_seconds_bucket{le="'
    counts = {key[len(name):-2]: after[key] - before.get(key, 0) for key in after if key.startswith(name)}
    if not counts or not counts.get("+Inf"):
        return "-", "-"
    ordered = sorted(counts.items(), key=lambda item: float(item[0]))
    def at(share):
        return next(le for le, count in ordered if count >= share * counts["+Inf"])
    words = lambda le: "more" if le == "+Inf" else f"{float(le) * 1000:g}"
    return words(at(0.999)), words(at(1))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--services", type=int, required=True)
    parser.add_argument("--steering", choices=["all", "none"], required=True)
    parser.add_argument("--changes", type=int, required=True)
    parser.add_argument("--rate", type=float, required=True, help="changes a second")
    parser.add_argument("--moves", type=int, default=0, help="so many Services lose this node at once, and get it back")
    parser.add_argument("--client", default="")
    parser.add_argument("--port", type=int, default=18080)
    parser.add_argument("command", nargs="+", help="the speaker, without how the cluster is reached")
    arguments = parser.parse_args()
    cluster = Handler.cluster = Cluster(arguments.services, arguments.steering)
    server = ThreadingHTTPServer(("127.0.0.1", arguments.port), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    config = f"/tmp/churn-{os.getpid()}.yaml"
    with open(config, "w") as file:
        json.dump({"apiVersion": "v1", "kind": "Config", "current-context": "c",
                   "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}], "users": [{"name": "u", "user": {}}],
                   "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{arguments.port}"}}]}, file)
    listen = arguments.port + 1
    log = open(f"/tmp/churn-{os.getpid()}.log", "w")
    speaker = subprocess.Popen([*arguments.command, "--kubeconfig", config, "--http", f"127.0.0.1:{listen}"],
                               stdout=log, stderr=log, env=dict(os.environ, RUST_LOG="warn"))
    try:
        measure(arguments, cluster, speaker.pid, listen)
    finally:
        speaker.terminate()
        speaker.wait()
        os.unlink(config)
        if os.path.getsize(log.name) == 0:
            os.unlink(log.name)


def measure(arguments, cluster, pid, listen):
    wanted = arguments.services if arguments.steering == "all" else 0
    began = time.monotonic()
    while True:
        time.sleep(1)
        try:
            found = metrics(listen)
        except OSError:
            continue
        if found.get('ovn_vip_cluster_objects{kind="EndpointSlice"}', 0) < arguments.services:
            continue
        if found.get("ovn_vip_vips_announced", 0) >= wanted:
            break
        if time.monotonic() - began > 600:
            sys.exit(f"not announced after 600 s: {found.get('ovn_vip_vips_announced')} of {wanted}")
    steady(pid)
    seconds = arguments.changes / arguments.rate
    # What it does without any change, as long.
    before = cpu(pid)
    asked = probe(arguments, min(seconds, 10)) if arguments.client else None
    time.sleep(min(seconds, 10))
    idle = (cpu(pid) - before) / min(seconds, 10)
    idle_times = times(asked) if asked else []
    asked = probe(arguments, seconds) if arguments.client else None
    chance, ready = random.Random(1), {}
    looks, before, began = metrics(listen), cpu(pid), time.monotonic()
    for number in range(arguments.changes):
        n = chance.randrange(arguments.services)
        ready[n] = not ready.get(n, True)
        cluster.change(SLICES, cluster.slice(n, ready[n]))
        time.sleep(max(0, began + (number + 1) / arguments.rate - time.monotonic()))
    steady(pid)
    took = cpu(pid) - before - idle * (time.monotonic() - began)
    churn_times = times(asked) if asked else []
    longest = gap(looks, metrics(listen))
    row = [arguments.services, arguments.steering, f"{took / arguments.changes * 1000:.3f}", f"{idle * 1000:.1f}",
           f"{memory(pid):.1f}", *longest, *(part(values, share) for share in (0.5, 0.99) for values in (idle_times, churn_times))]
    print("| " + " | ".join(map(str, row)) + " |", flush=True)
    if arguments.moves:
        move(arguments, cluster, pid, listen)


def move(arguments, cluster, pid, listen):
    looks, before = metrics(listen), cpu(pid)
    moved = range(min(arguments.moves, arguments.services))
    for places in (("node2", "node2"), None):
        for n in moved:
            cluster.change(SLICES, cluster.slice(n, True, places))
        steady(pid)
    longest = gap(looks, metrics(listen))
    print(f"{len(moved)} VIPs away and back: {cpu(pid) - before:.2f} s of CPU, "
          f"between two looks {longest[0]} ms at p99.9, {longest[1]} ms at most", flush=True)


main()

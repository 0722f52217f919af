#!/usr/bin/env python3
"""Datagrams to a VIP, from one source port; prints JSON: who answered, in runs of equal answers.

  udpprobe.py HOST COUNT [--interval S] [--timeout S] [--port N] [--new-ports]

One source port sticks to one backend as long as its conntrack entry lives; --new-ports takes a fresh one for each datagram.
"""
import argparse
import json
import socket
import time


def connected(options):
    info = socket.getaddrinfo(options.host, options.port, type=socket.SOCK_DGRAM)[0]
    sock = socket.socket(info[0], info[1])
    sock.settimeout(options.timeout)
    sock.connect(info[4])
    return sock


def ask(sock):
    """"POD SOURCE" of the answer, or the name of the failure."""
    try:
        sock.send(b"who are you?\n")
        return " ".join(sock.recv(2048).decode().split()[:2])
    except OSError as error:
        return type(error).__name__


def add_to_runs(runs, answer):
    if runs and runs[-1]["answer"] == answer:
        runs[-1]["count"] += 1
    else:
        runs.append({"answer": answer, "count": 1})


def run(options):
    runs, sock = [], connected(options)
    for _ in range(options.count):
        if options.new_ports:
            sock.close()
            sock = connected(options)
        add_to_runs(runs, ask(sock))
        time.sleep(options.interval)
    ok = sum(entry["count"] for entry in runs if " " in entry["answer"])
    print(json.dumps({"ok": ok, "failed": options.count - ok, "runs": runs}))


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("host", type=lambda text: text.strip("[]"))
    arguments.add_argument("count", type=int)
    arguments.add_argument("--interval", type=float, default=0.05)
    arguments.add_argument("--timeout", type=float, default=0.3)
    arguments.add_argument("--port", type=int, default=53)
    arguments.add_argument("--new-ports", action="store_true")
    run(arguments.parse_args())


if __name__ == "__main__":
    main()

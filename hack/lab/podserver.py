#!/usr/bin/env python3
"""A pod of the lab: it answers everything with "POD PEER_IP PEER_PORT LOCAL_IP", so a probe sees who served it and which source address arrived.

  podserver.py NAME [--pidfile FILE]

HTTP on tcp/80 and tcp/8080 (GET /large: about 1 MiB, for path-MTU tests), one answer per line on the same ports for long
connections, and one answer per datagram on udp/53. IPv4 and IPv6. With --pidfile it goes to the background, once it listens.
"""
import argparse
import os
import socket
import sys
import threading

TCP_PORTS = (80, 8080)
UDP_PORT = 53
LARGE = 1 << 20


def plain(address):
    """An IPv4 client of a dual-stack socket appears as ::ffff:a.b.c.d."""
    return address.removeprefix("::ffff:")


def identity(name, peer, local):
    return f"{name} {plain(peer[0])} {peer[1]} {plain(local)}\n".encode()


def http_body(path, line):
    return line * (LARGE // len(line) + 1) if path == b"/large" else line


def serve_connection(name, conn, peer):
    with conn, conn.makefile("rb") as lines:
        try:
            conn.settimeout(600)
            line = identity(name, peer, conn.getsockname()[0])
            first = lines.readline()
            if first.startswith(b"GET "):
                while lines.readline().strip():
                    pass
                body = http_body(first.split()[1], line)
                conn.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\n"
                             b"Content-Length: %d\r\n\r\n" % len(body) + body)
                return
            while first:
                conn.sendall(line)
                first = lines.readline()
        except (OSError, IndexError):
            pass  # the peer went away, or spoke no HTTP


def bound(kind, port):
    sock = socket.socket(socket.AF_INET6, kind)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    sock.bind(("::", port))
    return sock


def accept_for_ever(name, listener):
    while True:
        conn, peer = listener.accept()
        threading.Thread(target=serve_connection, args=(name, conn, peer), daemon=True).start()


def echo_for_ever(name, sock):
    while True:
        _, peer = sock.recvfrom(2048)
        sock.sendto(identity(name, peer, "-"), peer)


def go_to_background(pidfile):
    if os.fork():
        os._exit(0)
    os.setsid()
    null = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(null, fd)
    with open(pidfile, "w", encoding="ascii") as out:
        out.write(f"{os.getpid()}\n")


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("name")
    arguments.add_argument("--pidfile")
    options = arguments.parse_args()
    listeners = [bound(socket.SOCK_STREAM, port) for port in TCP_PORTS]
    datagrams = bound(socket.SOCK_DGRAM, UDP_PORT)
    for listener in listeners:
        listener.listen(512)
    if options.pidfile:
        go_to_background(options.pidfile)
    for listener in listeners:
        threading.Thread(target=accept_for_ever, args=(options.name, listener), daemon=True).start()
    echo_for_ever(options.name, datagrams)


if __name__ == "__main__":
    sys.exit(main())

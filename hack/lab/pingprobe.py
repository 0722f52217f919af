#!/usr/bin/env python3
"""Echo requests to a VIP; prints JSON: how many were answered, and with which TTL or hop limit.

  pingprobe.py HOST COUNT [--interval S] [--timeout S] [--size BYTES] [--code N] [--flood]

An answer counts where its address, identifier, number, bytes and checksum are right. --flood keeps 64 of them on their way.
"""
import argparse
import json
import os
import socket
import struct
import time

REQUEST = {socket.AF_INET: 8, socket.AF_INET6: 128}
REPLY = {socket.AF_INET: 0, socket.AF_INET6: 129}
WINDOW = 64


def checksum(data):
    words = struct.unpack(f"!{len(data) // 2}H", data + b"\0" if len(data) % 2 else data)
    total = sum(words)
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


class Pinger:
    def __init__(self, options):
        self.family, _, _, _, address = socket.getaddrinfo(options.host, 0)[0]
        protocol = socket.IPPROTO_ICMP if self.family == socket.AF_INET else socket.IPPROTO_ICMPV6
        self.sock = socket.socket(self.family, socket.SOCK_RAW, protocol)
        self.sock.connect(address)
        if self.family == socket.AF_INET6:
            self.sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVHOPLIMIT, 1)
        self.identifier, self.code = os.getpid() & 0xFFFF, options.code
        self.payload = bytes(number & 0xFF for number in range(options.size))
        self.ttls, self.wrong = set(), 0

    def send(self, number):
        header = struct.pack("!BBHHH", REQUEST[self.family], self.code, 0, self.identifier, number & 0xFFFF)
        # The kernel writes that of ICMPv6.
        total = checksum(header + self.payload) if self.family == socket.AF_INET else 0
        try:
            self.sock.send(header[:2] + struct.pack("!H", total) + header[4:] + self.payload)
        except OSError:
            pass  # no neighbour: not answered

    def receive(self, until):
        """The number of the next answer that comes in time."""
        while (left := until - time.monotonic()) > 0:
            self.sock.settimeout(left)
            try:
                packet, controls, _, _ = self.sock.recvmsg(65535, 64)
            except OSError:
                continue
            if self.family == socket.AF_INET:
                start, ttl = (packet[0] & 15) * 4, packet[8]
                packet = packet[start:]
                is_right = checksum(packet) == 0
            else:
                ttl, is_right = struct.unpack("i", controls[0][2])[0], True
            kind, code, _, identifier, number = struct.unpack("!BBHHH", packet[:8])
            if kind != REPLY[self.family] or identifier != self.identifier:
                continue
            if not is_right or code != self.code or packet[8:] != self.payload:
                self.wrong += 1
                continue
            self.ttls.add(ttl)
            return number
        return None


def one_by_one(pinger, options):
    answered = 0
    for number in range(options.count):
        pinger.send(number)
        until = time.monotonic() + options.timeout
        while (came := pinger.receive(until)) is not None and came != number & 0xFFFF:
            pass
        answered += came is not None
        time.sleep(options.interval)
    return answered


def flood(pinger, options):
    sent = answered = 0
    while sent < options.count or answered < sent:
        while sent < options.count and sent - answered < WINDOW:
            pinger.send(sent)
            sent += 1
        if pinger.receive(time.monotonic() + options.timeout) is None:
            break
        answered += 1
    return answered


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("host", type=lambda text: text.strip("[]"))
    arguments.add_argument("count", type=int)
    arguments.add_argument("--interval", type=float, default=0.01)
    arguments.add_argument("--timeout", type=float, default=0.3)
    arguments.add_argument("--size", type=int, default=56)
    arguments.add_argument("--code", type=int, default=0)
    arguments.add_argument("--flood", action="store_true")
    options = arguments.parse_args()
    pinger, start = Pinger(options), time.monotonic()
    answered = (flood if options.flood else one_by_one)(pinger, options)
    report = {"answered": answered, "sent": options.count, "wrong": pinger.wrong, "ttls": sorted(pinger.ttls)}
    print(json.dumps({**report, "seconds": round(time.monotonic() - start, 3)}))


main()

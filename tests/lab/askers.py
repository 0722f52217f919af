#!/usr/bin/env python3
"""Asks out of eth0 for a VIP pair by broadcast ARP and multicast solicitation, every question from another host; until SIGTERM.

  askers.py VIP4 VIP6
"""
import itertools
import signal
import socket
import struct
import sys
import threading

import hostile

PAUSE = 0.005


def questions(number, vip4, vip6):
    """As host 02:aa:00:00:… of that number, at an address of the subnet that many share."""
    mac = b"\x02\xaa" + struct.pack("!I", number)
    last = 140 + number % 100
    address4 = vip4[:3] + bytes([last])
    address6 = vip6[:14] + bytes([0xAA, last])
    group = socket.inet_pton(socket.AF_INET6, "ff02::1:ff00:0")[:13] + vip6[13:]
    ask = b"\x00\x01\x08\x00\x06\x04\x00\x01" + mac + address4 + b"\x00" * 6 + vip4
    yield b"\xff" * 6 + mac + b"\x08\x06" + ask
    solicitation = b"\x87\x00\x00\x00" + b"\x00" * 4 + vip6 + b"\x01\x01" + mac
    yield b"\x33\x33" + group[12:] + mac + b"\x86\xdd" + hostile.icmpv6(address6, group, solicitation)


def main():
    vip4, vip6 = socket.inet_aton(sys.argv[1]), socket.inet_pton(socket.AF_INET6, sys.argv[2])
    told_to_end = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: told_to_end.set())
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as sock:
        sock.bind(("eth0", 0))
        for number in itertools.count():
            if told_to_end.wait(PAUSE):
                return
            for frame in questions(number, vip4, vip6):
                sock.send(frame)


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Sends TCP SYNs to a VIP's port 80 straight to a pod, with another's MAC as their source, and counts the answers.

  forged.py VIP6 SOURCE_MAC POD_MAC...

The source address is eth0's own link-local one, so that answers come back.
"""
import socket
import struct
import sys
import time

from hostile import checksum


def own_link_local():
    for line in open("/proc/net/if_inet6"):
        address, _, _, scope, _, name = line.split()
        if name == "eth0" and scope == "20":
            return bytes.fromhex(address)
    raise SystemExit("eth0 has no link-local address")


def syn(source, destination, port):
    segment = struct.pack("!HHIIBBHHH", port, 80, 1000, 0, 5 << 4, 2, 8192, 0, 0)
    pseudo = source + destination + struct.pack("!II", len(segment), socket.IPPROTO_TCP)
    segment = segment[:16] + struct.pack("!H", checksum(pseudo + segment)) + segment[18:]
    return struct.pack("!IHBB", 6 << 28, len(segment), socket.IPPROTO_TCP, 64) + source + destination + segment


def main():
    vip, source_mac, pods = socket.inet_pton(socket.AF_INET6, sys.argv[1]), sys.argv[2], sys.argv[3:]
    mac = lambda text: bytes.fromhex(text.replace(":", ""))
    source, answered = own_link_local(), 0
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x86DD)) as sock:
        sock.bind(("eth0", 0x86DD))
        sock.settimeout(0.2)
        for number, pod in enumerate(pods * 5):
            port = 40000 + number
            sock.send(mac(pod) + mac(source_mac) + b"\x86\xdd" + syn(source, vip, port))
            until = time.monotonic() + 0.6
            while time.monotonic() < until:
                try:
                    frame = sock.recv(2048)
                except OSError:
                    continue
                if frame[20] == socket.IPPROTO_TCP and struct.unpack("!HH", frame[54:58]) == (80, port):
                    answered += 1
                    break
    print(answered)


if __name__ == "__main__":
    main()

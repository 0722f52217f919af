#!/usr/bin/env python3
"""Asks for one address after another by ARP, 200 a second, and prints how many ms each answer took, as JSON. Needs root.

arp.py FIRST COUNT SECONDS
"""
import ipaddress
import json
import random
import socket
import struct
import sys
import time

FIRST, COUNT, SECONDS = int(ipaddress.ip_address(sys.argv[1])), int(sys.argv[2]), float(sys.argv[3])
ETH_P_ARP = 0x0806


def main():
    line = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ARP))
    line.bind(("eth0", ETH_P_ARP))
    mac, times, end = line.getsockname()[4], [], time.monotonic() + SECONDS
    while time.monotonic() < end:
        target = struct.pack(">I", FIRST + random.randrange(COUNT))
        frame = b"\xff" * 6 + mac + struct.pack(">HHHBBH", ETH_P_ARP, 1, 0x0800, 6, 4, 1) + mac + bytes([10, 100, 0, 9]) + bytes(6) + target
        asked = time.monotonic()
        line.send(frame)
        while (left := asked + 1 - time.monotonic()) > 0:
            line.settimeout(left)
            try:
                heard = line.recv(2048)
            except TimeoutError:
                break
            if heard[20:22] == b"\0\2" and heard[28:32] == target and heard[:6] == mac:
                times.append((time.monotonic() - asked) * 1000)
                break
        time.sleep(max(0, asked + 0.005 - time.monotonic()))
    print(json.dumps(times))


main()

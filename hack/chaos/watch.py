#!/usr/bin/env python3
"""Watches a VIP from a client's namespace until it is told to end (SIGTERM), and writes what it saw, a JSON line each.

  watch.py VIP FILE [--interface eth0]

Fifty HTTP requests a second, each on a connection of its own: {"at": start, "ok": true|false, "pod": name}. Ten ARP questions a
second from a host that is not this one, so that no answer renews the client's own entry: {"at": time, "mac": who says to have
the VIP, "asked": true|false}. Times are Unix time in seconds.
"""
import argparse
import asyncio
import json
import signal
import socket
import struct
import time

INTERVAL = 0.02
PATIENCE = 0.9  # less than the second after which TCP sends a lost packet again
ASKER_MAC = bytes.fromhex("020000000263")
ASKER_ADDRESS = "10.180.204.99"
BROADCAST = b"\xff" * 6
ETH_P_ARP = 0x0806
ARP = struct.Struct("!6s6sHHHBBH6s4s6s4s")


def mac_text(mac):
    return ":".join(f"{byte:02x}" for byte in mac)


def question(vip):
    return ARP.pack(BROADCAST, ASKER_MAC, ETH_P_ARP, 1, 0x0800, 6, 4, 1, ASKER_MAC, socket.inet_aton(ASKER_ADDRESS),
                    bytes(6), socket.inet_aton(vip))


class Wire:
    """Who says to have the VIP."""

    def __init__(self, options, write):
        self.vip, self.write = socket.inet_aton(options.vip), write
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ARP))
        self.socket.bind((options.interface, ETH_P_ARP))
        promiscuous = struct.pack("iHH8s", socket.if_nametoindex(options.interface), 1, 0, b"")
        self.socket.setsockopt(263, 1, promiscuous)  # SOL_PACKET, PACKET_ADD_MEMBERSHIP, PACKET_MR_PROMISC
        self.socket.setblocking(False)

    def hear(self):
        frame = self.socket.recv(2048)
        if len(frame) < ARP.size:
            return
        fields = ARP.unpack_from(frame)
        sender_mac, sender = fields[8], fields[9]
        if sender == self.vip:
            self.write(at=time.time(), mac=mac_text(sender_mac), asked=fields[10] == ASKER_MAC)

    async def ask(self, vip):
        while True:
            self.socket.send(question(vip))
            await asyncio.sleep(0.1)


async def exchange(host):
    reader, writer = await asyncio.open_connection(host, 80)
    try:
        writer.write(b"GET / HTTP/1.0\r\n\r\n")
        _, body = (await reader.read(-1)).split(b"\r\n\r\n", 1)
        return body.decode().split()[0]
    finally:
        writer.close()


async def request(host, write):
    began = time.time()
    try:
        pod = await asyncio.wait_for(exchange(host), PATIENCE)
        write(at=began, ok=True, pod=pod)
    except (OSError, ValueError, IndexError, asyncio.TimeoutError):
        write(at=began, ok=False, pod=None)


async def watch(options):
    loop, told_to_end, under_way = asyncio.get_running_loop(), asyncio.Event(), set()
    loop.add_signal_handler(signal.SIGTERM, told_to_end.set)
    with open(options.file, "w", encoding="ascii", buffering=1) as out:
        def write(**record):
            out.write(json.dumps(record) + "\n")

        wire = Wire(options, write)
        loop.add_reader(wire.socket, wire.hear)
        asking = asyncio.create_task(wire.ask(options.vip))
        next_at = time.monotonic()
        while not told_to_end.is_set():
            task = asyncio.create_task(request(options.vip, write))
            under_way.add(task)
            task.add_done_callback(under_way.discard)
            next_at += INTERVAL
            await asyncio.sleep(max(0, next_at - time.monotonic()))
        asking.cancel()
        await asyncio.gather(*under_way)


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("vip")
    arguments.add_argument("file")
    arguments.add_argument("--interface", default="eth0")
    asyncio.run(watch(arguments.parse_args()))


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""One gratuitous ARP of a host that is nobody's: stranger.py ADDRESS MAC INTERFACE."""
import socket
import struct
import sys

address, mac, interface = socket.inet_aton(sys.argv[1]), bytes.fromhex(sys.argv[2].replace(":", "")), sys.argv[3]
everybody = b"\xff" * 6
frame = struct.pack("!6s6sHHHBBH6s4s6s4s", everybody, mac, 0x0806, 1, 0x0800, 6, 4, 1, mac, address, bytes(6), address)
wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
wire.bind((interface, 0))
wire.send(frame)

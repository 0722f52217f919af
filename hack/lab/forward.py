#!/usr/bin/env python3
"""Carries connections from one address to another: forward.py FROM TO, each tcp:HOST:PORT or unix:PATH.

A unix socket is reached from every network namespace, so two of these, one on each side, lead from a namespace out to a server
on loopback. Prints "ready" once it listens.
"""

import asyncio
import sys


async def connect(address):
    kind, rest = address.split(":", 1)
    if kind == "unix":
        return await asyncio.open_unix_connection(rest)
    host, port = rest.rsplit(":", 1)
    return await asyncio.open_connection(host, int(port))


async def listen(address, serve):
    kind, rest = address.split(":", 1)
    if kind == "unix":
        return await asyncio.start_unix_server(serve, rest)
    host, port = rest.rsplit(":", 1)
    return await asyncio.start_server(serve, host, int(port))


async def carry(reader, writer):
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        writer.close()


async def main(source, target):
    async def serve(reader, writer):
        try:
            far_reader, far_writer = await connect(target)
        except OSError:
            writer.close()
            return
        await asyncio.gather(carry(reader, far_writer), carry(far_reader, writer))

    server = await listen(source, serve)
    print("ready", flush=True)
    await server.serve_forever()


asyncio.run(main(*sys.argv[1:]))

#!/usr/bin/env python3
"""One HTTP request per interval, each on a new connection and with its own timeout; prints JSON about what came back.

  probe.py HOST SECONDS [--interval S] [--timeout S] [--port N] [--path P]

Requests do not wait for one another, so a lost packet costs one request and an outage shows its true length
(`longest_gap_ms`, between two answers that arrived). SIGTERM ends it early, with the report; requests under way are
awaited. Leaves with 0 even when requests failed: the caller judges.
"""
import argparse
import asyncio
import collections
import errno
import json
import signal
import time


class Tally:
    def __init__(self, now):
        self.started = self.last_ok = now
        self.longest_gap = 0.0
        self.latencies = []
        self.failures = collections.Counter()
        self.served_by = collections.Counter()
        self.sources = collections.Counter()

    def answered(self, began, now, pod, source):
        self.latencies.append(now - began)
        self.longest_gap = max(self.longest_gap, now - self.last_ok)
        self.last_ok = max(self.last_ok, now)
        self.served_by[pod] += 1
        self.sources[source] += 1

    def report(self, now):
        latencies = sorted(self.latencies)
        gap = max(self.longest_gap, now - self.last_ok)
        return {
            "ok": len(latencies),
            "failed": sum(self.failures.values()),
            "failures": dict(self.failures),
            "longest_gap_ms": round(gap * 1000),
            "p50_ms": percentile(latencies, 0.50),
            "p99_ms": percentile(latencies, 0.99),
            "served_by": dict(sorted(self.served_by.items())),
            "sources": dict(sorted(self.sources.items())),
        }


def percentile(ordered, part):
    return round(ordered[int(len(ordered) * part)] * 1000, 2) if ordered else None


def kind_of(error):
    """A short, stable name of a failure: timeout, ECONNRESET, ECONNREFUSED, bad-answer …"""
    if isinstance(error, (TimeoutError, asyncio.TimeoutError)):
        return "timeout"
    if isinstance(error, OSError) and error.errno:
        return errno.errorcode.get(error.errno, str(error.errno))
    return "bad-answer"


async def exchange(options):
    reader, writer = await asyncio.open_connection(options.host, options.port)
    try:
        writer.write(f"GET {options.path} HTTP/1.0\r\n\r\n".encode())
        head, body = (await reader.read(-1)).split(b"\r\n\r\n", 1)
        length = int(head.lower().split(b"content-length:")[1].split()[0])
        if len(body) != length:
            raise ValueError(f"{len(body)} of {length} bytes")
        return body.decode().split()[:2]
    finally:
        writer.close()


async def request(options, tally):
    began = time.monotonic()
    try:
        pod, source = await asyncio.wait_for(exchange(options), options.timeout)
        tally.answered(began, time.monotonic(), pod, source)
    except (OSError, ValueError, IndexError, asyncio.TimeoutError) as error:
        tally.failures[kind_of(error)] += 1


async def run(options):
    began = time.monotonic()
    tally, under_way, told_to_end = Tally(began), set(), asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, told_to_end.set)
    for turn in range(max(1, round(options.seconds / options.interval))):
        await asyncio.sleep(began + turn * options.interval - time.monotonic())
        if told_to_end.is_set():
            break
        task = asyncio.create_task(request(options, tally))
        under_way.add(task)
        task.add_done_callback(under_way.discard)
    ended = time.monotonic()
    await asyncio.gather(*under_way)
    print(json.dumps(tally.report(ended)))


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("host", type=lambda text: text.strip("[]"))
    arguments.add_argument("seconds", type=float)
    arguments.add_argument("--interval", type=float, default=0.01)
    arguments.add_argument("--timeout", type=float, default=0.25)
    arguments.add_argument("--port", type=int, default=80)
    arguments.add_argument("--path", default="/")
    asyncio.run(run(arguments.parse_args()))


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""One connection, one line per interval; prints JSON: did it live, who answered, and when and how it broke.

  longconn.py HOST SECONDS [--interval S] [--timeout S] [--port N]
"""
import argparse
import errno
import json
import socket
import time


def kind_of(error):
    return errno.errorcode.get(error.errno, str(error.errno)) if error.errno else (str(error) or type(error).__name__)


def talk(options, seen):
    began = time.monotonic()
    with socket.create_connection((options.host, options.port), options.timeout) as sock:
        sock.settimeout(options.timeout)
        while time.monotonic() - began < options.seconds:
            sock.sendall(b"still there?\n")
            answer = sock.recv(256)
            if not answer:
                raise OSError("closed by the peer")
            seen["lines"] += 1
            seen["pod"], seen["source"] = answer.decode().split()[:2]
            time.sleep(options.interval)


def run(options):
    began = time.monotonic()
    seen = {"survived": True, "lines": 0, "pod": None, "source": None}
    try:
        talk(options, seen)
    except OSError as error:
        seen.update(survived=False, broke_after_s=round(time.monotonic() - began, 3), error=kind_of(error))
    print(json.dumps(seen))


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("host", type=lambda text: text.strip("[]"))
    arguments.add_argument("seconds", type=float)
    arguments.add_argument("--interval", type=float, default=0.05)
    arguments.add_argument("--timeout", type=float, default=3.0)
    arguments.add_argument("--port", type=int, default=80)
    run(arguments.parse_args())


if __name__ == "__main__":
    main()

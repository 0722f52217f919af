#!/usr/bin/env python3
"""What a fault did, from the file that watch.py wrote; prints one line:
HEALING_MS LOST ASKED ANSWERERS_AT_ONCE SILENT_MS MACS.

  report.py FILE BROKEN UNTIL [--not MAC]

BROKEN and UNTIL: Unix times, when the fault began and when the watch of it ended. Healing is the time from the fault to the last
request that failed, 0 where none did, and "never" where none of the last second was answered. Silence is the longest time in which no
ARP question was answered. A host with the MAC given by --not is a
stranger of the fault's own, and no answerer.
"""
import argparse
import json

UNDER_WAY = 0.25  # a request that began this long before the fault can be lost by it
WINDOW = 0.1  # between two of watch.py's ARP questions


def read(path):
    with open(path, encoding="ascii") as lines:
        return [json.loads(line) for line in lines]


def healing(requests, broken, until):
    failed = [record["at"] for record in requests if not record["ok"]]
    if not failed:
        return "0"
    if not any(record["ok"] for record in requests if record["at"] > until - 1):
        return "never"
    return str(round((max(failed) - broken) * 1000))


def at_once(answers):
    """The most hosts that answered one question."""
    most = 0
    for first in answers:
        macs = {other["mac"] for other in answers if 0 <= other["at"] - first["at"] < WINDOW / 2}
        most = max(most, len(macs))
    return most


def silence(answers, broken, until):
    times = [broken] + [record["at"] for record in answers] + [until]
    return round(max(later - earlier for earlier, later in zip(times, times[1:])) * 1000)


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("file")
    arguments.add_argument("broken", type=float)
    arguments.add_argument("until", type=float)
    arguments.add_argument("--not", dest="stranger", default="")
    options = arguments.parse_args()
    records = read(options.file)
    during = [record for record in records if options.broken - UNDER_WAY <= record["at"] <= options.until]
    requests = [record for record in during if "ok" in record]
    failed = [record for record in requests if not record["ok"]]
    answers = [record for record in during if record.get("asked") and record["mac"] != options.stranger]
    macs = list(dict.fromkeys(record["mac"] for record in answers))
    healed = healing(requests, options.broken, options.until)
    silent = silence([record for record in answers if record["at"] >= options.broken], options.broken, options.until)
    print(healed, len(failed), len(requests), at_once(answers), silent, ",".join(macs) or "nobody")


if __name__ == "__main__":
    main()

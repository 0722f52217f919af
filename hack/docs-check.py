"""Runs the marked commands of documents: see hack/docs-check.sh, which makes the stage for them."""

import os
import re
import subprocess
import sys

PUT_IN = [
    ("tcp:[10.0.0.1]:6641", os.environ["LAB_NB"]),
    ("tcp:[10.0.0.1]:6642", os.environ["LAB_SB"]),
    ("NAMESPACE/NAME", "default/nginx"),
]
PUT_IN_WORDS = {"DIR": os.environ["LAB_CLUSTER"], "VIP": "10.180.204.252", "INTERFACE": "eth0", "br-PROVIDER": "br-provider"}
PATIENCE = 60  # seconds for one block
WATCHED = 3  # seconds for what runs until it is stopped


def put_in(command):
    for name, value in PUT_IN:
        command = command.replace(name, value)
    words = re.compile(r"(?<![\w.-])(" + "|".join(PUT_IN_WORDS) + r")(?![\w.-])")
    return words.sub(lambda found: PUT_IN_WORDS[found[1]], command)


def blocks(lines):
    """(line number, language, text) of each fenced block, without the indentation of a list that it stands in."""
    start = None
    for number, line in enumerate(lines, 1):
        if not line.lstrip().startswith("```"):
            continue
        if start is None:
            start, language = number, line.strip()[3:].strip()
        else:
            indent = len(line) - len(line.lstrip())
            yield start, language, "\n".join(inner[indent:] for inner in lines[start : number - 1])
            start = None


def marked(path):
    """(line number, command, exit codes that are right, what it must print or None)."""
    lines = open(path, encoding="utf-8").read().split("\n")
    found = list(blocks(lines))
    for place, (number, language, text) in enumerate(found):
        words = language.split()
        if words[:2] != ["sh", "run"]:
            continue
        after = found[place + 1] if place + 1 < len(found) else None
        end = number + text.count("\n") + 2
        follows = after and after[1] == "" and all(not line.strip() for line in lines[end : after[0] - 1])
        yield number, text, [int(words[2]) if len(words) > 2 else 0], after[2] if follows else None
    for number, line in enumerate(lines, 1):
        if path.endswith("verify.md") and line.startswith("|"):
            for command in re.findall(r"`(hack/lab\.sh [^`]*)`", line):
                command = command.replace("\\|", "|")
                watched = "tcpdump" in command
                yield number, f"timeout {WATCHED} {command}" if watched else command, [0, 124] if watched else [0], None


def right(place, command, codes, wanted):
    try:
        ran = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", put_in(command)], capture_output=True, text=True, timeout=PATIENCE, check=False
        )
        code, out, said = ran.returncode, ran.stdout, ran.stderr
    except subprocess.TimeoutExpired:
        code, out, said = "no end", "", ""
    differs = wanted is not None and out.strip().splitlines()[: len(wanted.splitlines())] != wanted.strip().splitlines()
    if code in codes and not differs:
        print(f"✓ {place}: {command.splitlines()[0]}")
        return True
    print(f"✗ {place}: {command}\n  ended with {code}, not {codes[0]}{', and did not print what stands there' if differs else ''}\n{out}{said}")
    return False


def main():
    ran = [right(f"{path}:{number}", *rest) for path in sys.argv[1:] for number, *rest in marked(path)]
    print(f"{len(ran)} commands, {ran.count(False)} not as the documents say")
    sys.exit(0 if ran and all(ran) else 1)


main()

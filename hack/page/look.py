#!/usr/bin/env python3
"""Opens the page in headless Chromium, over its DevTools protocol; takes pictures, and reads what is there.

look.py FOLDER: page.html, 2.json and 1000.json are in it; pictures go there, too. Leaves with 1 if something is wrong.
"""

import base64
import functools
import http.server
import json
import os
import pathlib
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request


class Server(http.server.SimpleHTTPRequestHandler):
    """The controller's two pages, and every other path that was asked for."""

    vips = "2"
    strays = []
    changed = None

    def do_GET(self):
        if self.path == "/page":
            self.answer("text/html; charset=utf-8", (self.folder / "page.html").read_bytes())
        elif self.path == "/page.json":
            data = json.loads((self.folder / f"{Server.vips}.json").read_text())
            if Server.changed:
                Server.changed(data)
            self.answer("application/json", json.dumps(data).encode())
        else:
            Server.strays.append(self.path)
            self.send_error(404)

    def answer(self, kind, body):
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass

    def __init__(self, *arguments, folder, **others):
        self.folder = folder
        super().__init__(*arguments, **others)


class Browser:
    """Chromium, by a WebSocket of our own (RFC 6455): texts of the client's are masked."""

    def __init__(self, profile):
        self.process = subprocess.Popen(
            ["chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--hide-scrollbars",
             "--disable-background-networking", "--disable-component-update", "--remote-debugging-port=0", f"--user-data-dir={profile}", "about:blank"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        port_file = pathlib.Path(profile) / "DevToolsActivePort"
        end = time.monotonic() + 90
        while not port_file.exists() or "\n" not in port_file.read_text():
            if self.process.poll() is not None or time.monotonic() > end:
                sys.exit("chromium does not start: try `chromium --headless=new --no-sandbox about:blank`")
            time.sleep(0.05)
        port = int(port_file.read_text().split("\n")[0])
        tabs = json.load(urllib.request.urlopen(f"http://127.0.0.1:{port}/json"))
        path = next(tab["webSocketDebuggerUrl"] for tab in tabs if tab["type"] == "page").split(str(port), 1)[1]
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=120)
        key = base64.b64encode(os.urandom(16)).decode()
        self.socket.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode())
        self.stream = self.socket.makefile("rb")
        while self.stream.readline() not in (b"\r\n", b""):
            pass
        self.number, self.events = 0, []

    def send(self, text):
        data, mask = text.encode(), os.urandom(4)
        length = bytes([0x80 | len(data)]) if len(data) < 126 else b"\xfe" + struct.pack(">H", len(data)) if len(data) < 65536 else b"\xff" + struct.pack(">Q", len(data))
        self.socket.sendall(b"\x81" + length + mask + bytes(byte ^ mask[at % 4] for at, byte in enumerate(data)))

    def receive(self):
        text = b""
        while True:
            first, second = self.stream.read(2)
            length = second & 0x7F
            if length == 126:
                length = struct.unpack(">H", self.stream.read(2))[0]
            elif length == 127:
                length = struct.unpack(">Q", self.stream.read(8))[0]
            text += self.stream.read(length)
            if first & 0x80:
                return json.loads(text)

    def call(self, method, **parameters):
        self.number += 1
        self.send(json.dumps({"id": self.number, "method": method, "params": parameters}))
        while True:
            answer = self.receive()
            if answer.get("id") == self.number:
                if "error" in answer:
                    sys.exit(f"{method}: {answer['error']}")
                return answer["result"]
            self.events.append(answer)

    def evaluate(self, script):
        found = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in found:
            sys.exit(f"{script}: {found['exceptionDetails']}")
        return found["result"].get("value")

    def until(self, script):
        return self.evaluate(f"new Promise(done => {{ const look = () => {{ const it = ({script}); it ? done(it) : setTimeout(look, 30); }}; look(); }})")

    def key(self, key):
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, text={"Enter": "\r"}.get(key, key if len(key) == 1 else "") if kind == "keyDown" else "",
                      windowsVirtualKeyCode={"Tab": 9, "Enter": 13, "Escape": 27}.get(key, ord(key[0])))

    def picture(self, file, whole=False):
        file.write_bytes(base64.b64decode(self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)["data"]))


WRONG = []


def is_so(what, found):
    print(("✓ " if found else "✗ ") + what)
    if not found:
        WRONG.append(what)


def look(browser, url, folder):
    for vips in ("2", "1000"):
        Server.vips = vips
        for scheme in ("light", "dark"):
            browser.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
            began = time.monotonic()
            browser.call("Page.navigate", url=url)
            browser.until("document.readyState === 'complete' && document.querySelectorAll('.vip').length")
            print(f"{vips} VIPs, {scheme}: drawn in {(time.monotonic() - began) * 1000:.0f} ms")
            browser.picture(folder / f"{vips}-{scheme}.png")
    browser.call("Emulation.setDeviceMetricsOverride", width=420, height=900, deviceScaleFactor=1, mobile=True)
    browser.picture(folder / "1000-narrow.png")
    is_so("a narrow window needs no sideways scrolling", browser.evaluate("document.documentElement.scrollWidth <= innerWidth"))
    browser.call("Emulation.setDeviceMetricsOverride", width=1280, height=900, deviceScaleFactor=1, mobile=False)


def check(browser):
    order = browser.evaluate("[...document.querySelectorAll('.vip')].map(it => it.classList[1])")
    ranks = [["dark", "unknown", "doubtful", "others", "served"].index(state) for state in order]
    is_so("what is wrong comes first", ranks == sorted(ranks) and ranks[0] == 0)
    is_so("each state has a word and a sign beside its colour", browser.evaluate("[...document.querySelectorAll('.stand')].every(it => /^[✗?!–✓] \\S/.test(it.textContent))"))
    is_so("what is wrong has its cure", browser.evaluate("document.querySelectorAll('.wrongs .cure').length > 0"))
    browser.key("/")
    is_so("/ leads to the filter", browser.evaluate("document.activeElement.id === 'filter'"))
    browser.call("Input.insertText", text="web-0")
    is_so("the filter finds one Service", browser.until("document.querySelectorAll('.vip').length < 9 && [...document.querySelectorAll('.vip')].every(it => it.textContent.includes('web-0'))"))
    browser.key("Escape")
    browser.evaluate("document.querySelector('.chip.served').focus()")
    browser.key("Enter")
    is_so("a chip shows one state alone, by the keyboard", browser.until("[...document.querySelectorAll('.vip')].every(it => it.classList.contains('served'))"))
    browser.evaluate("document.querySelector('.vip summary').focus()")
    browser.evaluate("window.had = document.activeElement.parentElement")
    browser.key("Enter")
    is_so("a VIP opens by the keyboard", browser.until("window.had.open && window.had.querySelectorAll('.way > li').length === 5"))
    number = browser.evaluate("Number(document.querySelector('.chip.served').textContent.match(/\\d+/)[0])")
    browser.evaluate("document.querySelector('.chip.served').click()")

    def first_goes_dark(data):
        view = next(view for view in data["vips"] if view["state"] == "served")
        view["state"], view["announcer"] = "dark", None
        view["wrongs"] = [{"dark": True, "place": "node", "reason": "NotAnnounced", "is": "no node announces it", "cure": "look there"}]

    Server.changed = first_goes_dark
    is_so("it is live: one that goes dark is seen", browser.until(f"Number(document.querySelector('.chip.served').textContent.match(/\\d+/)[0]) === {number - 1}"))
    Server.changed = None
    worst = browser.evaluate("""(() => { const rgb = c => c.match(/[\\d.]+/g).slice(0, 3).map(Number);
      const light = c => { const [r, g, b] = rgb(c).map(v => (v /= 255) <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4); return .2126 * r + .7152 * g + .0722 * b; };
      const paper = it => { while (it) { const c = getComputedStyle(it).backgroundColor; if (!/, 0\\)$/.test(c)) return c; it = it.parentElement; } return 'rgb(255,255,255)'; };
      return Math.min(...[...document.querySelectorAll('.stand, .small, .wrongs b, .wrongs p, .chip, h2, .where, .live')].slice(0, 400).map(it => { const [a, b] = [light(getComputedStyle(it).color), light(paper(it))]; return (Math.max(a, b) + .05) / (Math.min(a, b) + .05); })); })()""")
    is_so(f"words stand out from their paper: {worst:.1f}, at least 4.5 (WCAG 2.1, 1.4.3)", worst >= 4.5)


def main():
    folder = pathlib.Path(sys.argv[1])
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Server, folder=folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    profile = tempfile.mkdtemp()
    browser = Browser(profile)
    try:
        browser.call("Page.enable")
        browser.call("Runtime.enable")
        browser.call("Log.enable")
        browser.call("Emulation.setDeviceMetricsOverride", width=1280, height=900, deviceScaleFactor=1, mobile=False)
        look(browser, f"http://127.0.0.1:{server.server_port}/page", folder)
        check(browser)
        failed = [event for event in browser.events if event["method"] == "Runtime.exceptionThrown"
                  or event["method"] == "Log.entryAdded" and event["params"]["entry"]["level"] == "error"]
        is_so(f"no script failed {failed[:2] or ''}", not failed)
        is_so(f"nothing else was asked for {Server.strays or ''}", not Server.strays)
    finally:
        browser.process.kill()
        browser.process.wait()
        shutil.rmtree(profile, ignore_errors=True)
    print(f"pictures: {folder}/*.png")
    sys.exit(1 if WRONG else 0)


main()

"""Headless Chromium by its DevTools over a pipe: no driver, no port, no package."""

import contextlib
import fcntl
import json
import os
import select
import shutil
import subprocess
import sys
import time

PROGRAM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
_FLAGS = (
    "--headless", "--remote-debugging-pipe", "--no-sandbox", "--disable-gpu", "--disable-quic",
    "--disable-dev-shm-usage", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-extensions", "--hide-scrollbars",
    # nothing outside can be reached, so that what a page asks for is only counted
    "--host-resolver-rules=MAP * ~NOTFOUND",
)  # fmt: skip
# DevTools reads descriptor 3 and writes to 4.
_EXEC = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.dup2(int(sys.argv[2]), 4)
os.execv(sys.argv[3], sys.argv[3:])
"""
_SECONDS = 60


class Browser:
    """A page in a browser; `events` holds what DevTools told, as (method, params)."""

    def __init__(self, profile):
        theirs_in, ours_out = os.pipe()
        ours_in, theirs_out = os.pipe()
        # above the numbers that they are moved to
        theirs = [fcntl.fcntl(fd, fcntl.F_DUPFD, 10) for fd in (theirs_in, theirs_out)]
        command = [sys.executable, "-c", _EXEC, *map(str, theirs), PROGRAM, *_FLAGS]
        self._process = subprocess.Popen(
            [*command, f"--user-data-dir={profile}", "about:blank"],
            pass_fds=theirs, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        for fd in (theirs_in, theirs_out, *theirs):
            os.close(fd)
        self._out, self._in, self._rest = ours_out, ours_in, b""
        self._session, self._number = None, 0
        self.events = []
        targets = self.send("Target.getTargets")["targetInfos"]
        page = next(target["targetId"] for target in targets if target["type"] == "page")
        attached = self.send("Target.attachToTarget", targetId=page, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.send(f"{domain}.enable")

    def close(self):
        with contextlib.suppress(OSError, RuntimeError):
            self._session = None
            self.send("Browser.close")
        os.close(self._out)
        os.close(self._in)
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def send(self, method, **params):
        """The result of a command."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while (answer := self._read()).get("id") != self._number:
            self.events.append((answer["method"], answer["params"]))
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']['message']}")
        return answer["result"]

    def _read(self):
        until = time.monotonic() + _SECONDS
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._in], [], [], max(0, until - time.monotonic()))
            chunk = os.read(self._in, 1 << 16) if ready else b""
            if not chunk:
                raise RuntimeError("the browser ended" if ready else "no answer of the browser")
            self._rest += chunk
        message, _, self._rest = self._rest.partition(b"\0")
        return json.loads(message)

    def open(self, path, *, width, height=800, scheme="light"):
        """Loads a file as a window of that size and colour scheme shows it; forgets earlier events."""
        self.events.clear()
        self.send(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=1, mobile=width < 600,
        )  # fmt: skip
        feature = {"name": "prefers-color-scheme", "value": scheme}
        self.send("Emulation.setEmulatedMedia", features=[feature])
        self.send("Page.navigate", url=path.as_uri())
        while not any(method == "Page.loadEventFired" for method, _ in self.events):
            message = self._read()
            self.events.append((message["method"], message["params"]))

    def run(self, expression):
        """The value of a JavaScript expression."""
        answer = self.send("Runtime.evaluate", expression=expression, returnByValue=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(answer["exceptionDetails"]["exception"]["description"])
        return answer["result"].get("value")


# What a page must be like.

VIEWS = [(360, "dark"), (1280, "light")]


def complaints(running):
    """What the page logged, threw or asked for beyond its own file."""
    found = []
    for method, params in running.events:
        if method in ("Runtime.exceptionThrown", "Runtime.consoleAPICalled"):
            found.append(params)
        elif method == "Log.entryAdded":
            found.append(params["entry"])
        elif method == "Network.requestWillBeSent":
            url = params["request"]["url"]
            if url != params["documentURL"] and not url.startswith("data:"):
                found.append(url)
    return found


# Texts outside of their chart or on each other.
CHART_FAULTS = """
[...document.querySelectorAll('figure svg[role=img]')].flatMap(svg => {
  const box = svg.getBoundingClientRect(), faults = [];
  const texts = [...svg.querySelectorAll('text')].map(t => [t.textContent, t.getBoundingClientRect()]);
  texts.forEach(([said, a], i) => {
    if (a.left < box.left - 1 || a.right > box.right + 1 || a.top < box.top - 2 || a.bottom > box.bottom + 2)
      faults.push(`${said} sticks out`);
    for (const [other, b] of texts.slice(i + 1))
      if (Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1
          && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 3)
        faults.push(`${said} and ${other} overlap`);
  });
  return faults.map(fault => `${svg.querySelector('title').textContent}: ${fault}`);
})
"""

SMALL_TEXTS = """
[...document.querySelectorAll('body *')].filter(e => !e.closest('caption')
  && [...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim())
  && e.localName !== 'title' && parseFloat(getComputedStyle(e).fontSize) < 12).map(e => e.textContent)
"""

HIDDEN = """
[...document.querySelectorAll('figure svg[role=img], figure svg[role=img] :is(.points path, text), table')]
  .filter(e => { const r = e.getBoundingClientRect(); return !(r.width > 0 && r.height > 0); })
  .map(e => e.outerHTML)
"""


def faults(running, width):
    """What is wrong with the open page: complaints, what is hidden, small, in the way or too wide."""
    running.run("document.querySelectorAll('details').forEach(d => { d.open = true; })")
    found = complaints(running)
    for script in (HIDDEN, SMALL_TEXTS, CHART_FAULTS):
        found += running.run(script)
    wide = running.run("document.documentElement.scrollWidth")
    return found if wide == width else [*found, f"{wide} wide"]

"""Firefox without a window, over Marionette, the protocol that geckodriver speaks to it.

https://firefox-source-docs.mozilla.org/testing/marionette/Protocol.html
It is spoken over a port of this machine, which Firefox chooses; there is nothing to install but
the browser.
"""

import base64
import contextlib
import json
import shutil
import socket
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.report.browser import DEADLINE, Browser

PROGRAM = next(filter(None, map(shutil.which, ("firefox", "firefox-esr"))), "")

_PREFERENCES = {
    "app.update.enabled": False, "browser.shell.checkDefaultBrowser": False,
    "browser.startup.page": 0, "browser.tabs.remote.separateFileUriProcess": True,
    "datareporting.policy.dataSubmissionEnabled": False, "marionette.port": 0,
    "network.captive-portal-service.enabled": False, "network.connectivity-service.enabled": False,
    "remote.prefs.recommended": True, "toolkit.telemetry.enabled": False,
}  # fmt: skip

_KEYS = {
    "Tab": "\ue004", "Enter": "\ue007", "Escape": "\ue00c", "ArrowLeft": "\ue012",
    "ArrowUp": "\ue013", "ArrowRight": "\ue014", "ArrowDown": "\ue015",
}  # fmt: skip
_SHIFT = "\ue008"

# What the page and the browser have said about it since the last time.
_COMPLAINTS = """
const storage = Cc["@mozilla.org/consoleAPI-storage;1"].getService(Ci.nsIConsoleAPIStorage);
const said = Services.console.getMessageArray()
  .filter((each) => each instanceof Ci.nsIScriptError && each.sourceName.startsWith("file:"))
  .map((each) => `${each.sourceName}:${each.lineNumber}: ${each.errorMessage}`);
const printed = storage.getEvents().filter((each) => each.filename?.startsWith("file:"))
  .map((each) => JSON.stringify(each.arguments));
Services.console.reset();
storage.clearEvents();
return [...said, ...printed];
"""

_RESIZE = """
const [width, height] = arguments;
for (const [side, length] of [["width", width], ["height", height]]) {
  for (const name of [side, `min-${side}`, `max-${side}`]) {
    gBrowser.selectedBrowser.style.setProperty(name, `${length}px`, "important");
  }
}
"""


_SET = """
const [name, value] = arguments;
Services.prefs[typeof value === "boolean" ? "setBoolPref" : "setIntPref"](name, value);
"""

# What the system says, and how Firefox is told to believe something else.
_FEATURES = {
    ("prefers_color_scheme", "dark"): ("layout.css.prefers-color-scheme.content-override", 0),
    ("prefers_color_scheme", "light"): ("layout.css.prefers-color-scheme.content-override", 1),
    ("prefers_reduced_motion", "reduce"): ("ui.prefersReducedMotion", 1),
}

# Resource timing leaves out what comes from files, but that is in elements.
_ASKED_FOR = """[
  location.href,
  ...performance.getEntriesByType("resource").map((each) => each.name),
  ...[...document.querySelectorAll("[src]")].map((each) => each.src),
].filter((each) => !each.startsWith("data:"))"""


class Firefox(Browser):
    """One Firefox.

    Args:
        folder: for what it keeps.
        ratio: pixels of the screen for each CSS pixel.
    """

    name = "firefox"

    def __init__(self, folder: Path, ratio: float = 1) -> None:
        settings = _PREFERENCES | {"layout.css.devPixelsPerPx": str(ratio)}
        lines = (f"user_pref({json.dumps(k)}, {json.dumps(v)});\n" for k, v in settings.items())
        (folder / "user.js").write_text("".join(lines))
        self._process = subprocess.Popen(
            [PROGRAM, "--headless", "--marionette", "--remote-allow-system-access", "--no-remote",
             "--profile", str(folder)],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        self._number, self._read = 0, b""
        self._fingers: tuple[tuple[float, float], ...] = ()
        self._socket = socket.create_connection(("127.0.0.1", self._port(folder)))
        self._receive()  # what it is
        self.call("WebDriver:NewSession", timeouts={"script": int(1000 * DEADLINE)})

    def _port(self, folder: Path) -> int:
        end = time.monotonic() + DEADLINE
        while time.monotonic() < end and self._process.poll() is None:
            with contextlib.suppress(OSError, ValueError):
                return int((folder / "MarionetteActivePort").read_text())
            time.sleep(0.05)
        self._process.kill()
        raise AssertionError("Firefox has not started")

    def close(self) -> None:
        with contextlib.suppress(OSError, EOFError, AssertionError):
            self.call("Marionette:Quit", flags=["eForceQuit"])
        self._socket.close()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def call(self, method: str, **parameters: Any) -> Any:
        """Have the browser do something; gives its answer."""
        self._number += 1
        message = json.dumps([0, self._number, method, parameters]).encode()
        self._socket.sendall(b"%d:%b" % (len(message), message))
        _, number, error, result = self._receive()
        assert number == self._number and error is None, (method, error)
        return result["value"] if isinstance(result, Mapping) and "value" in result else result

    def _receive(self) -> Any:
        while b":" not in self._read or len(self._read.split(b":", 1)[1]) < self._length():
            piece = self._socket.recv(2**20)
            if not piece:
                raise EOFError("the browser is gone")
            self._read += piece
        length, rest = self._length(), self._read.split(b":", 1)[1]
        self._read = rest[length:]
        return json.loads(rest[:length])

    def _length(self) -> int:
        return int(self._read.split(b":", 1)[0])

    def in_the_browser(self, script: str, *arguments: Any) -> Any:
        """What a script gives that has the rights of the browser itself."""
        self.call("Marionette:SetContext", value="chrome")
        try:
            return self.call("WebDriver:ExecuteScript", script=script, args=arguments)
        finally:
            self.call("Marionette:SetContext", value="content")

    @property
    def complaints(self) -> list[str]:
        self._complaints += self.in_the_browser(_COMPLAINTS)
        return self._complaints

    @property
    def requests(self) -> list[str]:
        return list(self.run(_ASKED_FOR))

    def open(self, path: Path, width: int = 900, height: int = 700, **features: str) -> None:
        for name, value in ({"prefers_color_scheme": "light"} | features).items():
            self.in_the_browser(_SET, *_FEATURES[name, value])
        self.resize(width, height)
        self.in_the_browser(_COMPLAINTS)
        self._complaints: list[str] = []
        self.call("WebDriver:Navigate", url=path.resolve().as_uri())
        self.until(f"innerWidth === {width} && innerHeight === {height}")

    def resize(self, width: int, height: int) -> None:
        self.in_the_browser(_RESIZE, width, height)

    def let_scripts_run(self, allowed: bool) -> None:
        self.in_the_browser(_SET, "javascript.enabled", allowed)

    def run(self, script: str) -> Any:
        return self.call("WebDriver:ExecuteScript", script=f"return ({script});", args=[])

    def press(self, key: str, code: str = "", *, shift: bool = False) -> None:
        keys = [_SHIFT] * shift + [_KEYS.get(key, key)]
        down = [{"type": "keyDown", "value": each} for each in keys]
        up = [{"type": "keyUp", "value": each} for each in reversed(keys)]
        self._act({"type": "key", "id": "keys", "actions": down + up})

    def drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        (x, y), (to_x, to_y) = (map(round, place) for place in (start, end))
        self._act({"type": "pointer", "id": "mouse", "actions": [
            {"type": "pointerMove", "x": x, "y": y}, {"type": "pointerDown", "button": 0},
            {"type": "pointerMove", "x": to_x, "y": to_y}, {"type": "pointerUp", "button": 0},
        ]})  # fmt: skip

    def wheel(self, x: float, y: float, turned: float) -> None:
        where = {"type": "scroll", "x": round(x), "y": round(y), "deltaX": 0, "deltaY": turned}
        self._act({"type": "wheel", "id": "wheel", "actions": [where]})

    def _act(self, *sources: Mapping[str, Any]) -> None:
        self.call("WebDriver:PerformActions", actions=sources)

    def touch(self, kind: str, *points: tuple[float, float]) -> None:
        ends = {"touchStart": "pointerDown", "touchEnd": "pointerUp"}
        end = [{"type": ends[kind], "button": 0}] if kind in ends else []
        self._fingers = points or self._fingers  # those that end to touch are where they were
        self._act(*(
            {
                "type": "pointer", "id": f"finger {n}", "parameters": {"pointerType": "touch"},
                "actions": [{"type": "pointerMove", "x": round(x), "y": round(y)}, *end],
            }
            for n, (x, y) in enumerate(self._fingers)
        ))  # fmt: skip

    def photograph(self) -> bytes:
        return base64.b64decode(self.call("WebDriver:TakeScreenshot", full=False))

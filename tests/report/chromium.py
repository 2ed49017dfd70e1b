"""Chromium without a window, over its DevTools protocol: https://chromedevtools.github.io.

It is spoken to through two pipes, so there is no port, and nothing to install but the browser.
"""

import base64
import contextlib
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

from tests.report.browser import Browser

PROGRAM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), ""
)

_OPTIONS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--remote-debugging-pipe",
    "--force-color-profile=srgb", "--hide-scrollbars", "--disable-dev-shm-usage",
)  # fmt: skip


class Chromium(Browser):
    """One Chromium, or Chrome.

    Args:
        folder: for what it keeps.
        ratio: pixels of the screen for each CSS pixel. (What the protocol simulates is another
            thing: there, boxes lie on whole CSS pixels.)
    """

    name = "chromium"

    def __init__(self, folder: Path, ratio: float = 1) -> None:
        self._requests: list[str] = []
        self._complaints: list[str] = []
        self._number, self._read = 0, b""
        to_read, self._to = os.pipe()
        self._from, to_write = os.pipe()
        # The browser reads from descriptor 3 and writes to 4.
        self._process = subprocess.Popen(
            ["bash", "-c", f'exec "$@" 3<&{to_read} 4>&{to_write}', "bash", PROGRAM, *_OPTIONS,
             f"--force-device-scale-factor={ratio}", f"--user-data-dir={folder}", "about:blank"],
            pass_fds=(to_read, to_write), stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(to_read)
        os.close(to_write)
        self._session = ""
        pages = self.call("Target.getTargets")["targetInfos"]
        target = next(each["targetId"] for each in pages if each["type"] == "page")
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")

    @property
    def requests(self) -> list[str]:
        return self._requests

    @property
    def complaints(self) -> list[str]:
        return self._complaints

    def close(self) -> None:
        with contextlib.suppress(OSError, EOFError):
            self._session = ""
            self.call("Browser.close")
        os.close(self._to)
        os.close(self._from)
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def call(self, method: str, **parameters: Any) -> Any:
        """Have the browser do something; gives its answer."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._receive()
            if answer.get("id") == self._number:
                assert "error" not in answer, (method, answer["error"])
                return answer["result"]

    def _receive(self) -> dict[str, Any]:
        """The next message; events are kept that tests ask for."""
        while b"\0" not in self._read:
            piece = os.read(self._from, 2**20)
            if not piece:
                raise EOFError("the browser is gone")
            self._read += piece
        data, _, self._read = self._read.partition(b"\0")
        message = json.loads(data)
        event, about = message.get("method"), message.get("params", {})
        if event == "Network.requestWillBeSent" and not about["request"]["url"].startswith("data:"):
            self._requests.append(about["request"]["url"])
        elif event == "Runtime.exceptionThrown":
            self._complaints.append(json.dumps(about["exceptionDetails"]))
        elif event == "Runtime.consoleAPICalled":
            self._complaints.append(json.dumps(about["args"]))
        elif event == "Log.entryAdded":
            self._complaints.append(about["entry"]["text"])
        return message

    def open(self, path: Path, width: int = 900, height: int = 700, **features: str) -> None:
        self._requests.clear()
        self._complaints.clear()
        self.resize(width, height)
        named = [{"name": k.replace("_", "-"), "value": v} for k, v in features.items()]
        self.call("Emulation.setEmulatedMedia", features=named)
        self.call("Page.navigate", url=path.resolve().as_uri())
        self.until("document.readyState === 'complete'")

    def resize(self, width: int, height: int) -> None:
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=0, mobile=False,
        )  # fmt: skip

    def let_scripts_run(self, allowed: bool) -> None:
        self.call("Emulation.setScriptExecutionDisabled", value=not allowed)

    def run(self, script: str) -> Any:
        answer = self.call(
            "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def press(self, key: str, code: str = "", *, shift: bool = False) -> None:
        text = {"text": key} if len(key) == 1 else {}
        about = {"key": key, "code": code, "modifiers": 8 if shift else 0}
        about["windowsVirtualKeyCode"] = {"Tab": 9, "Enter": 13, "Escape": 27}.get(key, 0)
        self.call("Input.dispatchKeyEvent", type="keyDown", **about, **text)
        self.call("Input.dispatchKeyEvent", type="keyUp", **about)

    def drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        for kind, (x, y), buttons in (
            ("mouseMoved", start, 0), ("mousePressed", start, 1), ("mouseMoved", end, 1),
            ("mouseReleased", end, 0),
        ):  # fmt: skip
            button = "none" if kind == "mouseMoved" and not buttons else "left"
            self.call(
                "Input.dispatchMouseEvent", type=kind, x=x, y=y, button=button, buttons=buttons,
                clickCount=1,
            )  # fmt: skip

    def wheel(self, x: float, y: float, turned: float) -> None:
        where = {"x": x, "y": y, "deltaX": 0, "deltaY": turned}
        self.call("Input.dispatchMouseEvent", type="mouseWheel", **where)

    def touch(self, kind: str, *points: tuple[float, float]) -> None:
        places = [{"x": x, "y": y, "id": n} for n, (x, y) in enumerate(points)]
        self.call("Input.dispatchTouchEvent", type=kind, touchPoints=places)

    def photograph(self) -> bytes:
        return base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"])

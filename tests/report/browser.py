"""What tests ask of a browser without a window: Chromium, or Firefox.

Tests have Chromium, unless EDSR_BROWSER in the environment says firefox.
"""

import io
import time
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

DEADLINE = 60.0  # seconds; far more than anything takes on a busy machine


class Browser(ABC):
    """One browser with one page; use it as a context manager.

    Attributes:
        name: of its kind.
    """

    name = ""

    def __enter__(self) -> "Browser":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    @property
    @abstractmethod
    def requests(self) -> list[str]:
        """Addresses that the page has asked for since `open`, but for those of data: itself."""

    @property
    @abstractmethod
    def complaints(self) -> list[str]:
        """What has come to the console about the page since `open`, and exceptions in it."""

    @abstractmethod
    def open(self, path: Path, width: int = 900, height: int = 700, **features: str) -> None:
        """Show the page in a file.

        Args:
            path: the file.
            width, height: of the window, in CSS pixels.
            features: media features with values, such as prefers_color_scheme="dark".
        """

    @abstractmethod
    def resize(self, width: int, height: int) -> None:
        """Give the window another size."""

    @abstractmethod
    def run(self, script: str) -> Any:
        """The value of an expression in the page, awaited if it is a promise."""

    @abstractmethod
    def let_scripts_run(self, allowed: bool) -> None:
        """Whether pages that are opened from now on may run scripts of their own."""

    @abstractmethod
    def press(self, key: str, code: str = "", *, shift: bool = False) -> None:
        """Press and release a key, such as "ArrowLeft", "a" or ("!", "Digit1")."""

    @abstractmethod
    def drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        """Press the mouse at one place of the window, and let it go at another."""

    @abstractmethod
    def wheel(self, x: float, y: float, turned: float) -> None:
        """Turn the wheel at a place of the window."""

    @abstractmethod
    def touch(self, kind: str, *points: tuple[float, float]) -> None:
        """Fingers begin ("touchStart"), move ("touchMove") or end ("touchEnd") to touch places."""

    @abstractmethod
    def photograph(self) -> bytes:
        """What is seen in the window, as PNG, in pixels of the screen."""

    @abstractmethod
    def close(self) -> None:
        """End the browser."""

    def until(self, script: str) -> Any:
        """Wait until an expression is true; gives its value."""
        end = time.monotonic() + DEADLINE
        while not (value := self.run(script)):
            assert time.monotonic() < end, f"it never came: {script}"
            time.sleep(0.02)
        return value

    def screenshot(self) -> np.ndarray[Any, np.dtype[np.uint8]]:
        """What is seen in the window: (H, W, 3), RGB, in pixels of the screen."""
        with Image.open(io.BytesIO(self.photograph())) as image:
            return np.asarray(image.convert("RGB"))

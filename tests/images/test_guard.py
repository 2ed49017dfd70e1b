import errno
import subprocess
import sys
import threading
import warnings
from pathlib import Path

import pytest
from PIL import Image

from edsr_cli.errors import Kind, PictureError, UsageError
from edsr_cli.images import guard
from edsr_cli.images.formats import READABLE

ROOT = Path(__file__).resolve().parents[2]


def test_pillows_limit_is_put_back() -> None:
    before = Image.MAX_IMAGE_PIXELS
    filters = list(warnings.filters)
    with guard.limits(1000):
        assert Image.MAX_IMAGE_PIXELS == 500
        with guard.limits(4001):
            assert Image.MAX_IMAGE_PIXELS == 2001
        assert Image.MAX_IMAGE_PIXELS == 500
    assert before == Image.MAX_IMAGE_PIXELS
    assert list(warnings.filters) == filters


def test_threads_that_leave_in_another_order_put_it_back_too() -> None:
    before = Image.MAX_IMAGE_PIXELS
    inside, leave = threading.Event(), threading.Event()

    def other() -> None:
        with guard.limits(10):
            inside.set()
            leave.wait(10)

    thread = threading.Thread(target=other)
    with guard.limits(2000):
        thread.start()
        assert inside.wait(10)
        assert Image.MAX_IMAGE_PIXELS == 1000
    assert Image.MAX_IMAGE_PIXELS == 5
    leave.set()
    thread.join()
    assert before == Image.MAX_IMAGE_PIXELS


def test_warnings_of_others_are_still_given() -> None:
    with guard.limits(10), pytest.warns(UserWarning, match="mine"):
        warnings.warn("mine", stacklevel=1)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (Image.DecompressionBombError("Image size exceeds"), "limit of 9 pixels"),
        (MemoryError(), "not enough memory"),
        (OSError(5, "Input/output error"), "Input/output error"),
        (OSError(22, "Invalid argument"), "damaged"),
        (ValueError("Decompressed data too large for PngImagePlugin.MAX_TEXT_CHUNK"), "unpacks"),
        (EOFError(), "cut short"),
        (OSError("image file is truncated (9 bytes not processed)"), "cut short"),
        (KeyError(3), "damaged"),
        (RecursionError(), "damaged"),
    ],
)
def test_every_exception_becomes_one_line(error: Exception, words: str) -> None:
    with pytest.raises(PictureError) as caught, guard.guarded("a.png", 9):
        raise error
    assert words in caught.value.message and caught.value.message.startswith("a.png: ")
    assert caught.value.hint and "\n" not in str(caught.value)
    assert caught.value.__cause__ is error


def test_mistakes_of_our_own_are_not_damage() -> None:
    with pytest.raises(TypeError, match="'str'"), guard.guarded("a.png", 9):
        guard.check_frame("2", 3, "a.png")  # type: ignore[arg-type]
    with pytest.raises(PictureError, match="damaged"), guard.guarded("a.png", 9):
        Image.frombytes("L", (1, 1), None)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (MemoryError(), Kind.MEMORY),
        (OSError(errno.EACCES, "Permission denied"), Kind.PERMISSION),
        (OSError(errno.EINVAL, "Invalid argument"), None),
        (KeyError(3), None),
    ],
)
def test_what_is_behind_an_error_tells_its_kind(error: Exception, kind: Kind | None) -> None:
    with pytest.raises(PictureError) as caught, guard.guarded("a.png", 9):
        raise error
    assert caught.value.kind is kind


def test_our_own_errors_and_ctrl_c_pass() -> None:
    for error in (UsageError("mine"), KeyboardInterrupt()):
        with pytest.raises(type(error)) as caught, guard.guarded("a.png", 9):
            raise error
        assert caught.value is error


def test_formats_that_run_programs_are_not_read() -> None:
    assert not {"EPS", "WMF", "PDF"} & {each.name for each in READABLE}


def test_errors_logged_by_pillow_do_not_reach_stderr(capfd: pytest.CaptureFixture[str]) -> None:
    code = "import edsr_cli.images, logging; logging.getLogger('PIL.X').error('details')"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, timeout=600)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("size", [(0, 5), (5, 0), (-1, 5)])
def test_no_pixels(size: tuple[int, int]) -> None:
    with pytest.raises(PictureError, match="no pixels"):
        guard.check_pixels("a.png", *size, 100)


def test_the_limit_itself_is_allowed() -> None:
    guard.check_pixels("a.png", 10, 10, 100)
    with pytest.raises(PictureError, match=r"a.png: 101 x 1 pixels.*--max-pixels"):
        guard.check_pixels("a.png", 101, 1, 100)

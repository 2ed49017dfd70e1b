import io
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import pytest
from PIL import Image

import edsr_cli
from edsr_cli.errors import Kind, PictureError
from edsr_cli.images import probe
from edsr_cli.images.formats import READABLE
from edsr_cli.jobs import streams
from edsr_cli.jobs.streams import read_stdin

IMAGE = Image.new("RGB", (5, 4), (10, 200, 30))


class Endless(io.RawIOBase):
    """Some bytes, then others for ever; counts what was read."""

    def __init__(self, start: bytes) -> None:
        self.start, self.given = start, 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:
        part = self.start[self.given : self.given + len(buffer)] or bytes(len(buffer))
        buffer[: len(part)] = part
        self.given += len(part)
        assert self.given < 1 << 28
        return len(part)


def give(monkeypatch, raw) -> None:
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BufferedReader(raw)))


def test_an_endless_stream_of_zeros_is_refused_by_its_first_bytes(monkeypatch):
    zeros = Endless(b"")
    give(monkeypatch, zeros)
    with pytest.raises(PictureError, match="not a picture of a known format"):
        read_stdin()
    assert zeros.given <= 1 << 16


def test_a_picture_that_does_not_end_is_refused(monkeypatch):
    monkeypatch.setattr(streams, "_SLACK", 1 << 20)
    endless = Endless(b"P6\n5 5\n255\n")
    give(monkeypatch, endless)
    with pytest.raises(PictureError, match=r"more than 0\.0 GB have come.*1,000 pixels") as caught:
        read_stdin(1000)
    assert "--max-pixels" in caught.value.hint
    assert endless.given < 4 << 20


@pytest.mark.parametrize(
    "name", [each.name for each in READABLE if each.name != "PSD" and not each.only_by_name]
)
def test_every_format_passes(monkeypatch, name):
    file = io.BytesIO()
    try:
        IMAGE.save(file, name)
    except (KeyError, OSError):
        pytest.skip(f"Pillow cannot write {name}")
    give(monkeypatch, io.BytesIO(file.getvalue()))
    assert read_stdin() == file.getvalue()
    assert probe(file.getvalue()).width == 5


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"%PDF-1.7 and more than sixteen bytes", "PDF files cannot be read"),
        (b"short", "not a picture"),
    ],
)
def test_other_things_are_named(monkeypatch, content, words):
    give(monkeypatch, io.BytesIO(content))
    with pytest.raises(PictureError, match=words):
        read_stdin()


def test_nothing_is_told_later(monkeypatch):
    give(monkeypatch, io.BytesIO(b""))
    assert read_stdin() == b""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_behind_standard_output(monkeypatch, tmp_path):
    """The failure is named by what cannot be written, and is of its kind."""
    IMAGE.save(tmp_path / "in.png")
    with Path("/dev/full").open("w") as full:
        monkeypatch.setattr("sys.stdout", full)
        [record] = edsr_cli.upscale(tmp_path / "in.png", "-", scale=2)
        with suppress(OSError):
            full.close()
    assert record.error == (
        "standard output: it cannot be written to (No space left on device). Write to a file "
        "with -o."
    )
    assert record.kind is Kind.DISK_FULL


@pytest.mark.skipif(sys.platform == "win32", reason="needs /dev/zero")
def test_the_command_ends():
    with open("/dev/zero", "rb") as zeros:  # noqa: PTH123 - a device, as a shell would open it
        done = subprocess.run(
            [sys.executable, "-m", "edsr_cli", "upscale", "-", "-o", "-"],
            stdin=zeros, capture_output=True, timeout=600,
        )  # fmt: skip
    assert done.returncode == 1 and b"not a picture" in done.stderr and not done.stdout

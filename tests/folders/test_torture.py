"""A folder as bad as folders get: 300 files, one in six of them bad in one of 17 ways."""

import hashlib
import os
import stat
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edsr_cli.errors import Kind
from edsr_cli.files.names import display_name
from edsr_cli.folders.scanning import BatchTask, Ignored
from edsr_cli.images import decode
from edsr_cli.jobs.record import Status
from tests.folders.engine import Collect, Engine, contents, is_upscaled
from tests.images import builders

FILES, OF_EACH = 300, 3
MAX_PIXELS = 50_000
SUBFOLDERS = ("", "album", "album/Sommer 2024", "album/Sommer 2024/夏休み 🏖", "b/c/two\nlines")

NOISE = np.random.default_rng(5).integers(0, 256, (11, 14, 3), np.uint8)
PICTURE = Image.fromarray(NOISE)
PNG, JPEG = builders.saved(PICTURE, "PNG"), builders.saved(PICTURE, "JPEG")
TEXT_BOMB = builders.chunk(b"zTXt", b"Comment\0\0" + builders.BOMB)
BOMB = bytearray(PNG)
BOMB[16:24] = struct.pack(">LL", 60_000, 60_000)
BOMB[29:33] = struct.pack(">L", zlib.crc32(BOMB[12:29]))


def written(data):
    return lambda path: path.write_bytes(data)


def looping(path):
    other = path.with_name(f"other-{path.stem}")  # without an ending: no picture
    path.symlink_to(other.name)
    other.symlink_to(path.name)


# How to make a file, or what is in it, and what it is reported as.
BAD = {
    "empty": (written(b""), Kind.UNREADABLE),
    "cut PNG": (written(PNG[: len(PNG) // 2]), Kind.UNREADABLE),
    "cut JPEG": (written(JPEG[: len(JPEG) * 2 // 3]), Kind.UNREADABLE),
    "damaged PNG": (written(PNG[:29] + b"\xaa" + PNG[30:]), Kind.UNREADABLE),
    "text": (written(b"These are words."), Kind.UNREADABLE),
    "HEIC": (written(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"), Kind.UNREADABLE),
    "text bomb": (written(builders.png(NOISE, before=TEXT_BOMB)), Kind.UNREADABLE),
    "floats": (written(builders.tiff(np.zeros((4, 4), np.float32))), Kind.UNREADABLE),
    "GIF of no size": (written(b"GIF89a" + bytes(20)), Kind.UNREADABLE),
    "pipe": (os.mkfifo if hasattr(os, "mkfifo") else None, Kind.UNREADABLE),
    "bomb": (written(bytes(BOMB)), Kind.TOO_LARGE),
    "large": (lambda path: PICTURE.resize((300, 200)).save(path, "PNG"), Kind.TOO_LARGE),
    "link to nowhere": (lambda path: path.symlink_to("nowhere"), Kind.MISSING),
    "links in a circle": (looping, Kind.MISSING),
    "vanishing": (written(PNG), Kind.MISSING),
    "output is there": (written(PNG), Kind.EXISTS),
    "output is a folder": (written(PNG), Kind.OUTPUT),
}
"""Ways to be bad; the name of a file begins with its way."""

GOOD = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM")
"""Formats of the good ones, in turn."""

NAMES = (
    "plain", "UPPER", "with space", " leading", "trailing ", "-dash", "--option", "quote'\"",
    "$HOME", "a;b|c&d", "per%20cent", "[brackets]", "star*", "question?", "back\\slash",
    "two\nlines", "tab\tbed", "bell\x07", "nbsp\u00a0", "Ünïcödé", "写真", "صورة", "🎉" * 20,
    "e\u0301",
    "right\u202eto-left", "not UTF-8 \udcff\udcfe", "dots...", "x" * 200, "<b>&amp;</b>",
)  # fmt: skip


class Torture:
    """The folder, and what is to become of each file in it."""

    def __init__(self, root: Path) -> None:
        self.source, self.output = root / "in", root / "out"
        self.bad: dict[Path, Kind] = {}
        self.good: list[Path] = []
        for subfolder in SUBFOLDERS:
            (self.source / subfolder).mkdir(parents=True, exist_ok=True)
        self._make_bad()
        self._make_long()
        number = 0
        while len(self.good) + len(self.bad) < FILES:
            self._make_good(number)
            number += 1
        self._make_others()

    def _folder(self, number: int) -> Path:
        return self.source / SUBFOLDERS[number % len(SUBFOLDERS)]

    def _make_bad(self) -> None:
        for place, (way, (make, kind)) in enumerate(BAD.items()):
            for number in range(OF_EACH):
                path = self._folder(place + number) / f"{way} {number}.png"
                make(path)
                self.bad[path] = kind
                target = self.output / path.relative_to(self.source)
                if way == "output is there":
                    target.parent.mkdir(parents=True, exist_ok=True)
                    target.write_bytes(b"somebody else's")
                elif way == "output is a folder":
                    target.mkdir(parents=True)

    def _make_long(self) -> None:
        """Names that are so long that no ending can be added, where one must be."""
        for ending in ("png", "gif"):
            path = self.source / f"{'y' * 250}.{ending}"
            PICTURE.save(path)
            self.bad[path] = Kind.NAME

    def _make_good(self, number: int) -> None:
        form = GOOD[number % len(GOOD)]
        name = NAMES[number % len(NAMES)] + (f" {number}" if number >= len(NAMES) else "")
        ending = form if number % 4 == 0 else form.lower()
        path = self._folder(number) / f"{name}.{ending}"
        try:
            PICTURE.crop((0, 0, 1 + number % 14, 1 + number % 11)).save(path, form)
        except OSError:  # such names are not allowed here
            path = self._folder(number) / f"{number}.{ending}"
            PICTURE.save(path, form)
        self.good.append(path)

    def _make_others(self) -> None:
        """What is no task: counted, and otherwise left alone."""
        (self.source / ".hidden.png").write_bytes(PNG)
        (self.source / ".git").mkdir()
        (self.source / ".git" / "a.png").write_bytes(PNG)
        (self.source / "notes.txt").write_text("x")
        (self.source / "raw.CR2").write_bytes(b"x")
        (self.source / "earlier").mkdir()
        (self.source / "earlier" / ".edsr-manifest.jsonl").write_bytes(b"")
        (self.source / "earlier" / "a.png").write_bytes(PNG)
        (self.source / "round").symlink_to(".")
        (self.source / "album" / "up").symlink_to("..")

    def run(self) -> Collect:
        batch, scanner = Engine(self.source).parts(output=self.output, max_pixels=MAX_PIXELS)
        collect = Collect()
        batch.run(self._vanishing(scanner), [collect], scanner.count())
        [collect.summary] = collect.summaries
        return collect

    def _vanishing(self, scanner):
        for item in scanner.walk():
            if isinstance(item, BatchTask) and item.name.rpartition("/")[2].startswith("vanishing"):
                item.source.unlink(missing_ok=True)
            yield item


def tree(folder: Path) -> dict[str, tuple]:
    """Everything that is in a folder, with what would tell that it has been touched."""
    entries = {}
    for path in folder.rglob("*"):
        status = path.lstat()
        if stat.S_ISREG(status.st_mode):
            content = hashlib.sha256(path.read_bytes()).hexdigest()
        else:
            content = str(path.readlink()) if path.is_symlink() else ""
        times = status.st_mtime_ns if not stat.S_ISDIR(status.st_mode) else 0
        entries[str(path.relative_to(folder))] = (status.st_mode, times, content)
    return entries


class FirstRun:
    """A folder after a run over it, with what was there before and what has changed."""

    def __init__(self, root: Path) -> None:
        self.torture = Torture(root)
        before, outside = tree(self.torture.source), set(root.iterdir())
        self.foreign = contents(self.torture.output)
        self.collect = self.torture.run()
        self.outputs = contents(self.torture.output)
        self.sources = before, tree(self.torture.source)
        self.outside = outside, set(root.iterdir())


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    if os.name == "nt":
        pytest.skip("most of these names, links and pipes are POSIX's")
    return FirstRun(tmp_path_factory.mktemp("torture"))


def test_all_good_ones_are_done_and_all_bad_ones_reported(first):
    torture, collect, foreign = first.torture, first.collect, first.foreign
    assert len(torture.good) + len(torture.bad) == FILES
    assert len(torture.bad) >= 40 and len(BAD) >= 15

    records = {Path(record.input): record for record in collect.records}
    assert len(records) == len(collect.records) == FILES
    failed = {path: r.kind for path, r in records.items() if r.status is Status.FAILED}
    assert failed == torture.bad
    for path in torture.bad:
        reason = records[path].reason
        assert display_name(path) in reason or "/out/" in reason
        assert reason.isprintable() and "unexpected" not in reason

    done = [record for record in collect.records if record.status is Status.DONE]
    assert sorted(Path(record.input) for record in done) == sorted(torture.good)
    for record in done:
        assert is_upscaled(Path(record.output), decode(Path(record.input)).pixels)
        mirror = torture.output / Path(record.input).relative_to(torture.source).parent
        assert Path(record.output).parent == mirror

    # Nothing else was written, here or there.
    outputs = {os.path.relpath(record.output, torture.output) for record in done}
    assert set(first.outputs) == outputs | set(foreign)
    assert {name: first.outputs[name] for name in foreign} == foreign
    vanished = {str(p.relative_to(torture.source)) for p in torture.bad if "vanishing" in p.name}
    before, after = first.sources
    assert after == {n: e for n, e in before.items() if n not in vanished}
    before, after = first.outside
    assert after == before

    summary = collect.summary
    assert (summary.done, summary.failed) == (len(torture.good), len(torture.bad))
    assert summary.stopped is None
    assert summary.ignored[Ignored.HIDDEN] == 2
    assert summary.ignored[Ignored.OUTPUTS] == 1
    assert summary.ignored[Ignored.REPEATED] == 2
    assert summary.ignored[Ignored.UNREAD] == 1


def test_a_second_run_does_nothing_again(first):
    torture = first.torture
    before = tree(torture.output)
    again = torture.run()
    skipped = {Path(r.input) for r in again.records if r.status is Status.SKIPPED}
    assert skipped == set(torture.good)
    vanished = {path for path in torture.bad if "vanishing" in path.name}
    failed = {Path(r.input): r.kind for r in again.records if r.status is Status.FAILED}
    assert failed == {p: kind for p, kind in torture.bad.items() if p not in vanished}
    after = tree(torture.output)
    changed = {name for name in before | after if before.get(name) != after.get(name)}
    assert changed <= {".edsr-manifest.jsonl", ".edsr-manifest.lock"}

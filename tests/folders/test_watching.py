import logging
import os
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest

from edsr_cli.folders import watching
from edsr_cli.folders.globs import Choice
from edsr_cli.folders.roots import assign_folders
from edsr_cli.folders.scanning import BatchTask, Scanner, Unlisted
from edsr_cli.folders.watching import Watcher
from edsr_cli.images import format_for

SETTLE = 0.25
DEADLINE = 60.0  # seconds; on a quiet machine what is waited for comes in one or two

posix = pytest.mark.skipif(os.name == "nt", reason="about names and links of POSIX")


class CountingScanner(Scanner):
    """Counts how often it is asked to look, and may be slow."""

    looks = 0
    delay = 0.0

    def walk(self):
        self.looks += 1
        for item in super().walk():
            time.sleep(self.delay)
            yield item


class Watched:
    """A folder, what a watcher has given of it so far, and ways to wait for more."""

    def __init__(self, folder, output=None, settle=SETTLE):
        self.folder, self.settle = folder, settle
        roots = assign_folders([str(folder)], output, "x4")
        self.output = roots[0].folder
        self.scanner = CountingScanner(roots, Choice(), format_for(None, "png"))
        self.source = Watcher(self.scanner, roots, settle).tasks()
        self.items = []

    def step(self):
        item = next(self.source)
        if item is not None:
            self.items.append(item)
        return item

    def until(self, condition):
        deadline = time.monotonic() + DEADLINE
        while not condition():
            assert time.monotonic() < deadline, self.items
            self.step()

    def until_given(self, *names):
        """Wait until the files were given that are named, each as often as it is named."""
        self.until(lambda: len(self.names) >= len(names))
        assert sorted(self.names) == sorted(names)

    def rest(self, looks=2):
        """Let it look a few times more: whatever it would give wrongly must have come then."""
        goal = self.scanner.looks + looks
        self.until(lambda: self.scanner.looks >= goal)
        end = time.monotonic() + 2 * self.settle
        self.until(lambda: time.monotonic() > end)

    @property
    def names(self):
        return [item.name for item in self.items if isinstance(item, BatchTask)]


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "in").mkdir()
    return tmp_path / "in"


@pytest.fixture
def watched(folder):
    watched = Watched(folder)
    with closing(watched.source):
        yield watched


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Notice things sooner than people need it."""
    monkeypatch.setattr(watching, "_TICK", 0.05)


@pytest.fixture
def often(monkeypatch):
    """Look again soon, also without an event."""
    monkeypatch.setattr(watching, "_REGULAR", 0.3)


def make(path, data=b"pixels", age=0.0):
    """Write a file that was last changed so many seconds ago."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    if age:
        os.utime(path, (time.time() - age,) * 2)
    return path


def test_what_is_there_comes_first_then_what_arrives(watched):
    make(watched.folder / "b.png", age=100)
    make(watched.folder / "sub" / "a.png", age=100)
    make(watched.folder / "notes.txt", age=100)
    while len(watched.items) < 3:
        assert watched.step() is not None  # at once, without a wait
    assert watched.names == ["b.png", "sub/a.png"]
    make(watched.folder / "c.jpg")
    make(watched.folder / "new" / "deep" / "d.png")
    watched.until_given("b.png", "sub/a.png", "c.jpg", "new/deep/d.png")
    last = watched.items[-1]
    assert last.source == watched.folder / last.name
    assert last.destination == (watched.output / last.name).with_suffix(".png")


def test_nothing_is_missed_during_the_first_look(watched):
    for name in ("a/1.png", "b/2.png", "c/3.png"):
        make(watched.folder / name, age=100)
    watched.step()
    make(watched.folder / "a" / "0.png")  # in a folder that was looked through
    make(watched.folder / "c" / "4.png")  # in one that was not
    watched.until_given("a/1.png", "b/2.png", "c/3.png", "a/0.png", "c/4.png")


@pytest.mark.usefixtures("often")
def test_a_slow_writer_is_waited_for(folder):
    """The file is there all the time, and grows, whether it is looked for or not."""
    total, settle = 12, 1.0  # far more than the writer may be held up on a busy machine
    watched = Watched(folder, settle=settle)
    watched.scanner.delay = 0.05  # so that it rests for a second after each look
    path = folder / "slow.png"
    path.write_bytes(b"")

    def write():
        with path.open("ab", buffering=0) as file:
            for _ in range(total):
                file.write(b"row of pixels")
                time.sleep(settle / 4)

    with closing(watched.source):
        writer = threading.Thread(target=write)
        writer.start()
        watched.until_given("slow.png")
        assert path.stat().st_size == total * len(b"row of pixels")
        writer.join()
        watched.rest()
        assert watched.names == ["slow.png"]


def test_a_file_that_may_still_be_written_is_not_taken_by_the_first_look(folder):
    watched = Watched(folder, settle=2.0)  # more than a busy machine may take until it looks
    with closing(watched.source):
        make(folder / "old.png", age=100)
        make(folder / "fresh.png")
        watched.until(lambda: watched.names)
        assert watched.names == ["old.png"]
        watched.until_given("old.png", "fresh.png")


def test_moved_in_or_away(watched, tmp_path):
    make(tmp_path / "elsewhere" / "a.png", age=10_000)
    make(tmp_path / "album" / "b.png", age=10_000)
    make(tmp_path / "album" / "deep" / "c.png", age=10_000)
    watched.step()
    (tmp_path / "elsewhere" / "a.png").rename(watched.folder / "a.png")
    (tmp_path / "album").rename(watched.folder / "album")
    watched.until_given("a.png", "album/b.png", "album/deep/c.png")
    (watched.folder / "album").rename(tmp_path / "album")
    (watched.folder / "a.png").unlink()
    make(watched.folder / "last.png")
    watched.until_given("a.png", "album/b.png", "album/deep/c.png", "last.png")
    assert not [item for item in watched.items if isinstance(item, Unlisted)]


def test_deleted_before_it_has_settled(watched):
    watched.step()
    path = make(watched.folder / "gone.png")
    watched.until(lambda: watched.scanner.looks >= 2)
    path.unlink()
    make(watched.folder / "stays.png")
    watched.until_given("stays.png")
    watched.rest(looks=0)
    assert watched.names == ["stays.png"]


@pytest.mark.usefixtures("often")
def test_changed_files_are_given_again_and_others_are_not(watched):
    make(watched.folder / "a.png", age=100)
    make(watched.folder / "b.png", age=100)
    watched.until_given("a.png", "b.png")
    make(watched.folder / "a.png", b"other pixels")
    watched.until_given("a.png", "b.png", "a.png")
    watched.rest(looks=3)
    assert watched.names == ["a.png", "b.png", "a.png"]


@pytest.mark.usefixtures("often")
def test_files_whose_output_is_renamed_are_given_again(watched):
    """As by a second run: a.png and a.gif cannot both become a.png."""
    make(watched.folder / "a.png", age=100)
    watched.until_given("a.png")
    make(watched.folder / "a.gif")
    watched.until_given("a.png", "a.png", "a.gif")
    destinations = [item.destination.name for item in watched.items]
    assert sorted(destinations) == ["a.gif.png", "a.png", "a.png.png"]


@pytest.mark.usefixtures("often")
@pytest.mark.parametrize("ending", [".part", ".crdownload", ".tmp"])
def test_a_download_is_waited_for(watched, ending):
    """Firefox, for one, puts an empty file of the final name beside the one it writes."""
    watched.step()
    final = make(watched.folder / "a.png", b"")
    part = make(watched.folder / f"a.png{ending}", b"half")
    other = make(watched.folder / "b.png")  # whole, yet something is writing b.png.part
    beside = make(watched.folder / f"b.png{ending}", b"half")
    make(watched.folder / "c.png")
    watched.until_given("c.png")
    watched.rest()
    assert watched.names == ["c.png"]
    part.replace(final)
    beside.unlink()
    watched.until_given("c.png", "a.png", "b.png")
    assert other.exists()


@pytest.mark.usefixtures("often")
def test_an_empty_file_waits_for_its_content(watched):
    watched.step()
    path = make(watched.folder / "a.png", b"")
    watched.rest()
    assert watched.names == []
    path.write_bytes(b"pixels")
    watched.until_given("a.png")


def test_an_output_folder_inside_is_neither_input_nor_news(folder):
    watched = Watched(folder, str(folder / "out"))
    with closing(watched.source):
        make(folder / "a.png", age=100)
        watched.until_given("a.png")
        watched.until(lambda: watched.scanner.looks == 2)  # the one right behind the first
        for number in range(5):
            make(folder / "out" / f".edsr-{number}.tmp")
            make(folder / "out" / "sub" / f"{number}.png")
            watched.step()
        end = time.monotonic() + 1
        watched.until(lambda: time.monotonic() > end)
        # The folder itself may have been news, when it was made.
        assert watched.scanner.looks <= 3
        make(folder / "b.png")
        watched.until_given("a.png", "b.png")


def test_a_wait_is_seen_at_least_once_a_second(watched):
    """Else a stop would not be noticed, however long the looking takes."""
    for number in range(8):
        make(watched.folder / f"{number}.png", age=100)
    watched.until(lambda: len(watched.items) == 8)
    watched.scanner.delay = 0.3
    make(watched.folder / "new.png")
    watched.until(lambda: watched.scanner.looks == 2)
    assert sum(watched.step() is None for _ in range(6)) == 6
    assert watched.scanner.looks == 2  # all of them came from that look


@pytest.mark.usefixtures("often")
def test_without_events_it_looks_again_all_the_same(watched, monkeypatch, caplog):
    def no_events(*folders, **options):
        raise OSError("no watches left")
        yield

    monkeypatch.setattr(watching, "watch", no_events)
    make(watched.folder / "a.png", age=100)
    with caplog.at_level(logging.WARNING, "edsr_cli"):
        watched.until_given("a.png")
        make(watched.folder / "b.png")
        watched.until_given("a.png", "b.png")
    [record] = caplog.records
    assert "no watches left" in record.getMessage()


@posix
def test_names_that_are_not_utf8(watched):
    watched.until(lambda: watched.scanner.looks == 2)  # the one right behind the first
    path = Path(os.fsdecode(os.fsencode(watched.folder) + b"/\xff.png"))
    try:
        make(path)
    except OSError:
        pytest.skip("this file system takes UTF-8 only")
    watched.until_given("\udcff.png")
    make(watched.folder / "two\nlines.png")  # it has not stopped watching
    watched.until_given("\udcff.png", "two\nlines.png")


@pytest.mark.usefixtures("often")
def test_an_input_folder_that_goes_and_comes_back(watched, tmp_path):
    make(watched.folder / "a.png", age=100)
    watched.until_given("a.png")
    watched.folder.rename(tmp_path / "away")
    watched.until(lambda: len(watched.items) > 1)
    watched.rest()
    [_, unlisted] = watched.items  # it is said once
    assert isinstance(unlisted, Unlisted) and unlisted.path == watched.folder
    make(tmp_path / "away" / "b.png")
    (tmp_path / "away").rename(watched.folder)
    watched.until(lambda: "b.png" in watched.names)


def test_closing_stops_watching(folder):
    watched = Watched(folder)
    watched.step()
    watched.source.close()
    with pytest.raises(StopIteration):
        next(watched.source)

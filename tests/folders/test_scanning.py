import os
import random
import unicodedata
from collections import Counter
from pathlib import Path, PurePath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edsr_cli.folders.globs import Choice
from edsr_cli.folders.roots import assign_folders
from edsr_cli.folders.scanning import (
    UNREAD_SUFFIXES,
    BatchTask,
    Ignored,
    Passed,
    Scanner,
    Unlisted,
    name_outputs,
)
from edsr_cli.folders.shards import Shard
from edsr_cli.images import READ_SUFFIXES, format_for

posix = pytest.mark.skipif(os.name == "nt", reason="about names and links of POSIX")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def touch(*names):
    for name in names:
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def walk(*inputs, output=None, include=(), exclude=(), form="png", recursive=True):
    roots = assign_folders(inputs or ["in"], output, "x4", recursive)
    scanner = Scanner(roots, Choice(include, exclude), format_for(None, form), recursive=recursive)
    items = list(scanner.walk())
    assert sum(scanner.count()) == sum(isinstance(item, BatchTask) for item in items)
    return items


def outputs(items):
    """Output for input, both relative, of all tasks."""
    return {
        item.source.as_posix(): item.destination.as_posix()
        for item in items
        if isinstance(item, BatchTask)
    }


def passed(items):
    return {item.path.as_posix(): item.why for item in items if isinstance(item, Passed)}


def test_the_tree_is_mirrored():
    touch("in/b.jpg", "in/a.png", "in/sub/c.TIFF", "in/sub/deep/er/d.webp", "in/empty/x.txt")
    items = walk()
    assert outputs(items) == {
        "in/a.png": "in_x4/a.png",
        "in/b.jpg": "in_x4/b.png",
        "in/sub/c.TIFF": "in_x4/sub/c.png",
        "in/sub/deep/er/d.webp": "in_x4/sub/deep/er/d.png",
    }
    assert list(outputs(items)) == list(outputs(walk()))
    assert passed(items) == {"in/empty/x.txt": Ignored.OTHER}
    task = next(item for item in items if getattr(item, "name", "") == "sub/c.TIFF")
    assert (task.name, task.output_name) == ("sub/c.TIFF", "sub/c.png")
    assert task.folder == Path("in_x4")
    assert outputs(walk(form="jpeg"))["in/a.png"] == "in_x4/a.jpg"
    assert outputs(walk(output="deep/new"))["in/a.png"] == "deep/new/a.png"


def test_nothing_is_read_or_written(folder):
    touch("in/a.png")
    before = sorted(folder.rglob("*"))
    walk(output="in/out")
    assert sorted(folder.rglob("*")) == before


def test_several_inputs_go_to_folders_of_their_names():
    touch("x/one/a.png", "two/sub/a.png")
    items = walk("x/one", "two", output="out")
    assert outputs(items) == {
        "x/one/a.png": "out/one/a.png",
        "two/sub/a.png": "out/two/sub/a.png",
    }
    assert [item.name for item in items] == ["one/a.png", "two/sub/a.png"]
    assert [item.output_name for item in items] == ["one/a.png", "two/sub/a.png"]


def test_subfolders_can_be_left_out():
    touch("in/a.png", "in/sub/b.png")
    items = walk(recursive=False)
    assert list(outputs(items)) == ["in/a.png"]
    assert passed(items) == {"in/sub": Ignored.SUBFOLDER}


def test_what_is_no_picture_is_counted():
    touch("in/a.png", "in/b.txt", "in/c", "in/d.JXR", "in/e.cr2", "in/.f.png", "in/.g/h.png")
    touch("in/Thumbs.db", "in/.DS_Store", "in/._a.png")
    items = walk()
    assert list(outputs(items)) == ["in/a.png"]
    assert passed(items) == {
        "in/b.txt": Ignored.OTHER,
        "in/c": Ignored.OTHER,
        "in/Thumbs.db": Ignored.OTHER,
        "in/d.JXR": Ignored.UNREAD,
        "in/e.cr2": Ignored.UNREAD,
        "in/.f.png": Ignored.HIDDEN,
        "in/.g": Ignored.HIDDEN,
        "in/.DS_Store": Ignored.HIDDEN,
        "in/._a.png": Ignored.HIDDEN,
    }


def test_endings():
    assert {".png", ".jpg", ".jpeg", ".jfif", ".tif", ".webp", ".avif", ".gif"} <= READ_SUFFIXES
    assert {".bmp", ".tga", ".jp2", ".ppm", ".psd", ".mpo"} <= READ_SUFFIXES
    assert not READ_SUFFIXES & UNREAD_SUFFIXES
    assert all(suffix == suffix.lower() and suffix[0] == "." for suffix in READ_SUFFIXES)
    assert not READ_SUFFIXES & {".txt", ".mp4", ".pdf", ".json", ".tmp"}


def test_files_can_be_chosen():
    touch("in/a.png", "in/b.jpg", "in/thumbs/c.jpg", "in/2023/d.jpg")
    assert list(outputs(walk(include=["*.jpg"]))) == [
        "in/b.jpg",
        "in/2023/d.jpg",
        "in/thumbs/c.jpg",
    ]
    items = walk(include=["*.jpg"], exclude=["thumbs"])
    assert list(outputs(items)) == ["in/b.jpg", "in/2023/d.jpg"]
    assert passed(items) == {"in/a.png": Ignored.EXCLUDED, "in/thumbs": Ignored.EXCLUDED}
    assert list(outputs(walk(include=["2023/*"]))) == ["in/2023/d.jpg"]


def test_output_folders_are_never_inputs():
    """This run's own, wherever it is, and those of earlier runs by their manifests."""
    manifest = Shard(2, 3).manifest
    touch("in/a.png", "in/out/b.png", "in/out/deep/c.png", "in/old/d.png", f"in/old/{manifest}")
    items = walk(output="in/out")
    assert list(outputs(items)) == ["in/a.png"]
    assert passed(items) == {"in/out": Ignored.OUTPUTS, "in/old": Ignored.OUTPUTS}
    # A folder that was named is taken: its owner wants it twice as large.
    assert list(outputs(walk("in/old", output="new"))) == ["in/old/d.png"]


def test_one_inputs_output_in_another_input():
    touch("one/a.png", "two/b.png", "two/one_x4/c.png")
    Path("two/one").mkdir()
    touch("two/one/d.png")
    roots = assign_folders(["two"], None, "x4")
    other = assign_folders(["one"], "two/one_x4", "x4")
    scanner = Scanner([*roots, *other], Choice(), format_for(None, "png"))
    items = list(scanner.walk())
    assert passed(items) == {"two/one_x4": Ignored.OUTPUTS}
    assert list(outputs(items)) == ["two/b.png", "two/one/d.png", "one/a.png"]


@posix
def test_links():
    touch("in/real/a.png", "elsewhere/b.png", "elsewhere/deep/c.png", "file.png")
    for name, target in {
        "in/loop": ".",
        "in/real/up": "..",
        "in/again": "real",
        "in/self": "self",
        "in/out": "../elsewhere",
        "in/out2": "../elsewhere",
        "elsewhere/back": "../in",
        "elsewhere/deep/round": "..",
        "in/linked.png": "../file.png",
        "in/broken.png": "nowhere",
        "in/circle.png": "circle.png",
        "in/broken": "nowhere",
    }.items():
        Path(name).symlink_to(target)
    items = walk()
    assert outputs(items) == {
        "in/broken.png": "in_x4/broken.png",
        "in/circle.png": "in_x4/circle.png",
        "in/linked.png": "in_x4/linked.png",
        "in/out/b.png": "in_x4/out/b.png",
        "in/out/deep/c.png": "in_x4/out/deep/c.png",
        "in/real/a.png": "in_x4/real/a.png",
    }
    repeated = {"in/loop", "in/real/up", "in/again", "in/out2", "in/out/back", "in/out/deep/round"}
    assert {name for name, why in passed(items).items() if why is Ignored.REPEATED} == repeated
    assert {name for name, why in passed(items).items() if why is Ignored.OTHER} == {
        "in/self",
        "in/broken",
    }


@posix
def test_a_link_to_what_is_above_the_input_does_not_steal_its_folders():
    touch("in/z/a.png", "beside.png")
    Path("in/a_link").symlink_to("..")
    items = walk()
    assert outputs(items)["in/z/a.png"] == "in_x4/z/a.png"
    assert outputs(items)["in/a_link/beside.png"] == "in_x4/a_link/beside.png"
    assert passed(items)["in/a_link/in"] is Ignored.REPEATED


@posix
def test_a_junction_of_windows_is_a_link(monkeypatch):
    """Which is none to those who ask for symbolic links."""
    monkeypatch.setattr(Path, "is_symlink", lambda path: False)
    touch("in/real/a.png")
    Path("in/again").symlink_to("real")
    items = walk()
    assert outputs(items) == {"in/real/a.png": "in_x4/real/a.png"}
    assert passed(items)["in/again"] is Ignored.REPEATED


@posix
def test_odd_files_with_names_of_pictures_are_tried():
    """So that they are reported, not left out in silence."""
    touch("in/a.png")
    os.mkfifo("in/pipe.png")
    assert list(outputs(walk())) == ["in/a.png", "in/pipe.png"]


@posix
def test_folders_that_cannot_be_listed(monkeypatch):
    touch("in/a.png", "in/secret/b.png", "in/z/c.png")
    scandir = os.scandir

    def refuse(path):
        if Path(path).name == "secret":
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr("os.scandir", refuse)
    items = walk()
    assert list(outputs(items)) == ["in/a.png", "in/z/c.png"]
    [trouble] = [item for item in items if isinstance(item, Unlisted)]
    assert (trouble.path, trouble.error.errno) == (Path("in/secret"), 13)


@posix
def test_a_folder_that_vanishes_while_it_is_its_turn():
    touch("in/a/x.png", "in/b/y.png")
    roots = assign_folders(["in"], None, "x4")
    items = []
    for item in Scanner(roots, Choice(), format_for(None, "png")).walk():
        if not items:
            Path("in/b/y.png").unlink()
            Path("in/b").rmdir()
        items.append(item)
    assert isinstance(items[0], BatchTask) and isinstance(items[1], Unlisted)
    assert len(items) == 2


@posix
def test_names_of_all_kinds():
    names = [
        "-dash.png",
        "Grüße 写真.png",
        "two\nlines.png",
        "\x1b[31m.png",
        "not \udcff.png",
        "a b",
    ]
    touch(*(f"in/{name}" for name in names))
    assert set(outputs(walk())) == {f"in/{name}" for name in names[:-1]}


def test_deep_trees_need_no_deep_stack():
    deep = Path("in")
    for _ in range(60):
        deep = deep / "d"
    touch(deep / "a.png")
    assert len(outputs(walk())) == 1


def test_only_one_folder_is_held_at_a_time():
    """Items come before the rest of the tree has been looked at."""
    touch("in/a.png", "in/sub/b.png")
    roots = assign_folders(["in"], None, "x4")
    items = Scanner(roots, Choice(), format_for(None, "png")).walk()
    assert next(items).name == "a.png"
    touch("in/sub/new.png")
    assert [item.name for item in items] == ["sub/b.png", "sub/new.png"]


# Names of outputs.


@pytest.mark.parametrize(
    ("files", "folders", "wanted"),
    [
        (["a.jpg", "b.png"], [], ["a.png", "b.png"]),
        (["a.jpg", "a.gif"], [], ["a.jpg.png", "a.gif.png"]),
        (["a.jpg", "a.png", "b.jpg"], [], ["a.jpg.png", "a.png.png", "b.png"]),
        (["a.jpg", "a.gif", "a.jpg.tif"], [], ["a.jpg.png", "a.gif.png", "a.jpg.tif.png"]),
        (["a.b.jpg", "a.b.jpeg"], [], ["a.b.jpg.png", "a.b.jpeg.png"]),
        (["a.jpg"], ["a.png"], ["a.jpg.png"]),
        (["a.jpg"], ["A.PNG"], ["a.jpg.png"]),
    ],
)
def test_outputs_of_one_folder(files, folders, wanted):
    assert list(name_outputs(files, folders, with_ending(".png")).values()) == wanted


def test_names_that_differ_in_case_or_accents_only():
    names = ["A.jpg", "a.jpg", "ä.jpg", unicodedata.normalize("NFD", "ä.jpg")]
    found = name_outputs(names, [], with_ending(".png"))
    folded = {unicodedata.normalize("NFC", name).casefold() for name in found.values()}
    assert len(folded) == 4
    assert all(output.startswith(name + ".") for name, output in found.items())


def with_ending(suffix):
    return lambda stem, file: stem + suffix


STEMS = st.sampled_from(["a", "A", "ä", "a.jpg", "a.png", "b", "a.jpg.png", "not \udcff"])
FILES = st.builds(
    lambda stem, suffix: stem + suffix, STEMS, st.sampled_from([".jpg", ".png", ".gif"])
)


@given(
    st.lists(FILES, unique=True, max_size=8),
    st.lists(st.sampled_from(["a.png", "b.png", "a.jpg.png", "x"]), unique=True),
    st.randoms(use_true_random=False),
    st.sampled_from([".png", ".jpg"]),
)
def test_no_two_outputs_are_the_same_and_order_does_not_matter(files, folders, shuffler, suffix):
    found = name_outputs(files, folders, with_ending(suffix))
    assert list(found) == files
    shuffled = random.Random(shuffler.random()).sample(files, len(files))
    assert name_outputs(shuffled, folders, with_ending(suffix)) == found
    folded = Counter(unicodedata.normalize("NFC", name).casefold() for name in found.values())
    assert not [name for name, count in folded.items() if count > 1]
    assert not folded.keys() & {name.casefold() for name in folders}
    for name, output in found.items():
        assert output.endswith(suffix)
        assert output.startswith(PurePath(name).stem)

"""Layouts of data sets on disk, and what is wrong with them."""

import errno
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edsr_cli.datasets.benchmark import find_benchmark, load_pair
from edsr_cli.errors import PictureError, UsageError
from edsr_cli.files.names import display_name
from edsr_cli.pixels.resize import downscale


def save(path, height=8, width=10, mode="RGB"):
    """Write a random picture; gives its pixels as they should be read, (H, W, 3)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(height).integers(0, 256, (height, width, 3), np.uint8)
    image = Image.fromarray(pixels).convert(mode)
    image.save(path)
    return np.asarray(image.convert("RGB"))


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return Path()


@pytest.fixture
def set5(here):
    """Set5's layout, with two pictures and LR for x2 only."""
    for name in ("b", "a"):
        save(here / "Set5/HR" / f"{name}.png")
        save(here / "Set5/LR_bicubic/X2" / f"{name}x2.png", 4, 5)
    return here / "Set5"


@pytest.fixture
def div2k(here):
    for part, name in (("valid", "0801"), ("train", "0001")):
        save(here / f"DIV2K/DIV2K_{part}_HR" / f"{name}.png")
        save(here / f"DIV2K/DIV2K_{part}_LR_bicubic/X3" / f"{name}x3.png", 2, 3)
    return here / "DIV2K"


def files(benchmark, scale):
    """What is to be read, as (name, HR, LR)."""
    return [
        (pair.name, pair.hr.as_posix(), pair.lr and pair.lr.as_posix())
        for pair in benchmark.pairs(scale)
    ]


def test_pairs(set5):
    expected = [
        (name, f"Set5/HR/{name}.png", f"Set5/LR_bicubic/X2/{name}x2.png") for name in ("a", "b")
    ]
    for folder in ("Set5", "Set5/HR"):
        benchmark = find_benchmark(folder)
        assert benchmark.name == "Set5"
        assert files(benchmark, 2) == expected
        assert [benchmark.border(scale) for scale in (2, 3, 4)] == [2, 3, 4]


def test_lr_is_made_where_the_set_has_none_for_the_scale(set5):
    assert [lr for _, _, lr in files(find_benchmark("Set5"), 3)] == [None, None]


@pytest.mark.parametrize(
    ("inside", "folder"), [("Set5", "."), ("Set5/HR", "."), ("Set5/LR_bicubic", "..")]
)
def test_the_name_is_known_from_inside(set5, monkeypatch, inside, folder):
    monkeypatch.chdir(inside)
    benchmark = find_benchmark(folder)
    assert benchmark.name == "Set5"
    hr, lr = benchmark.pairs(2)[0].hr, benchmark.pairs(2)[0].lr
    assert hr.is_file() and lr.is_file()


@pytest.mark.parametrize(
    ("folder", "name", "picture", "part"),
    [
        ("DIV2K", "DIV2K", "0801", "valid"),
        ("DIV2K/DIV2K_valid_HR", "DIV2K", "0801", "valid"),
        ("DIV2K/DIV2K_train_HR", "DIV2K_train", "0001", "train"),
    ],
)
def test_div2k(div2k, folder, name, picture, part):
    benchmark = find_benchmark(folder)
    assert benchmark.name == name and benchmark.is_div2k
    assert files(benchmark, 3) == [
        (
            picture,
            f"DIV2K/DIV2K_{part}_HR/{picture}.png",
            f"DIV2K/DIV2K_{part}_LR_bicubic/X3/{picture}x3.png",
        )
    ]
    assert [benchmark.border(scale) for scale in (2, 3, 4)] == [8, 9, 10]


def test_any_folder_of_pictures(here):
    for name in ("b.JPG", "a.webp", "c.tif"):
        save(here / "mine" / name)
    save(here / "mine/below/d.png")
    (here / "mine/notes.txt").write_text("no picture")
    (here / "mine/.hidden.png").write_text("no picture")
    benchmark = find_benchmark("mine")
    assert benchmark.name == "mine"
    assert files(benchmark, 4) == [
        (name[0], f"mine/{name}", None) for name in ("a.webp", "b.JPG", "c.tif")
    ]
    assert benchmark.border(4) == 4


def test_files_of_one_stem_are_told_apart(here):
    names = ["a.bmp", "a.png", "a.png.jpg", "b.png"]
    for name in names:
        save(here / "mine" / name)
    found = [(pair.name, pair.hr.name) for pair in find_benchmark("mine").pairs(2)]
    assert found == [*((name, name) for name in names[:3]), ("b", "b.png")]


@pytest.mark.parametrize(
    ("folder", "words"),
    [
        ("nowhere", "There is no folder nowhere."),
        ("x" * 5000, "There is no folder"),
        ("file", "file is not a folder."),
        ("empty", "There are no pictures in empty."),
        ("hollow", "There are no pictures in hollow"),
    ],
)
def test_no_data_set(here, folder, words):
    (here / "file").touch()
    (here / "empty").mkdir()
    (here / "hollow/HR").mkdir(parents=True)
    with pytest.raises(UsageError) as caught:
        find_benchmark(folder)
    assert words in caught.value.message and caught.value.hint


def test_a_folder_that_may_not_be_read(set5, monkeypatch):
    def refuse(folder):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("os.scandir", refuse)
    with pytest.raises(UsageError, match=r"HR cannot be read \(Permission denied\)"):
        find_benchmark("Set5")


def only_pair(folder, scale):
    [pair] = find_benchmark(str(folder)).pairs(scale)
    return pair


def test_a_folder_that_may_not_be_looked_into(here, monkeypatch):
    """As a user who is not root sees it."""
    (here / "mine").mkdir()

    def stat(path, *arguments, real=os.stat, **options):
        if Path(path).parent.name == "mine":
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
        return real(path, *arguments, **options)

    monkeypatch.setattr(os, "stat", stat)
    with pytest.raises(UsageError, match="There are no pictures in"):
        find_benchmark("mine")


def test_loading_a_given_pair(here):
    hr = save(here / "set/HR/a.png", 11, 13)
    lr = save(here / "set/LR_bicubic/X3/ax3.png", 3, 4)
    loaded = load_pair(only_pair("set", 3))
    assert np.array_equal(loaded.hr, hr[:9, :12])
    assert np.array_equal(loaded.lr, lr)


def test_loading_without_lr(here):
    hr = save(here / "set/a.png", 11, 13)
    loaded = load_pair(only_pair("set", 3))
    assert np.array_equal(loaded.hr, hr[:9, :12])
    assert np.array_equal(loaded.lr, downscale(hr, 3))


@pytest.mark.parametrize("mode", ["L", "P", "RGBA"])
def test_pictures_of_other_kinds_are_taken_as_rgb(here, mode):
    hr = save(here / "set/HR/a.png", mode=mode)
    lr = save(here / "set/LR_bicubic/X2/ax2.png", 4, 5, mode)
    loaded = load_pair(only_pair("set", 2))
    assert np.array_equal(loaded.hr, hr)
    assert np.array_equal(loaded.lr, lr)


def test_16_bit_grey_becomes_8_bit_rgb(here):
    (here / "set").mkdir()
    levels = np.arange(64, dtype=np.uint16).reshape(8, 8) * 1000
    Image.fromarray(levels).save(here / "set/a.png")
    loaded = load_pair(only_pair("set", 2))
    assert loaded.hr.dtype == np.uint8
    assert np.array_equal(loaded.hr[..., 0], np.round(levels / 257))


def test_notes_name_their_file(here):
    save(here / "set/a.png")
    Image.new("RGBA", (8, 8), (9, 9, 9, 99)).save(here / "set/a.png")
    pair = only_pair("set", 2)
    [note] = load_pair(pair).notes
    assert note.startswith(f"{pair.hr}: ") and "alpha" in note


def assert_refused(pair, culprit, words):
    with pytest.raises(PictureError) as caught:
        load_pair(pair)
    assert caught.value.message.startswith(f"{display_name(culprit)}: ")
    assert words in caught.value.message


def test_a_missing_partner(set5):
    (set5 / "LR_bicubic/X2/bx2.png").unlink()
    pair = find_benchmark("Set5").pairs(2)[1]
    assert_refused(pair, pair.hr, f"LR picture {display_name(pair.lr)} is missing")


@pytest.mark.parametrize("which", ["hr", "lr"])
def test_an_unreadable_picture(set5, which):
    pair = find_benchmark("Set5").pairs(2)[0]
    path = getattr(pair, which)
    path.write_bytes(path.read_bytes()[:60])
    assert_refused(pair, path, "cut short")


@pytest.mark.parametrize(("height", "width"), [(5, 5), (4, 6), (3, 5), (8, 10)])
def test_lr_of_another_size(set5, height, width):
    save(set5 / "LR_bicubic/X2/ax2.png", height, width)
    pair = find_benchmark("Set5").pairs(2)[0]
    words = f"it has {width} x {height} pixels, but 5 x 4 belong to the 10 x 8 of"
    assert_refused(pair, pair.lr, words)


def test_hr_smaller_than_an_lr_pixel(here):
    save(here / "set/a.png", 3, 9)
    pair = only_pair("set", 4)
    assert_refused(pair, pair.hr, "9 x 3 pixels are too few for x4")

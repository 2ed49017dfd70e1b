import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edsr_cli.datasets.bicubic import downscale
from edsr_cli.degradations.kernel import normalised
from edsr_cli.degradations.reduction import ByKernel
from edsr_cli.errors import PictureError, UsageError
from edsr_cli.training.loading import find_pictures, load_photos
from edsr_cli.training.photos import Photos
from tests.training.conftest import picture


def same(one: Photos, other: Photos) -> bool:
    return (
        one.photos == other.photos
        and one.digest == other.digest
        and np.array_equal(one.hr, other.hr)
        and all(np.array_equal(one.lr[scale], other.lr[scale]) for scale in (2, 3, 4))
    )


def test_every_picture_is_there_with_its_lr_versions(photos: Photos, folder: Path) -> None:
    assert [photo.name for photo in photos.photos] == ["a.png", "b.png", "d.bmp", "below/c.png"]
    for index, photo in enumerate(photos.photos):
        pixels = np.asarray(Image.open(folder / photo.name))
        assert np.array_equal(photos.picture(index), pixels)
        for scale in (2, 3, 4):
            assert np.array_equal(photos.small_picture(index, scale), downscale(pixels, scale))


def test_bad_pictures_are_skipped_and_said(tmp_path: Path) -> None:
    good = picture(1, 60, 60)
    Image.fromarray(good).save(tmp_path / "good.png")
    (tmp_path / "torn.png").write_bytes((tmp_path / "good.png").read_bytes()[:-4000])
    (tmp_path / "text.jpg").write_text("not a picture")
    Image.fromarray(good[:20]).save(tmp_path / "low.png")
    Image.fromarray(good).save(tmp_path / "zz.png")
    (tmp_path / ".hidden.png").write_text("nobody looks")
    (tmp_path / "notes.txt").write_text("nor here")
    photos = load_photos([tmp_path], (2,), least=48)
    assert [photo.name for photo in photos.photos] == ["good.png", "zz.png"]
    assert np.array_equal(photos.picture(1), good)
    assert np.array_equal(photos.small_picture(1, 2), downscale(good, 2))
    assert sorted(Path(line.split(":")[0]).name for line in photos.skipped) == [
        "low.png",
        "text.jpg",
        "torn.png",
    ]
    assert photos.summary()["skipped"] == 3


def test_grey_alpha_and_16_bit_become_rgb(tmp_path: Path) -> None:
    grey = picture(1, 50, 50)[:, :, 0]
    Image.fromarray(grey).save(tmp_path / "grey.png")
    Image.fromarray(grey.astype(np.uint16) * 257).save(tmp_path / "deep.png")
    Image.fromarray(np.dstack([grey] * 4)).save(tmp_path / "rgba.png")
    photos = load_photos([tmp_path], (2,), least=48)
    for index in range(3):
        assert np.array_equal(photos.picture(index), np.dstack([grey] * 3))


def test_the_cache_gives_the_same_again(folder: Path, photos: Photos, tmp_path: Path) -> None:
    first = load_photos([folder], (2, 3, 4), 48, tmp_path)
    assert same(first, photos)
    calls = []
    again = load_photos([folder], (2, 3, 4), 48, tmp_path, lambda done, total: calls.append(done))
    assert same(again, photos)
    assert not calls  # nothing was decoded


def test_a_cache_without_index_is_not_used(folder: Path, photos: Photos, tmp_path: Path) -> None:
    load_photos([folder], (2, 3, 4), 48, tmp_path)
    (kept,) = tmp_path.iterdir()
    (kept / "index.json").write_text("{")
    (kept / "hr.bin").write_bytes(b"\0" * 100)
    assert same(load_photos([folder], (2, 3, 4), 48, tmp_path), photos)


def test_the_cache_notices_a_changed_picture(tmp_path: Path) -> None:
    source, cache = tmp_path / "source", tmp_path / "cache"
    source.mkdir()
    for value in (10, 20):
        Image.fromarray(np.full((50, 50, 3), value, np.uint8)).save(source / "a.bmp")
        os.utime(source / "a.bmp", (value, value))  # the size stays the same
        photos = load_photos([source], (2,), 48, cache)
        assert photos.picture(0).max() == value


def test_an_unfinished_cache_is_removed(folder: Path, tmp_path: Path) -> None:
    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        load_photos([folder], (2,), 48, tmp_path, stop)
    assert list(tmp_path.iterdir()) == []


def test_a_cache_larger_than_the_disk_is_refused(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: full)
    with pytest.raises(PictureError, match=r"the cache needs 0\.0 GB of disk"):
        load_photos([folder], (2,), 48, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_cache_that_cannot_be_made_is_said(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(PictureError, match="the cache cannot be written"):
        load_photos([folder], (2,), 48, tmp_path / "file")


def test_pictures_from_jpeg_files_are_made_smaller_first(tmp_path: Path) -> None:
    pixels = picture(1, 101, 120)
    Image.fromarray(pixels).save(tmp_path / "a.jpg", quality=80)
    Image.fromarray(pixels).save(tmp_path / "b.png")
    Image.fromarray(pixels[:70]).save(tmp_path / "c.jpg")
    photos = load_photos([tmp_path], (2,), least=48, shrink=2)
    assert [(p.name, p.height, p.width) for p in photos.photos] == [
        ("a.jpg", 50, 60),
        ("b.png", 101, 120),
    ]
    assert np.array_equal(
        photos.picture(0), downscale(np.asarray(Image.open(tmp_path / "a.jpg")), 2)
    )
    assert np.array_equal(photos.picture(1), pixels)
    assert "made 2 times smaller" in photos.skipped[0]


def test_the_cache_tells_ways_of_making_lr_apart(folder: Path, tmp_path: Path) -> None:
    kernel = ByKernel({2: normalised(np.ones((4, 4)), "test")})
    plain = load_photos([folder], (2,), 48, tmp_path)
    other = load_photos([folder], (2,), 48, tmp_path, reduction=kernel)
    again = load_photos([folder], (2,), 48, tmp_path)
    assert np.array_equal(plain.lr[2], again.lr[2]) and plain.digest == again.digest
    assert not np.array_equal(plain.lr[2], other.lr[2]) and plain.digest != other.digest
    wanted = kernel.kernels[2].downscale(other.picture(0), 2)
    assert np.array_equal(other.small_picture(0, 2), wanted)


def test_two_folders_may_have_the_same_names(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        Image.fromarray(picture(len(name) + (name == "two"), 50, 50)).save(
            tmp_path / name / "a.png"
        )
    photos = load_photos([tmp_path / "one", tmp_path / "two"], (2,), 48)
    assert len(photos.photos) == 2
    assert not np.array_equal(photos.picture(0), photos.picture(1))


def test_nothing_to_learn_from_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="There is no folder"):
        find_pictures([tmp_path / "gone"])
    with pytest.raises(UsageError, match="There are no pictures"):
        find_pictures([tmp_path])
    (tmp_path / "bad.png").write_text("bad")
    with pytest.raises(UsageError, match=r"None of the 1 pictures.*bad\.png"):
        load_photos([tmp_path], (2,), 48)

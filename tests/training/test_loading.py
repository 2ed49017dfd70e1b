import errno
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from edsr_cli.degradations.kernel import normalised
from edsr_cli.degradations.reduction import ByKernel, Given
from edsr_cli.errors import FileError, UsageError
from edsr_cli.pixels.resize import downscale
from edsr_cli.training.loading import find_pictures, load_photos
from edsr_cli.training.photos import Photos
from tests.files import poor
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
    [array] = kept.glob("hr-*.bin")
    array.write_bytes(b"\0" * 100)
    assert same(load_photos([folder], (2, 3, 4), 48, tmp_path), photos)
    assert len(list(kept.glob("hr*.bin"))) == 1  # the old one is gone


INDEXES: dict[str, Callable[[dict[str, Any]], Any]] = {
    "no object": lambda index: [index],
    "a number": lambda index: 5,
    "no photos": lambda index: index | {"photos": None},
    "photos of another kind": lambda index: index | {"photos": [5]},
    "a photo with too little": lambda index: index | {"photos": [index["photos"][0][:3]]},
    "a photo outside": lambda index: index | {"photos": [["a", 50, 60, 10**9, {"2": 0}]]},
    "a photo far outside": lambda index: index | {"photos": [["a", 50, 60, 10**99, {"2": 0}]]},
    "a negative place": lambda index: index | {"photos": [["a", 50, 60, -5, {"2": 0}]]},
    "a broken place": lambda index: index | {"photos": [["a", 50, 60, 0.5, {"2": 0}]]},
    "places as a list": lambda index: index | {"photos": [["a", 50, 60, 0, [1]]]},
    "a scale missing": lambda index: index | {"photos": [["a", 50, 60, 0, {}]]},
    "skipped of another kind": lambda index: index | {"skipped": [5]},
    "a digest of another kind": lambda index: index | {"digest": 5},
    "no digest": lambda index: {k: v for k, v in index.items() if k != "digest"},
    "files elsewhere": lambda index: index | {"files": {"hr": "../../hr.bin"}},
    "files of another kind": lambda index: index | {"files": 5},
    "another array": lambda index: index | {"files": index["files"] | {"hr": index["files"]["x2"]}},
    "another size": lambda index: index | {"bytes": index["bytes"] | {"hr": 5}},
}


@pytest.mark.parametrize("name", INDEXES)
def test_a_damaged_index_is_said_and_made_anew(
    folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    good = load_photos([folder], (2,), 48, tmp_path)
    (kept,) = tmp_path.iterdir()
    index = json.loads((kept / "index.json").read_text())
    (kept / "index.json").write_text(json.dumps(INDEXES[name](index)))
    again = load_photos([folder], (2,), 48, tmp_path)
    assert again.photos == good.photos and np.array_equal(again.hr, good.hr)
    assert len(caplog.messages) == 1 and "this cache is damaged" in caplog.text
    assert load_photos([folder], (2,), 48, tmp_path).photos == good.photos
    assert len(caplog.messages) == 1


@pytest.mark.skipif(os.name == "nt", reason="about pipes")
def test_a_cache_with_pipes_in_it(folder: Path, tmp_path: Path) -> None:
    """Nothing waits for somebody to write to them."""
    good = load_photos([folder], (2,), 48, tmp_path)
    (kept,) = tmp_path.iterdir()
    [array] = kept.glob("x2-*.bin")
    array.unlink()
    os.mkfifo(array)
    assert load_photos([folder], (2,), 48, tmp_path).photos == good.photos
    (kept / "index.json").unlink()
    os.mkfifo(kept / "index.json")
    with pytest.raises(FileError, match=r"index\.json: this is a device or a pipe"):
        load_photos([folder], (2,), 48, tmp_path)


def test_caches_of_old_versions_are_read(folder: Path, tmp_path: Path) -> None:
    good = load_photos([folder], (2,), 48, tmp_path)
    (kept,) = tmp_path.iterdir()
    index = json.loads((kept / "index.json").read_text())
    for key, name in index["files"].items():
        (kept / name).rename(kept / f"{key}.bin")
    del index["files"], index["bytes"]
    (kept / "index.json").write_text(json.dumps(index))
    before = (kept / "hr.bin").stat().st_mtime_ns
    assert load_photos([folder], (2,), 48, tmp_path).photos == good.photos
    assert (kept / "hr.bin").stat().st_mtime_ns == before


def test_two_trainings_make_one_cache(
    folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The second waits, and when it is stopped meanwhile, the first has lost nothing."""
    begun, go_on = threading.Event(), threading.Event()

    def hold(done: int, total: int) -> None:
        begun.set()
        assert go_on.wait(60)

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(load_photos, [folder], (2,), 48, tmp_path, hold)
        assert begun.wait(60)
        with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr("edsr_cli.files.lock.time.sleep", _interrupt)
            load_photos([folder], (2,), 48, tmp_path)
        assert "another training is making this cache" in caplog.text
        second = pool.submit(load_photos, [folder], (2,), 48, tmp_path, _never)
        go_on.set()
        photos, others = first.result(60), second.result(60)
    assert photos.photos == others.photos
    assert np.array_equal(photos.hr, others.hr) and photos.hr.max() > 0
    assert not first.cancelled() and len(list(tmp_path.rglob("hr-*.bin"))) == 1


def _interrupt(seconds: float) -> None:
    raise KeyboardInterrupt


def _never(done: int, total: int) -> None:
    pytest.fail("it was made twice")


def test_one_that_fails_leaves_what_another_has_made(folder: Path, tmp_path: Path) -> None:
    """Also where files cannot be locked, and both work at the same time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("edsr_cli.files.lock.lock_descriptor", lambda descriptor: None)
        made = []

        def stop(done: int, total: int) -> None:
            if not made:
                made.append(None)
                made[0] = load_photos([folder], (2,), 48, tmp_path)
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            load_photos([folder], (2,), 48, tmp_path, stop)
        kept = load_photos([folder], (2,), 48, tmp_path, _never)
    assert kept.photos == made[0].photos and np.array_equal(kept.hr, made[0].hr)


FILL = """
import sys
from pathlib import Path
from edsr_cli.errors import FileError
from edsr_cli.training.loading import load_photos
try:
    photos = load_photos([Path(sys.argv[1])], (2,), 48, Path(sys.argv[2]))
    print(len(photos.photos), "pictures")
except FileError as error:
    print(error)
"""


@pytest.mark.skipif(os.name == "nt", reason="about disks of POSIX")
@pytest.mark.parametrize("allocates", [True, False])
def test_a_disk_that_fills_up_is_said(
    folder: Path, tmp_path: Path, repository: Path, allocates: bool
) -> None:
    """A limit on the size of files stands for it; writing to a mapped file would end in SIGBUS."""
    import resource

    calls = {} if allocates else {"posix_fallocate": errno.EOPNOTSUPP}
    added = poor.environment(poor.library(tmp_path), **calls) if calls else {}
    arguments = [sys.executable, "-c", FILL, folder, tmp_path / "cache"]
    environment = os.environ | {"PYTHONPATH": str(repository)} | added
    full = subprocess.run(
        arguments, env=environment, capture_output=True, text=True, timeout=600,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000)),
    )  # fmt: skip
    assert full.returncode == 0, full.stderr
    assert "the cache cannot be written (File too large)" in full.stdout
    assert not list(tmp_path.rglob("*.bin"))
    again = subprocess.run(arguments, env=environment, capture_output=True, text=True, timeout=600)
    assert again.stdout == "4 pictures\n", again.stderr


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
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["lock"]


def test_a_cache_larger_than_the_disk_is_refused(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: full)
    with pytest.raises(FileError, match=r"the cache needs 0\.0 GB of disk"):
        load_photos([folder], (2,), 48, tmp_path)
    assert not list(tmp_path.rglob("*.bin"))


def test_what_a_killed_training_has_left_makes_room_first(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load_photos([folder], (2,), 48, tmp_path)
    [index] = tmp_path.rglob("index.json")
    index.unlink()  # as if it had been killed before it wrote that
    usual = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(
        shutil,
        "disk_usage",
        lambda path: usual._replace(free=0) if list(path.glob("*.bin")) else usual,
    )
    assert load_photos([folder], (2,), 48, tmp_path).photos


def test_a_cache_that_cannot_be_made_is_said(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(FileError, match="the cache cannot be written"):
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


def test_the_cache_notices_changed_lr_pictures(tmp_path: Path) -> None:
    hr, lr = tmp_path / "0001.png", tmp_path / "0001x2.png"
    Image.fromarray(picture(0, 60, 60)).save(hr)
    found = []
    for seed in (1, 2):
        Image.fromarray(picture(seed, 30, 30)).save(lr)
        os.utime(lr, (seed, seed))
        given = Given({(hr, 2): lr})
        found.append(load_photos([hr], (2,), 48, tmp_path / "cache", reduction=given))
        assert np.array_equal(found[-1].small_picture(0, 2), picture(seed, 30, 30))
    assert found[0].digest == found[1].digest  # by which a run that goes on knows its pictures


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
    for name in ("gone", "x" * 300):
        with pytest.raises(UsageError, match="There is no folder"):
            find_pictures([tmp_path / name])
    with pytest.raises(UsageError, match="There are no pictures"):
        find_pictures([tmp_path])
    (tmp_path / "bad.png").write_text("bad")
    with pytest.raises(UsageError, match=r"None of the 1 pictures.*bad\.png"):
        load_photos([tmp_path], (2,), 48)

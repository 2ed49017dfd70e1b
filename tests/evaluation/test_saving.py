"""Where SR pictures go, and what is refused before any work."""

from pathlib import Path

import pytest
from PIL import Image

from edsr_cli.datasets.benchmark import find_benchmark
from edsr_cli.errors import PictureError, UsageError
from edsr_cli.evaluation.saving import check_destination, destination, refuse_conflicts


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for path in ("one/a.png", "two/one/a.png", "both/a.png", "both/a.bmp", "out/one/X2/a.png"):
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8)).save(path)
    return tmp_path


def refuse(folders, save="save"):
    refuse_conflicts(Path(save), [find_benchmark(folder) for folder in folders], [2, 3])


def test_every_picture_has_a_file_of_its_own(here):
    benchmark = find_benchmark("one")
    [pair] = benchmark.pairs(3)
    assert destination(Path("save"), benchmark, pair) == Path("save/one/X3/a.png")
    refuse(["one", "both", "out/one/X2"])
    assert not Path("save").exists()


def test_two_pictures_for_one_file(here):
    with pytest.raises(UsageError, match="would both be saved to"):
        refuse(["one", "two/one"])


def test_a_picture_of_a_data_set_is_not_replaced(here):
    with pytest.raises(UsageError, match="is in the data set and would be replaced"):
        refuse(["one", "out/one/X2"], "out")


def test_a_set_named_twice_is_no_conflict(here):
    refuse(["one", "one"])


def test_a_file_in_place_of_the_folder(here):
    with pytest.raises(UsageError, match="is not a folder"):
        refuse(["one"], "one/a.png")


def test_files_that_cannot_be_made(here):
    with pytest.raises(PictureError, match="exists already"):
        check_destination(Path("one/a.png"), overwrite=False)
    check_destination(Path("one/a.png"), overwrite=True)
    with pytest.raises(PictureError, match="it cannot be written"):
        check_destination(Path("one/a.png/b.png"), overwrite=True)
    check_destination(Path("new/folder/b.png"), overwrite=False)
    assert Path("new/folder").is_dir()

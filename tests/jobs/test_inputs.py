from pathlib import Path

import numpy as np
import pytest

from edsr_cli.images import FORMATS, Metadata, format_for, write_picture
from edsr_cli.images.provenance import provenance, scale_of, stated_record
from edsr_cli.jobs.inputs import without_own

SUFFIXES = [each.suffixes[0] for each in FORMATS]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_outputs_of_every_format_are_left_out_beside_their_sources(job, photo, suffix):
    output = f"photo_x4{suffix}"
    assert job(destination=output).run().reason is None
    assert without_own(["photo.png", output]) == (["photo.png"], [output])
    assert without_own([output, "./photo.png", "-"]) == (["./photo.png", "-"], [output])
    # Alone, or without its own source, it is what somebody wants to be enlarged again.
    assert without_own([output]) == ([output], [])
    assert without_own([output, "sub/photo.png"]) == ([output, "sub/photo.png"], [])
    if format_for(Path(output)).names_its_maker:
        assert scale_of(stated_record(Path(output))) == 4


def test_an_output_of_an_output_and_names_with_both_endings(job, photo):
    assert job(destination="photo_x4.png").run().reason is None
    assert job("photo_x4.png", "photo_x4_x4.png").run().reason is None
    assert job(destination="photo.png_x4.png").run().reason is None
    names = ["photo.png", "photo.png_x4.png", "photo_x4.png", "photo_x4_x4.png"]
    assert without_own(names) == (names[:1], names[1:])
    assert without_own(names[2:]) == (names[2:3], names[3:])


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_others_pictures_of_such_names_are_kept(photo, suffix):
    name = f"photo_x4{suffix}"
    write_picture(Path(name), np.zeros((20, 30, 3), np.uint8), format_for(Path(name)), Metadata())
    assert without_own(["photo.png", name]) == (["photo.png", name], [])


def test_the_scale_must_be_that_of_the_name(job, photo, folder):
    assert job(destination="photo_x2.png").run().reason is None
    assert without_own(["photo.png", "photo_x2.png"])[1] == []


def test_what_cannot_be_read_is_kept(photo, folder):
    (folder / "photo_x4.png").write_bytes(b"words")
    (folder / "photo_x3.bmp").mkdir()
    names = ["photo.png", "photo_x4.png", "photo_x3.bmp", "photo_x2.png"]
    assert without_own(names) == (names, [])


def test_records_are_told_from_other_texts():
    for restore in (None, 0.5):
        assert scale_of(provenance("a model, x3", 2, restore)) == 2
    both = f"{provenance('a', 2)}; {provenance('b', 4, 1.0)}"
    assert scale_of(both) == 4

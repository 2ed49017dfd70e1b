import numpy as np
import pytest
from msgspec.structs import replace

from edsr_cli.errors import PictureError
from edsr_cli.images.colour.icc import srgb_profile
from edsr_cli.images.lettering import lettering
from edsr_cli.pixels.windows import Region
from edsr_cli.report.comparison import Comparison, Version
from edsr_cli.report.sheet import CHOSEN_SIDE, most_different, write_sheet
from tests.jobs.nearest import read_back
from tests.report.comparisons import comparison, noise, swapped_profile

GAP, LINE = 8, 24


def flat(*places, size=(400, 300)):
    """Two versions that are equal but for squares, given by middle, side and difference."""
    first = np.full((size[1], size[0], 3), 100, np.uint8)
    second = first.copy()
    for (x, y), side, change in places:
        half = side // 2
        second[y - half : y + half, x - half : x + half] += np.uint8(change)
    versions = [Version("a", "file", first), Version("b", "file", second)]
    return Comparison("p", "p", None, size, 4, 4, versions)


def test_where_versions_differ_most():
    """The most different place first; none twice; no more than there are."""
    found = most_different(flat(((80, 70), 20, 40), ((300, 200), 20, 90)))
    assert len(found) == 2
    for region, (x, y) in zip(found, ((300, 200), (80, 70)), strict=True):
        assert region.left <= x - 10 and x + 10 <= region.right
        assert region.top <= y - 10 and y + 10 <= region.bottom
        assert region.right - region.left == region.bottom - region.top == CHOSEN_SIDE
    assert len(most_different(flat())) == 1
    assert most_different(flat(size=(50, 30))) == [Region(0, 30, 0, 50)]
    busy = replace(flat(), versions=[Version(n, "file", noise(n, 400, 300)) for n in range(3)])
    found = most_different(busy, 4)
    assert len(found) == 4
    for n, one in enumerate(found):
        for other in found[:n]:
            apart_x = one.right <= other.left or other.right <= one.left
            assert apart_x or one.bottom <= other.top or other.bottom <= one.top


def test_a_sheet(tmp_path):
    """Parts are there to the pixel, enlarged by a whole factor, with words above."""
    compared = comparison(crop="15x10+0+0")
    write_sheet(tmp_path / "s.png", [compared], overwrite=False)
    pixels = np.asarray(read_back(tmp_path / "s.png"))
    cell = 240
    assert pixels.shape == (GAP + 2 * LINE + 160 + GAP, GAP + 4 * (cell + GAP), 3)
    for n, version in enumerate(compared.versions):
        left, top = GAP + n * (cell + GAP), GAP + 2 * LINE
        large = version.pixels.repeat(160 // len(version.pixels), 0)
        large = large.repeat(cell // version.pixels.shape[1], 1)
        assert np.array_equal(pixels[top : top + 160, left : left + cell], large)
        words = pixels[GAP : GAP + LINE, left : left + cell, 0]
        assert words.min() < 80 and np.array_equal(
            255 - words[:, : lettering(version.label, LINE, cell).shape[1]],
            lettering(version.label, LINE, cell),
        )
    assert (pixels[GAP + LINE : GAP + 2 * LINE, 3 * (cell + GAP) :] == 255).all()  # the reference
    with pytest.raises(PictureError, match="exists already"):
        write_sheet(tmp_path / "s.png", [compared], overwrite=False)
    write_sheet(
        tmp_path / "s.png", [compared, replace(compared, input="other.png")], overwrite=True
    )
    assert read_back(tmp_path / "s.png").height == 2 * (GAP + 3 * LINE + 160 + GAP)
    write_sheet(tmp_path / "s.png", [compared, replace(compared, crop="9x9+0+0")], overwrite=True)
    assert read_back(tmp_path / "s.png").height == GAP + 2 * LINE + 2 * (160 + GAP)


def test_colours_of_a_sheet(tmp_path):
    """One profile of all stays beside the pixels; of several, none does, and all become sRGB."""
    profile = swapped_profile()
    compared = comparison(crop="15x10+0+0", profile=profile)
    write_sheet(tmp_path / "one.png", [compared], overwrite=False)
    assert read_back(tmp_path / "one.png").info["icc_profile"] == profile
    first, *others = compared.versions
    mixed = replace(compared, versions=[replace(first, profile=None), *others])
    write_sheet(tmp_path / "two.png", [mixed], overwrite=False)
    image = read_back(tmp_path / "two.png")
    assert "icc_profile" not in image.info
    one, two = (np.asarray(read_back(tmp_path / name)) for name in ("one.png", "two.png"))
    part = slice(GAP + 2 * LINE, -GAP), slice(2 * GAP + 240, 2 * GAP + 480)
    change = np.abs(two[part][..., [1, 0, 2]].astype(int) - one[part])
    assert change.max() <= 2 and not np.array_equal(one[part], two[part])


@pytest.mark.parametrize("text", ["short", "a" * 300, "two\nlines", ""])
def test_lettering(text):
    letters = lettering(text, 24, 120)
    assert letters.shape[0] == 24 and 1 <= letters.shape[1] <= 120
    assert (letters.max() > 200) == bool(text)


def test_a_profile_that_is_no_use_does_not_end_it(tmp_path):
    """It can be opened, but says nothing of colours: what has it is shown as it is."""
    empty = srgb_profile()[:128] + bytes(4)
    compared = flat()
    first, second = compared.versions
    versions = [replace(first, profile=empty), second]
    write_sheet(tmp_path / "s.png", [replace(compared, versions=versions)], overwrite=False)
    assert read_back(tmp_path / "s.png").mode == "RGB"

"""Pictures of pages as data: what is in them, and how few bytes they may take."""

import base64
import io

import numpy as np
import pytest
from markupsafe import escape
from PIL import Image

from edsr_cli.images.colour.icc import srgb_profile
from edsr_cli.report.pictures import Encoded, bytes_in_page, differences, encoded, fitted
from tests.report.comparisons import near, noise

BASE = noise(0)
NEAR, NEARER = near(BASE, 1, most=3), near(BASE, 2, most=1)


def group(*pictures, profile=None):
    return [encoded(each, profile) for each in pictures]


def samples(made):
    """The pixels of a group, put together as the page does it."""
    found = []
    for picture in made:
        with Image.open(io.BytesIO(picture.data)) as image:
            pixels = np.asarray(image.convert("RGB"))
        found.append(pixels if picture.base is None else pixels + found[picture.base])
    return found


@pytest.mark.parametrize(
    ("pictures", "bases"),
    [
        ([BASE, NEAR, NEARER], [None, 0, 0]),
        ([noise(5), BASE, NEAR], [None, None, 1]),  # of the one that is nearest
        ([BASE[::2, ::2], BASE, NEAR], [None, None, 1]),  # of one that has as many pixels
        ([BASE, BASE, BASE], [None, 0, 0]),
        ([BASE, noise(3)], [None, None]),  # where it saves nothing
        ([np.zeros_like(BASE), np.full_like(BASE, 255)], [None, None]),
        ([BASE], [None]),
    ],
)
def test_differences_add_up_to_the_pictures(pictures, bases):
    plain = group(*pictures)
    made = differences(plain)
    assert [each.base for each in made] == bases
    for found, wanted in zip(samples(made), pictures, strict=True):
        assert np.array_equal(found, wanted)
    assert all(len(m.data) <= len(p.data) for m, p in zip(made, plain, strict=True))


def test_pictures_with_a_profile_are_no_differences():
    plain = group(BASE, NEAR, profile=srgb_profile())
    assert differences(plain) == plain


def test_differences_are_for_pages_that_would_be_too_large():
    plain = group(BASE, NEAR, NEARER)
    whole, least = bytes_in_page([plain]), bytes_in_page([differences(plain)])
    assert least < 0.7 * whole
    assert whole == sum(len(each.uri.split(",")[1]) for each in plain)
    first, *others = differences(plain)
    assert least == len(first.uri.split(",")[1]) + sum(len(each.base85) for each in others)
    assert fitted([plain], whole) == [plain]
    assert fitted([plain], whole - 1) == [differences(plain)] == fitted([plain], least)
    assert fitted([plain], least - 1) is None
    assert fitted([], 0) == []


def test_what_is_far_too_large_is_not_tried():
    plain = group(BASE, BASE, BASE, BASE, BASE)  # as differences, they would take a fifth
    most = bytes_in_page([plain]) // 4
    assert bytes_in_page([differences(plain)]) < most and fitted([plain], most) is None


def test_base_85_is_no_markup():
    """All signs are there, at all lengths of a last group, and none has to be escaped."""
    for length in range(2000, 2004):
        picture = Encoded(
            np.random.default_rng(length).bytes(length), "image/webp", (1, 1, 3), base=0
        )
        letters = picture.base85
        assert len(set(letters)) == 85 and len(letters) == picture.letters
        assert str(escape(letters)) == letters
        assert base64.b85decode(letters.translate(str.maketrans(",./", "&<>"))) == picture.data

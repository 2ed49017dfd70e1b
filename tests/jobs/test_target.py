from fractions import Fraction
from math import prod

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edsr_cli.errors import PictureError, UsageError
from edsr_cli.jobs.target import target_of
from edsr_cli.options.pictures import Outputs, Size

SIDE = st.integers(1, 5000)


def size(before, **options):
    return target_of(Size(**options), 4).size(*before)


@pytest.mark.parametrize(
    ("scale", "offered", "between"),
    [(4, (2, 3, 4), 0), (0.5, (2,), 0), (8, (2, 3, 4), 4), (12, (2, 3, 4), 9), (3, (2,), 4)],
)
def test_pixels_between_two_networks(scale, offered, between):
    found = target_of(Size(scale=scale), 4).enlargement(60, 50, offered)
    assert found.between == between * 60 * 50


@pytest.mark.parametrize(
    ("before", "options", "after"),
    [
        ((6, 9), {}, (24, 36)),
        ((6, 9), {"scale": 2.5}, (15, 23)),  # 22.5: halves up
        ((7, 9), {"scale": 0.1}, (1, 1)),
        ((100, 3), {"scale": 0.01}, (1, 1)),
        ((1333, 1000), {"scale": 1.1}, (1466, 1100)),  # no 1100.0000001
        ((600, 400), {"width": 3840}, (3840, 2560)),
        ((600, 400), {"height": 1000}, (1500, 1000)),
        ((600, 400), {"max_side": 3840}, (3840, 2560)),
        ((400, 600), {"max_side": 3840}, (2560, 3840)),
        ((600, 400), {"fit": "3840x2160"}, (3240, 2160)),
        ((600, 300), {"fit": (3840, 2160)}, (3840, 1920)),
        ((600, 400), {"megapixels": 1}, (1224, 816)),
        ((600, 400), {"print": "30x20cm"}, (3543, 2362)),
        ((400, 600), {"print": "30x20cm"}, (2362, 3543)),
        ((600, 400), {"print": "12x8in", "dpi": 100}, (1200, 800)),
        ((600, 400), {"print": "300X200mm", "dpi": 254}, (3000, 2000)),
        ((1000, 1), {"width": 20}, (20, 1)),
    ],
)
def test_sizes(before, options, after):
    assert size(before, **options) == after


@given(SIDE, SIDE, SIDE, SIDE)
def test_the_side_that_is_named_is_exact_and_the_other_within_half_a_pixel(w, h, one, other):
    assert size((w, h), width=one)[0] == one and size((w, h), height=one)[1] == one
    assert max(size((w, h), max_side=one)) == one
    wide, high = size((w, h), fit=(one, other))
    assert (wide == one and high <= other) or (high == other and wide <= one)
    factor = min(Fraction(one, w), Fraction(other, h))
    for new, old in ((wide, w), (high, h)):
        assert abs(new - factor * old) <= Fraction(1, 2) or new == 1


@given(SIDE, SIDE, st.integers(1, 10**8))
def test_megapixels_are_the_most_that_keep_to_the_limit(w, h, pixels):
    wide, high = size((w, h), megapixels=pixels / 10**6)
    assert wide * high <= pixels
    # One column more, with the height that goes with it, would be too many.
    assert (wide + 1) * Fraction((wide + 1) * h, w) > pixels or high == 1


@given(
    SIDE, SIDE, st.floats(0.01, 16), st.lists(st.sampled_from([2, 3, 4]), min_size=1, unique=True)
)
def test_networks_are_the_fewest_and_then_the_smallest_that_are_enough(w, h, factor, offered):
    target = target_of(Size(scale=factor), 4)
    after = target.size(w, h)

    def enough(scales):
        return w * prod(scales) >= after[0] and h * prod(scales) >= after[1]

    pairs = [(one, other) for one in offered for other in offered]
    singles = [(one,) for one in offered]
    fewest = next((ways for ways in ([()], singles, pairs) if any(map(enough, ways))), None)
    if fewest is None:
        with pytest.raises(PictureError, match=f"can enlarge {max(offered) ** 2} times"):
            target.enlargement(w, h, offered)
        return
    found = target.enlargement(w, h, offered)
    assert enough(found.scales) and len(found.scales) == len(fewest[0])
    assert prod(found.scales) == min(prod(each) for each in fewest if enough(each))
    assert list(found.scales) == sorted(found.scales)
    assert found.reduces == ((w * prod(found.scales), h * prod(found.scales)) != after)
    assert (found.remark is None) == bool(found.scales)


@pytest.mark.parametrize(
    ("factor", "scales"),
    [
        (0.5, ()), (1, ()), (1.5, (2,)), (2, (2,)), (2.5, (3,)), (3, (3,)), (4, (4,)), (5, (2, 3)),
        (6, (2, 3)), (7, (2, 4)), (8, (2, 4)), (9, (3, 3)), (10, (3, 4)), (12, (3, 4)),
        (16, (4, 4)),
    ],
)  # fmt: skip
def test_what_factors_go_through(factor, scales):
    target = target_of(Size(scale=factor), 4)
    assert target.enlargement(640, 427, (2, 3, 4)).scales == scales
    assert target.scales((4, 3, 2)) == scales


def test_one_way_to_say_a_size():
    for options in ({"scale": 2, "width": 9}, {"fit": (1, 2), "print": "3x4cm"}):
        with pytest.raises(UsageError, match="exclude each other"):
            Outputs(**options)
    assert Outputs(scale=2, dpi=300).dpi == 300


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"scale": 0}, "scale must be more than 0 and at most 16"),
        ({"scale": 16.1}, "at most 16"),
        ({"scale": float("nan")}, "at most 16"),
        ({"width": 0}, "width must be at least 1"),
        ({"fit": "3840"}, "'3840' is not a size in pixels such as 3840x2160"),
        ({"fit": (0, 1)}, "fit must be at least 1"),
        ({"fit": "0x1"}, "is not a size in pixels"),
        ({"megapixels": 0}, "megapixels must be more than 0"),
        ({"megapixels": float("inf")}, "megapixels must be more than 0"),
        ({"print": "30x20"}, "'30x20' is not the size of a print such as 30x20cm"),
        ({"print": "0x20cm"}, "is not the size of a print"),
        ({"dpi": 1}, "dpi must be more than 1"),
        ({"dpi": 70000}, "dpi must be more than 1"),
    ],
)
def test_what_is_no_size(given, words):
    with pytest.raises(ValueError, match=words):
        Size(**given)

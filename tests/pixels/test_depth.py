import numpy as np
import pytest

from edsr_cli.pixels.depth import at_depth, dtype_of, to_uint8


def test_every_value_is_rounded_to_the_nearest() -> None:
    values = np.arange(65536, dtype=np.uint16)
    pixels = np.stack([values] * 3, axis=1).reshape(256, 256, 3)
    expected = np.rint(values / 257).astype(np.uint8)
    assert (to_uint8(pixels)[..., 1].ravel() == expected).all()


def test_rows_beyond_the_first_block_are_rounded_too() -> None:
    pixels = np.full((600, 1, 3), 65535, dtype=np.uint16)
    assert (to_uint8(pixels) == 255).all()


def test_8_bits_stay_as_they_are() -> None:
    pixels = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    assert to_uint8(pixels) is not None
    assert (to_uint8(pixels) == pixels).all()
    turned = to_uint8(pixels[::-1])
    assert turned.flags.c_contiguous and (turned == pixels[::-1]).all()


@pytest.mark.parametrize(
    ("shape", "kind"),
    [((2, 2), np.uint8), ((2, 2, 4), np.uint8), ((0, 2, 3), np.uint8), ((2, 2, 3), np.float32)],
)
def test_other_arrays_are_refused(shape: tuple[int, ...], kind: type) -> None:
    with pytest.raises(ValueError, match="pixels must be"):
        to_uint8(np.zeros(shape, dtype=kind))  # type: ignore[arg-type]


def test_the_type_for_a_depth() -> None:
    assert [dtype_of(bits) for bits in (1, 8, 9, 16)] == [np.uint8, np.uint8, np.uint16, np.uint16]


def test_a_depth_takes_its_full_range() -> None:
    eight = np.arange(255, 252, -1, dtype=np.uint8).reshape(1, 1, 3)
    sixteen = at_depth(eight, 16)
    assert sixteen.dtype == np.uint16 and sixteen.tolist() == [[[65535, 65278, 65021]]]
    assert at_depth(sixteen, 16) is sixteen
    assert (at_depth(sixteen, 8) == eight).all() and at_depth(sixteen, 8).dtype == np.uint8
    with pytest.raises(ValueError, match="pixels must be"):
        at_depth(eight[0], 16)

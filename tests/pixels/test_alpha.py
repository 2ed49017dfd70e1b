import numpy as np
import pytest

from edsr_cli.pixels.alpha import divide_by_alpha, opaque
from edsr_cli.pixels.depth import full_range, to_8_bits


@pytest.mark.parametrize("bits", range(1, 17))
def test_full_range_goes_from_black_to_white(bits: int) -> None:
    values = np.arange(1 << bits)
    spread = full_range(values, bits)
    full = 255 if bits <= 8 else 65535
    assert spread.dtype == (np.uint8 if bits <= 8 else np.uint16)
    assert (spread == np.rint(values * full / values[-1])).all()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_division_undoes_multiplication(dtype: type) -> None:
    white = int(np.iinfo(dtype).max)
    rng = np.random.default_rng(0)
    colours = rng.integers(0, white + 1, (600, 3, 3)).astype(np.int64)
    alpha = rng.integers(white // 2, white + 1, (600, 3)).astype(np.int64)
    product = np.rint(colours * alpha[..., None] / white).astype(dtype)
    divide_by_alpha(product, alpha.astype(dtype))
    assert np.abs(product.astype(int) - colours).max() <= 1
    odd = np.full((1, 2, 3), white, dtype)  # more than alpha allows, and no alpha at all
    divide_by_alpha(odd, np.array([[5, 0]], dtype))
    assert (odd == white).all()


def test_opaque() -> None:
    assert opaque(np.full((2, 2), 65535, np.uint16))
    assert not opaque(np.array([[255, 254]], np.uint8))


def test_rounding_to_8_bits() -> None:
    values = np.arange(65536, dtype=np.uint16).reshape(-1, 2)
    assert (to_8_bits(values) == np.rint(values / 257)).all()
    eight = np.zeros((2, 2), np.uint8)
    assert to_8_bits(eight) is eight

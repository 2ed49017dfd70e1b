"""Where LR pictures come from: MATLAB's rule, a kernel, or files beside the HR pictures."""

import numpy as np
import pytest
from PIL import Image

from edsr_cli.degradations.kernel import normalised
from edsr_cli.degradations.reduction import by_kernel, choose
from edsr_cli.errors import PictureError, UsageError
from edsr_cli.pixels.resize import downscale
from tests.training.conftest import picture

KERNEL = normalised(np.outer([1, 3, 3, 1], [1, 2, 2, 1]), "test")


def save(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def detailed(seed):
    """Waves with grain: what tells a kernel."""
    grain = np.random.default_rng(seed).normal(0, 20, (80, 92, 3))
    return np.clip(picture(seed, 80, 92) + grain, 0, 255).astype(np.uint8)


@pytest.fixture
def div2k(tmp_path):
    """DIV2K's training part with LR_unknown for x2, as it comes."""
    for number in range(2):
        hr = detailed(number)
        save(tmp_path / f"DIV2K/DIV2K_train_HR/000{number}.png", hr)
        save(
            tmp_path / f"DIV2K/DIV2K_train_LR_unknown/X2/000{number}x2.png",
            KERNEL.downscale(hr, 2),
        )
        save(tmp_path / f"DIV2K/DIV2K_valid_HR/080{number}.png", picture(9, 40, 40))
    return tmp_path / "DIV2K"


def test_the_papers_rule(tmp_path):
    reduction, sources = choose("photo", [tmp_path], (2,))
    hr = picture(0, 30, 31)
    assert sources == [tmp_path]
    np.testing.assert_array_equal(reduction(tmp_path / "a.png", hr, 3), downscale(hr, 3))


def test_given_pictures_are_read_as_they_are(div2k):
    reduction, files = choose("unknown", [div2k], (2,))
    assert [file.name for file in files] == ["0000.png", "0001.png"]
    hr = detailed(1)
    np.testing.assert_array_equal(reduction(files[1], hr, 2), KERNEL.downscale(hr, 2))
    with pytest.raises(PictureError, match=r"other\.png"):
        reduction(div2k / "other.png", hr, 2)
    with pytest.raises(PictureError, match="belong to"):
        reduction(files[0], picture(0, 60, 60), 2)


def test_a_scale_that_is_not_there(div2k):
    with pytest.raises(UsageError, match="for x3"):
        choose("unknown", [div2k], (2, 3))


def test_a_kernel_from_a_file(tmp_path):
    np.save(tmp_path / "k.npy", KERNEL.weights)
    reduction, _ = choose(f"unknown:{tmp_path / 'k.npy'}", [tmp_path], (3,))
    hr = picture(0, 30, 33)
    np.testing.assert_array_equal(reduction(tmp_path, hr, 3), KERNEL.downscale(hr, 3))
    with pytest.raises(UsageError, match="3 scales"):
        by_kernel(tmp_path / "k.npy", (2, 3, 4))
    with pytest.raises(UsageError, match="kernel cannot be read"):
        by_kernel(tmp_path / ("x" * 300), (2,))


def test_kernels_from_a_folder(tmp_path):
    for scale in (2, 3):
        np.save(tmp_path / f"x{scale}.npy", KERNEL.weights)
    assert set(by_kernel(tmp_path, (2, 3)).kernels) == {2, 3}
    with pytest.raises(UsageError, match=r"x4\.npy"):
        by_kernel(tmp_path, (2, 3, 4))


def test_a_kernel_estimated_by_pairs(div2k, tmp_path):
    reduction = by_kernel(div2k, (2,))
    hr = detailed(1)
    difference = reduction(tmp_path, hr, 2).astype(int) - KERNEL.downscale(hr, 2)
    assert np.abs(difference).max() <= 2
    with pytest.raises(UsageError, match="x3"):
        by_kernel(div2k, (3,))


def test_the_identity_tells_kernels_apart(tmp_path):
    for name, seed in (("a", 0), ("b", 1)):
        weights = np.random.default_rng(seed).uniform(0, 1, (3, 3))
        np.save(tmp_path / f"{name}.npy", weights)
    one, other = (by_kernel(tmp_path / f"{name}.npy", (2,)).identity for name in ("a", "b"))
    assert one != other and one.startswith("x2 ")

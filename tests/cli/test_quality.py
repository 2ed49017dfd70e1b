"""How good the pictures are that the command makes with the bundled model."""

import numpy as np
import pytest
from PIL import Image

from tests.jobs.nearest import read_back

NAMES = ("baby", "bird", "butterfly", "head", "woman")


def luma(image):
    """The Y channel (BT.601, studio range) of an RGB picture, as float64."""
    return np.asarray(image.convert("RGB")) @ np.array([65.738, 129.057, 25.064]) / 256 + 16


def psnr(image, truth):
    """In dB, on the Y channel, a border of 4 pixels left out, as papers report it."""
    assert image.size == truth.size
    difference = (luma(image) - luma(truth))[4:-4, 4:-4]
    return 10 * np.log10(255**2 / np.mean(difference**2))


@pytest.fixture(scope="module")
def set5(shared):
    """Low-resolution files, and the true pictures, cropped to four times their size."""
    folder = shared / "benchmarks" / "Set5"
    files = [folder / "LR_bicubic" / "X4" / f"{name}x4.png" for name in NAMES]
    truths = []
    for name, file in zip(NAMES, files, strict=True):
        width, height = read_back(file).size
        truth = read_back(folder / "HR" / f"{name}.png")
        truths.append(truth.crop((0, 0, 4 * width, 4 * height)))
    return files, truths


def upscaled(edsr, folder, files, *arguments):
    run = edsr("upscale", *files, "-o", folder, *arguments)
    assert run.code == 0, run.err
    return [read_back(folder / f"{file.stem}_x4.png") for file in files]


def scores(images, truths):
    return np.array([psnr(image, truth) for image, truth in zip(images, truths, strict=True)])


def bicubic(file):
    image = read_back(file).convert("RGB")
    return image.resize((4 * image.width, 4 * image.height), Image.Resampling.BICUBIC)


def test_the_bundled_model_beats_bicubic(edsr, set5, tmp_path):
    files, truths = set5
    plain = scores(upscaled(edsr, tmp_path / "plain", files), truths)
    simple = scores([bicubic(file) for file in files], truths)
    print(f"Set5 x4, Y-PSNR: {plain.mean():.3f} dB, bicubic {simple.mean():.3f} dB")  # noqa: T201
    assert np.mean(plain - simple) >= 2
    assert np.all(plain > simple)


def test_memory_options_change_next_to_nothing(edsr, set5, tmp_path):
    """In fp32: with bf16, what is rounded depends on how rows are cut."""
    file = tmp_path / "part.png"
    read_back(set5[0][1]).crop((10, 10, 50, 40)).save(file)
    [plain] = upscaled(edsr, tmp_path / "plain", [file], "--precision", "fp32")
    for name, arguments in {"tile": ["-t", "17"], "memory": ["--max-memory", "12M"]}.items():
        arguments = (*arguments, "--precision", "fp32")
        [image] = upscaled(edsr, tmp_path / name, [file], *arguments)
        difference = np.abs(np.asarray(image).astype(int) - np.asarray(plain))
        assert difference.max() <= 1 and np.mean(difference > 0) < 0.001


def test_the_ensemble_is_better_still(edsr, set5, tmp_path):
    """On the two smallest pictures, because it is eight times the work."""
    files, truths = ([each[NAMES.index(name)] for name in ("butterfly", "woman")] for each in set5)
    plain = scores(upscaled(edsr, tmp_path / "plain", files), truths)
    ensemble = scores(upscaled(edsr, tmp_path / "ensemble", files, "-x"), truths)
    print(f"Two of Set5 x4, Y-PSNR: {plain.mean():.3f} dB, -x {ensemble.mean():.3f} dB")  # noqa: T201
    assert np.all(ensemble - plain > 0.03)

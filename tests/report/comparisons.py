"""Comparisons for tests of pages and sheets: small pictures, of which every pixel is known."""

import numpy as np

from edsr_cli.evaluation.scores import measure
from edsr_cli.images.colour.icc import srgb_profile
from edsr_cli.report.comparison import Comparison, Version

WIDTH, HEIGHT, SCALE = 60, 40, 4


def noise(seed, width=WIDTH, height=HEIGHT):
    """Pixels that are all different."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def near(pixels, seed, most=9):
    """The same with small differences."""
    change = np.random.default_rng(seed).integers(-most, most + 1, pixels.shape)
    return np.clip(pixels + change, 0, 255).astype(np.uint8)


def swapped_profile():
    """A profile that takes red for green."""
    profile = bytearray(srgb_profile())
    red, green = profile.index(b"rXYZ"), profile.index(b"gXYZ")
    profile[red : red + 4], profile[green : green + 4] = b"gXYZ", b"rXYZ"
    return bytes(profile)


def comparison(name="photo.png", labels=("first", "second", "small"), profile=None, **fields):
    """Three versions, the last one in pixels of the input, and the reference."""
    truth = noise(0)
    made = [near(truth, 1), near(truth, 2, most=30), truth[::SCALE, ::SCALE].copy()]
    versions = []
    for label, kind, pixels in zip(labels, ("network", "bicubic", "nearest"), made, strict=True):
        at_size = pixels.repeat(HEIGHT // len(pixels), 0).repeat(HEIGHT // len(pixels), 1)
        scores = measure(at_size, truth, SCALE).to_dict()
        how = {
            "model": label, "device": "CPU", "precision": "fp32", "restore": 0.5,
            "restore_reason": "as asked for", "seconds": 1.5, "memory_bytes": 10**6,
        } if kind == "network" else {}  # fmt: skip
        command = f"edsr upscale {name}" if kind == "network" else ""
        versions.append(Version(label, kind, pixels, profile, command, how, scores))
    versions.append(Version("reference", "reference", truth, profile))
    values = {
        "name": name, "input": name, "crop": None, "size": (WIDTH, HEIGHT), "scale": SCALE,
        "border": SCALE, "versions": versions,
    }  # fmt: skip
    return Comparison(**(values | fields))

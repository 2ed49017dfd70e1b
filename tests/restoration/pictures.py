"""Synthetic pictures, and what is done to them."""

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]


def scene(height: int = 128, width: int = 128, seed: int = 0) -> Pixels:
    """A smooth background with shapes on it and a textured part, as in a photograph."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    base = 110 + 50 * np.sin(x / 37 + y / 53) + 30 * np.cos(y / 29)
    picture = np.stack([base, base * 0.9 + 10, base * 0.8 + 25], axis=-1)
    for _ in range(12):
        top, left, radius = rng.integers(0, height), rng.integers(0, width), rng.integers(6, 25)
        edge = np.clip(radius - np.hypot(y - top, x - left), 0, 1)[..., None]
        picture = picture * (1 - edge) + edge * rng.integers(40, 210, 3)
    coarse = Image.fromarray(rng.integers(0, 256, (height // 2, width // 2), np.uint8))
    texture = np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC), float)
    part = np.clip((x - 0.7 * width) / 8, 0, 1)
    picture += (part * (texture - 128) * 0.4)[..., None]
    return np.clip(np.rint(picture), 6, 249).astype(np.uint8)


def grass(height: int = 128, width: int = 128) -> Pixels:
    """Texture everywhere, with no calm place; it fades towards high frequencies, as lenses do."""
    rng = np.random.default_rng(1)
    fine = Image.fromarray(rng.integers(0, 256, (2 * height, 2 * width), np.uint8))
    texture = np.asarray(fine.resize((width * 3 // 4, height * 3 // 4), Image.Resampling.LANCZOS))
    grown = Image.fromarray(texture).resize((width, height), Image.Resampling.BICUBIC)
    green = (np.asarray(grown, float) - 128) * 1.2
    return np.clip(np.stack([90 + green, 120 + green, 60 + green], -1), 6, 249).astype(np.uint8)


def noisy(pixels: Pixels, sigma: float, grey: bool = False, seed: int = 2) -> Pixels:
    shape = (*pixels.shape[:2], 1) if grey else pixels.shape
    noise = np.random.default_rng(seed).normal(0, sigma, shape)
    return np.clip(np.rint(pixels + noise), 0, 255).astype(np.uint8)


def saved(pixels: Pixels, form: str, **options: Any) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, form, **options)
    return file.getvalue()


def jpeg(pixels: Pixels, quality: int, **options: Any) -> Pixels:
    """What a JPEG of a picture looks like."""
    content = saved(pixels, "JPEG", quality=quality, **options)
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))

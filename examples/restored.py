"""Make docs/restored.png, the picture in docs/restore.md: python examples/restored.py

Two pictures as new users have them: a portrait saved as JPEG of quality 25, and an animal's fur
with the noise of a telephone's sensor. From left to right: the picture itself, bicubic
interpolation (Pillow), the network for clean pictures (`--restore 0`), and what `edsr upscale` does
unasked.
"""

import io
from pathlib import Path

import numpy as np
from PIL import Image

from edsr_cli import load

FOLDER = Path(__file__).parent
TARGET = FOLDER.parent / "docs" / "restored.png"
SIZE = (64, 64)  # LR pixels of each part
GAP = 8  # pixels


def compressed(picture: Image.Image) -> Image.Image:
    """As JPEG of quality 25."""
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=25)
    return Image.open(file)


def noisy(picture: Image.Image) -> Image.Image:
    """With noise of 12 levels that is partly the same in all colours, then as JPEG of 85."""
    random = np.random.default_rng(0)
    pixels = np.asarray(picture, np.float64)
    grey = random.normal(0, 10, pixels.shape[:2])[..., None]
    pixels = np.clip(np.round(pixels + grey + random.normal(0, 6, pixels.shape)), 0, 255)
    file = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(file, "JPEG", quality=85)
    return Image.open(file)


ROWS = [("astronaut.png", (30, 2), compressed), ("cat.png", (60, 50), noisy)]


def main() -> None:
    """Write the picture."""
    before, after = (load("edsr-free", scale=4, restore=setting) for setting in (0.0, "auto"))
    scale = before.scale
    width, height = (scale * n for n in SIZE)
    columns = 4
    sheet = Image.new(
        "RGB", (columns * (width + GAP) - GAP, len(ROWS) * (height + GAP) - GAP), "white"
    )
    for row, (name, (left, top), spoil) in enumerate(ROWS):
        picture = spoil(Image.open(FOLDER / name).convert("RGB"))
        size = (scale * picture.width, scale * picture.height)
        versions = [
            picture.resize(size, Image.Resampling.NEAREST),
            picture.resize(size, Image.Resampling.BICUBIC),
            before(picture),
            after(picture),
        ]
        box = (scale * left, scale * top, scale * left + width, scale * top + height)
        for column, version in enumerate(versions):
            place = (column * (width + GAP), row * (height + GAP))
            sheet.paste(version.convert("RGB").crop(box), place)
    TARGET.parent.mkdir(exist_ok=True)
    sheet.save(TARGET, optimize=True)


if __name__ == "__main__":
    main()

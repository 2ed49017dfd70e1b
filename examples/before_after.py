"""Make examples/before-after.png, the picture in the README: python examples/before_after.py

Each row: a part of an example, enlarged four times by bicubic interpolation (Pillow) on the left
and by `edsr upscale --ensemble` with the bundled weights on the right.
"""

from pathlib import Path

from PIL import Image

from edsr_cli import load

FOLDER = Path(__file__).parent
PARTS = [("astronaut.png", (20, 0, 120, 90)), ("cat.png", (40, 20, 140, 110))]
GAP = 8  # pixels


def main() -> None:
    """Write the picture."""
    upscaler = load("edsr-free", scale=4)
    scale = upscaler.scale
    width, height = (scale * n for n in (100, 90))
    sheet = Image.new("RGB", (2 * width + GAP, len(PARTS) * (height + GAP) - GAP), "white")
    for row, (name, box) in enumerate(PARTS):
        picture = Image.open(FOLDER / name)
        wide = picture.resize(
            (scale * picture.width, scale * picture.height), Image.Resampling.BICUBIC
        )
        left, top, right, bottom = (scale * n for n in box)
        for column, enlarged in enumerate([wide, upscaler(picture, ensemble=True)]):
            place = (column * (width + GAP), row * (height + GAP))
            sheet.paste(enlarged.crop((left, top, right, bottom)), place)
    sheet.save(FOLDER / "before-after.png", optimize=True)


if __name__ == "__main__":
    main()

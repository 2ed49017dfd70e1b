"""Put crops of photographs together to larger pictures, saved as PNG.

Run it as: python benchmarks/gpu/mosaics.py PHOTOS FOLDER COUNT WIDTHxHEIGHT
"""

import sys
from itertools import cycle
from pathlib import Path

from PIL import Image


def main() -> None:
    """Make the pictures."""
    photos, folder, count = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    width, height = map(int, sys.argv[4].split("x"))
    folder.mkdir(parents=True, exist_ok=True)
    crops = cycle(sorted(photos.iterdir()))
    for number in range(count):
        picture, top = Image.new("RGB", (width, height)), 0
        while top < height:
            left = lowest = 0
            while left < width:
                with Image.open(next(crops)) as crop:
                    picture.paste(crop.convert("RGB"), (left, top))
                    left, lowest = left + crop.width, max(lowest, crop.height)
            top += lowest
        picture.save(folder / f"{number:03}.png", compress_level=1)


if __name__ == "__main__":
    main()

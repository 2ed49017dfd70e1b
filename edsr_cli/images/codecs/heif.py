"""HEIC, the photographs of phones, where pillow-heif is installed (`edsr-cli[heif]`).

It puts its decoder among Pillow's, which gives 8 bits; what has more is taken from itself.
"""

import logging
from collections.abc import Iterator
from functools import cache
from typing import Any, BinaryIO

import numpy as np
from PIL import Image

from edsr_cli.images.codecs import Codec, Rows
from edsr_cli.images.colour import Samples
from edsr_cli.images.colour.spaces import Stated, stated_points
from edsr_cli.images.metadata import Found
from edsr_cli.pixels.depth import full_range

logger = logging.getLogger(__name__)


@cache
def library() -> Any:
    """The module pillow_heif, its decoder known to Pillow; None where there is none that works."""
    try:
        import pillow_heif  # type: ignore[import-not-found,import-untyped,unused-ignore]
    except Exception as error:  # whatever a package that does not work here may raise
        logger.debug("pillow-heif does not work here: %s", error)
        return None
    pillow_heif.register_heif_opener(thumbnails=False)
    return pillow_heif


class Heif(Codec):
    """See the module. A picture is upright when it has been decoded, and its EXIF data says so."""

    name = "HEIF"

    def bits(self, image: Image.Image, file: BinaryIO) -> int:
        return int(image.info.get("bit_depth", 8))

    def texts(self, image: Image.Image, file: BinaryIO | None, found: Found) -> None:
        if any("hdrgainmap" in str(kind) for kind in image.info.get("aux") or ()):
            found.leave("a gain map (HDR)")
        if image.info.get("depth_images"):
            found.leave("its depth map")

    def colour(self, image: Image.Image, file: BinaryIO | None, own: bytes | None) -> Stated:
        points = image.info.get("nclx_profile")
        if own is not None or not points:  # a profile overrides nclx
            return Stated(own)
        primaries, transfer = points["color_primaries"], points["transfer_characteristics"]
        return stated_points((int(primaries), int(transfer), 0, 1), None, "nclx")

    def rows(self, image: Image.Image, file: BinaryIO) -> Rows | None:
        bits = self.bits(image, file)
        if bits <= 8 or image.mode not in ("RGB", "RGBA"):
            return None

        def begin() -> Iterator[Samples]:
            file.seek(0)
            opened = library().open_heif(file, convert_hdr_to_8bit=False)
            shifted = np.asarray(opened[image.tell()])  # up to 16 bits
            values = full_range(shifted >> (16 - bits), bits)
            alpha = values[..., 3] if values.shape[2] == 4 else None
            yield Samples("RGB", values[..., :3], alpha, bits)

        return Rows(begin, lambda: image, exact=True, at_once=True)


CODEC = Heif()

library()  # Pillow knows the format then

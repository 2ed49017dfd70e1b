"""--restore, as the user says it, and what `auto` chooses for a picture.

`auto` knows five strengths. Which one suits a picture was measured: `benchmarks/restore.py` prints
the qualities at which the gains of neighbouring strengths are equal, `benchmarks/noise_steps.py`
the levels of noise between which each strength gains most, and these are the thresholds below.
"""

import hashlib

from msgspec import Struct

from edsr_cli.images.picture import Compression
from edsr_cli.pixels.windows import Readable
from edsr_cli.restoration.drawing import has_hard_edges, has_smoothed_edges
from edsr_cli.restoration.grid import jpeg_quality
from edsr_cli.restoration.noise import Noise, noise_of
from edsr_cli.restoration.sampling import luma, pieces

STRENGTHS = (0.0, 0.25, 0.5, 0.75, 1.0)
"""What `auto` chooses from."""

_VERSION = 2  # to be raised whenever what is measured changes

Steps = tuple[float, float, float, float]
"""For each strength above 0, from where on it is chosen."""

_DIFFERENT = 8  # in quality; what is measured so close below what is stated is the same


class Thresholds(Struct, frozen=True):
    """Where the next strength becomes the better choice.

    Attributes:
        qualities: by codec, the highest qualities for 0.25, 0.5, 0.75 and 1.
        noise: the lowest levels of noise for these, in a picture of usual detail.
    """

    qualities: dict[str, Steps]
    noise: Steps

    def for_compression(self, compression: Compression) -> float:
        """The strength for a picture that was compressed."""
        steps = self.qualities[compression.codec]
        return STRENGTHS[sum(compression.quality <= step for step in steps)]

    def for_noise(self, noise: Noise) -> float:
        """The strength for a picture with noise."""
        return STRENGTHS[sum(noise.effective >= step for step in self.noise)]


THRESHOLDS = {
    2: Thresholds(
        {"JPEG": (97, 95, 92, 77), "WebP": (97, 93, 86, 55), "AVIF": (91, 80, 70, 45)},
        noise=(0.9, 1.5, 2.3, 3.2),
    ),
    3: Thresholds(
        {"JPEG": (98, 96, 91, 71), "WebP": (97, 93, 86, 45), "AVIF": (91, 81, 67, 41)},
        noise=(1.0, 1.6, 2.3, 3.0),
    ),
    4: Thresholds(
        {"JPEG": (98, 96, 92, 77), "WebP": (96, 92, 84, 40), "AVIF": (90, 80, 68, 43)},
        noise=(1.0, 1.8, 2.1, 2.4),
    ),
}
"""By scale."""


def version(*scales: int) -> str:
    """What changes when `auto` may choose otherwise at scales: a batch's are made again then."""
    # Of plain values: how a Struct is written out is up to the version of msgspec.
    steps = {scale: (THRESHOLDS[scale].qualities, THRESHOLDS[scale].noise) for scale in scales}
    return f"{_VERSION}-{hashlib.sha256(repr(steps).encode()).hexdigest()[:8]}"


class Choice(Struct, frozen=True):
    """How much to restore a picture, and why.

    Attributes:
        strength: 0 to 1.
        reason: what was found, such as "JPEG of quality 72"; without a full stop.
    """

    strength: float
    reason: str


_HARD_DRAWING = Choice(1.0, "a drawing with hard edges")
_SMOOTH_DRAWING = Choice(0.75, "a drawing with smoothed edges")


def choose(picture: Readable, scale: int, stated: Compression | None = None) -> Choice:
    """The strength for a picture.

    What its file states counts. The pixels may tell of more: of noise, and of worse files that the
    picture was before.

    Args:
        picture: (H, W, 3), RGB, uint8 or uint16. It is not read where what its file states is
            enough.
        scale: the upscaling factor.
        stated: what the file says about its compression; None for nothing.
    """
    thresholds, found = THRESHOLDS[scale], []
    if stated is not None:
        found.append(Choice(thresholds.for_compression(stated), str(stated)))
        if found[0].strength == STRENGTHS[-1]:
            return found[0]
    parts = pieces(picture)
    planes = [luma(part) for part in parts]
    if has_hard_edges(planes):
        return _HARD_DRAWING
    if has_smoothed_edges(planes):
        return _SMOOTH_DRAWING
    quality = jpeg_quality(planes)
    if quality is not None and (stated is None or quality < stated.quality - _DIFFERENT):
        traces = Compression("JPEG", quality)
        found.append(Choice(thresholds.for_compression(traces), f"traces of a {traces}"))
    noise = noise_of(parts)
    if strength := thresholds.for_noise(noise):
        found.append(Choice(strength, f"noise of about {noise.level:.0f} levels"))
    return max(found, key=lambda each: each.strength, default=Choice(0.0, "no damage found"))

"""The level of noise in a picture, told from texture, and the detail that it would cost to remove.

Noise is the same at all frequencies; texture fades towards the highest, above all in a picture
that was made smaller. So what is measured is the highest frequencies of the blocks that have least
of the low ones. Where that could still be texture, such as grass, two things tell: texture is
nearly the same in all colours, noise is not; and if noise is (grain), it is no stronger an octave
below.

Restoring takes detail along with noise: the more there is, the less of it pays.
"""

from collections.abc import Sequence

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from edsr_cli.restoration.grid import blocks_of, cosine_transform
from edsr_cli.restoration.sampling import LUMA, Colours

_SHARE = 0.1  # of the blocks are looked at
_FEWEST = 16
_ENOUGH = 64  # blocks of a picture; the calmest of fewer need not be calm
_GREATEST = 90.0  # levels; what is stronger is a pattern: dither, a checkerboard, line art
_DARKEST, _BRIGHTEST = 3, 252  # what is beyond may be cut off, and its noise with it
_V, _U = np.meshgrid(np.arange(8), np.arange(8), indexing="ij")
_HIGHEST = (_V >= 6) & (_U >= 6)
_MIDDLE = (_V + _U >= 5) & (_V + _U <= 7)
_LOW = (_V + _U > 0) & (_V + _U <= 5)

# Luma and two colour differences; each row of length 1, but for luma, where noise that is
# independent in R, G and B keeps 0.668 of its level.
_LUMA_SHARE = float(np.sqrt((LUMA**2).sum()))
_DIFFERENCES = np.array([[1, -1, 0], [1, 1, -2]], np.float32) / np.sqrt([[2], [6]])

_TEXTURE, _NOISE = 0.25, 0.5
"""Energy of the highest frequencies in relation to those an octave below: texture, white noise."""

USUAL_DETAIL, _POWER = 5.5, 0.35
"""Detail of the median of 60 training photographs, and the power of detail, of those tried on them,
with which one set of thresholds for noise did best for all (x2)."""


class Noise(Struct, frozen=True):
    """The noise of a picture, and what is in its way.

    Attributes:
        level: the standard deviation in levels, 0..255, of noise in R, G and B. Of grain that is
            the same in all three, it is the level that independent noise would have which is as
            strong in luma: 1.5 times as much.
        detail: the root mean square of a cosine coefficient of luma, in levels, at middle
            frequencies and without the noise, in blocks with more of it than three quarters of all;
            at least 1.
    """

    level: float
    detail: float

    @property
    def effective(self) -> float:
        """The level for which, in a picture of usual detail, as much restoring would be best."""
        return self.level * (USUAL_DETAIL / self.detail) ** _POWER


def noise_of(parts: Sequence[Colours]) -> Noise:
    """Measure the noise of a picture.

    Args:
        parts: pieces of it, (H, W, 3).
    """
    blocks = _blocks(parts)
    if len(blocks) < _FEWEST:
        return Noise(0.0, USUAL_DETAIL)
    luma = _energies(blocks @ LUMA)
    calm = np.argsort(luma[:, _LOW].sum(axis=1))[: max(_FEWEST, int(len(luma) * _SHARE))]
    highest = luma[calm][:, _HIGHEST].mean()
    level = float(np.sqrt(highest)) / _LUMA_SHARE
    coloured = float(
        np.sqrt(
            np.mean([_energies(blocks[calm] @ row)[:, _HIGHEST].mean() for row in _DIFFERENCES])
        )
    )
    flatness = highest / max(luma[calm][:, _MIDDLE].mean(), 1e-6)
    grain = float(np.clip((flatness - _TEXTURE) / (_NOISE - _TEXTURE), 0, 1))
    found = max(min(level, coloured), level * grain)
    found = found if found <= _GREATEST else 0.0
    middle = np.quantile(luma[:, _MIDDLE].mean(axis=1), 0.75) - (found * _LUMA_SHARE) ** 2
    return Noise(found, float(np.sqrt(max(middle, 1.0))))


def _blocks(parts: Sequence[Colours]) -> NDArray[np.float32]:
    """Blocks in which nothing is cut off, (N, 8, 8, 3); overlapping ones of small pictures."""
    places = [(0, 0)] if len(parts) > 4 else [(0, 0), (0, 4), (4, 0), (4, 4)]
    blocks = np.concatenate([blocks_of(part, *place) for part in parts for place in places])
    if len(blocks) < _ENOUGH:
        return blocks[:0]
    samples = blocks.reshape(len(blocks), -1)
    least, most = samples.min(axis=1), samples.max(axis=1)
    # What has one colour was filled with it: a border, or a drawing, which has no noise if there is
    # much of that.
    filled = np.ptp(blocks @ LUMA, axis=(1, 2)) < 1e-3
    if filled.mean() > 0.5:
        return blocks[:0]
    whole = (least > _DARKEST) & (most < _BRIGHTEST) & ~filled
    return blocks[whole] if np.count_nonzero(whole) >= _FEWEST else blocks[~filled]


def _energies(blocks: NDArray[np.float32]) -> NDArray[np.float32]:
    """Squares of the frequencies of each block, (N, 8, 8)."""
    transform = cosine_transform()
    return np.square(transform @ blocks @ transform.T)

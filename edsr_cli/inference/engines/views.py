"""The eight ways to turn a picture, for the geometric self-ensemble (Lim et al. 2017, section 3.5).

The "+" models of the paper average eight outputs: the input is flipped and rotated eight ways,
upscaled, and each output is turned back. Turning pictures is not needed. For a dihedral transform
T and a convolution with kernel w,

    T^-1(convolution(T(x), w)) = convolution(x, T^-1(w)),

and where a pixel shuffle by r follows, the r x r sub-pixel channels in front of it turn in the same
way. So each view is the same network with turned weights on the upright picture: eight of them
stream side by side over the same strips, and the average is finished strip by strip.
"""

from typing import Any

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from edsr_cli.model.impulse import Borders


class View(Struct, frozen=True):
    """Quarter turns, then perhaps a mirror.

    Attributes:
        turns: counter-clockwise quarter turns, 0 to 3.
        mirrored: whether left and right are swapped afterwards.
    """

    turns: int
    mirrored: bool

    def apply(self, x: NDArray[Any]) -> NDArray[Any]:
        """Turn the last two dimensions of an array."""
        x = np.rot90(x, self.turns, (-2, -1))
        return x[..., ::-1] if self.mirrored else x

    def undo(self, x: NDArray[Any]) -> NDArray[Any]:
        """The inverse of `apply`; of a kernel, what it is for pictures that are not turned."""
        x = x[..., ::-1] if self.mirrored else x
        return np.rot90(x, -self.turns, (-2, -1))

    def undo_subpixels(self, x: NDArray[Any], factor: int) -> NDArray[Any]:
        """The same for the factor x factor subpixels that the first dimension stands for."""
        parts = x.reshape(-1, factor, factor, *x.shape[1:])
        turned = self.undo(np.moveaxis(parts, (1, 2), (-2, -1)))
        return np.moveaxis(turned, (-2, -1), (1, 2)).reshape(x.shape)

    def borders(self, borders: Borders) -> Borders:
        """Where the sides of a picture lie in the turned one."""
        sides = np.zeros((3, 3), bool)
        sides[[0, 2, 1, 1], [1, 1, 0, 2]] = (
            borders.top,
            borders.bottom,
            borders.left,
            borders.right,
        )
        turned = self.apply(sides)
        return Borders(*(bool(side) for side in turned[[0, 2, 1, 1], [1, 1, 0, 2]]))


VIEWS = tuple(View(turns, mirrored) for mirrored in (False, True) for turns in range(4))
"""All of them; the first is the upright picture itself."""

TRANSPOSE = View(3, True)
"""The view that swaps rows and columns; its own inverse."""

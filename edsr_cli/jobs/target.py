"""How large an output is to be, and which networks that takes.

Sizes keep the picture's aspect. The side that the user has named is exact, the other one is rounded
to whole pixels, halves up, and is 1 at least; a factor rounds both so. Megapixels are a limit: the
width is the largest that keeps to it.
"""

from collections.abc import Sequence
from fractions import Fraction
from itertools import accumulate, combinations_with_replacement
from math import floor, isqrt, prod
from operator import mul

from msgspec import Struct

from edsr_cli.errors import PictureError, UsageError
from edsr_cli.options.pictures import Size as SizeOptions

PRINT_DPI = 300
"""Pixels per inch of prints, if nothing else is said."""


class Enlargement(Struct, frozen=True):
    """How one picture becomes as large as it is to be.

    Attributes:
        before, after: (width, height) in pixels of input and output.
        ratio: how many times larger, as asked for, or else by the side that becomes more so.
        scales: those of the networks, one after the other; empty where none is needed.
    """

    before: tuple[int, int]
    after: tuple[int, int]
    ratio: float
    scales: tuple[int, ...]

    @property
    def reduces(self) -> bool:
        """Whether what the networks make, or the input, is reduced to the size."""
        sides = self.before
        for scale in self.scales:
            sides = (sides[0] * scale, sides[1] * scale)
        return sides != self.after

    @property
    def between(self) -> int:
        """The most pixels that there are between two networks; 0 where at most one is needed."""
        width, height = self.before
        factors = accumulate(self.scales[:-1], mul)
        return max((width * height * factor**2 for factor in factors), default=0)

    @property
    def remark(self) -> str | None:
        """What to say where no network is used."""
        if self.scales:
            return None
        if self.reduces:
            return "what is asked for is smaller than the picture, which is only reduced"
        return "the picture has the size that is asked for, and stays as it is"


class Target(Struct, frozen=True):
    """The size that pictures are to have; just one of these is given.

    Attributes:
        factor: how many times as wide and high.
        box: width and height in pixels that it is as large as fits into; None for any.
        turned: whether the box lies as the picture does.
        pixels: width times height, at most.
        label: what to call it in names, such as "x4" or "3840x2160".
    """

    label: str
    factor: Fraction | None = None
    box: tuple[int | None, int | None] = (None, None)
    turned: bool = False
    pixels: int | None = None

    def size(self, width: int, height: int) -> tuple[int, int]:
        """(width, height) of the output for those of an input, in pixels."""
        if self.pixels is not None:
            wide = max(1, min(isqrt(self.pixels * width // height), self.pixels))
            return wide, max(1, min(_rounded(Fraction(wide * height, width)), self.pixels // wide))
        factor = self.factor
        if factor is None:
            box = self.box
            if self.turned and (width > height) != ((box[0] or 0) > (box[1] or 0)):
                box = box[::-1]
            sides = zip(box, (width, height), strict=True)
            factor = min(Fraction(limit, side) for limit, side in sides if limit is not None)
        return max(1, _rounded(factor * width)), max(1, _rounded(factor * height))

    def scales(self, offered: Sequence[int]) -> tuple[int, ...]:
        """Those of the networks that any picture may go through; see `enlargement`.

        A factor takes the same for all, but for pictures of a few pixels.

        Raises:
            UsageError: two networks are not enough for the factor.
        """
        if self.factor is None:
            return tuple(offered)
        most = max(offered) ** 2
        if self.factor > most:
            raise UsageError(
                f"{float(self.factor):g} times is more than the {most} times that the model can "
                "enlarge, by two networks in a row.",
                "Ask for less, or take a model with larger scales.",
            )
        side = 1000 * self.factor.denominator  # where rounding changes nothing
        return self.enlargement(side, side, offered).scales

    def enlargement(self, width: int, height: int, offered: Sequence[int]) -> Enlargement:
        """How an input gets there.

        The network is the one of the smallest scale that is enough, or two whose product is; the
        smaller first, which is two to three times less work and as good (`benchmarks/sizes.py`).

        Args:
            width, height: of the input, in pixels.
            offered: the scales of the model.

        Raises:
            PictureError: two networks are not enough.
        """
        before, after = (width, height), self.size(width, height)
        ratio = max(new / old for new, old in zip(after, before, strict=True))
        if self.factor is not None:
            ratio = float(self.factor)

        def enough(factor: int) -> bool:
            return all(factor * old >= new for old, new in zip(before, after, strict=True))

        if enough(1):
            return Enlargement(before, after, ratio, ())
        ways: list[tuple[int, ...]] = [(scale,) for scale in sorted(offered)]
        ways += sorted(combinations_with_replacement(sorted(offered), 2), key=prod)
        for scales in ways:
            if enough(prod(scales)):
                return Enlargement(before, after, ratio, scales)
        most = max(offered) ** 2
        raise PictureError(
            f"from {width} x {height} to {after[0]} x {after[1]} pixels is {ratio:.3g} times, and "
            f"the model can enlarge {most} times, by two networks in a row.",
            "Ask for less, or enlarge what comes out once more.",
        )


def target_of(options: SizeOptions, default: int) -> Target:
    """What the options ask for.

    Args:
        options: at most one of them says a size.
        default: how many times to enlarge where none does.
    """
    if options.width is not None:
        return Target(f"w{options.width}", box=(options.width, None))
    if options.height is not None:
        return Target(f"h{options.height}", box=(None, options.height))
    if options.max_side is not None:
        return Target(f"max{options.max_side}", box=(options.max_side, options.max_side))
    if options.fit is not None:
        width, height = (int(side) for side in options.fit)
        return Target(f"{width}x{height}", box=(width, height))
    if options.megapixels is not None:
        pixels = max(1, int(Fraction(str(options.megapixels)) * 10**6))
        return Target(f"{options.megapixels:g}mp", pixels=pixels)
    if options.print is not None:
        dpi = options.dpi or PRINT_DPI
        width, height = (max(1, floor(side * dpi + 0.5)) for side in options.print)
        return Target(f"{width}x{height}", box=(width, height), turned=True)
    factor = default if options.scale is None else options.scale
    return Target(f"x{factor:g}", factor=Fraction(str(factor)))


def _rounded(number: Fraction) -> int:
    """The nearest whole number, halves up."""
    return floor(number + Fraction(1, 2))

"""Degradation of whole pictures, for measuring: training's steps, the same each time."""

import zlib
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from edsr_cli.datasets.benchmark import LoadedPair, Pair
from edsr_cli.degradations import spec
from edsr_cli.degradations.patches import Degradation, degrade_picture
from edsr_cli.degradations.reduction import UNKNOWN, Bicubic, ByKernel, Reduction, by_kernel
from edsr_cli.errors import UsageError
from edsr_cli.images.picture import Compression


class PictureDegradation(Struct, frozen=True):
    """What a data set's LR pictures suffer.

    Attributes:
        name: in words, for tables and JSON.
        degradation: the steps; None for none.
        kernels: what makes LR from HR in place of the LR pictures that are there; None to keep
            these.
        lr: which of a data set's LR pictures to take, as `find_benchmark` names them.
    """

    name: str
    degradation: Degradation | None = None
    kernels: ByKernel | None = None
    lr: str = "bicubic"

    def __call__(self, pair: Pair, loaded: LoadedPair) -> LoadedPair:
        """The pair with its LR version degraded; what it gets follows from its name and scale.

        Raises:
            UsageError: the set has no LR pictures of the kind that was asked for.
        """
        if self.lr == UNKNOWN and pair.lr is None:
            raise UsageError(
                f"there are no LR_unknown pictures for x{pair.scale}.",
                "Give a kernel: unknown:PATH.",
            )
        lr, compression = loaded.lr, loaded.compression
        if self.kernels is not None:
            lr, compression = self.kernels(pair.hr, loaded.hr, pair.scale), None
        if self.degradation is not None:
            seed = zlib.crc32(f"{pair.name} x{pair.scale}".encode())
            lr, quality = degrade_picture(self.degradation, loaded.hr, lr, seed)
            compression = Compression("JPEG", quality) if quality else None  # as its file would say
        return replace(loaded, lr=lr, compression=compression)


CLEAN = PictureDegradation("clean")
"""LR pictures as they are."""


def picture_degradation(text: str, scales: tuple[int, ...]) -> PictureDegradation:
    """Read what `--degrade` says: a specification, "unknown" or "unknown:PATH".

    Args:
        text: see `edsr_cli.degradations.spec` and `edsr_cli.degradations.reduction`.
        scales: the scales that kernels are needed for.

    Raises:
        UsageError, PictureError: it cannot be understood, or its kernel cannot be had.
    """
    name, colon, path = text.partition(":")
    if name == UNKNOWN:
        if colon:
            return PictureDegradation(text, kernels=by_kernel(Path(path), scales))
        return PictureDegradation(text, lr=UNKNOWN)
    steps = spec.parse(text)
    if steps.is_clean:
        return CLEAN
    return PictureDegradation(text, Degradation(steps))


def like(reduction: Reduction) -> PictureDegradation:
    """What gives a validation set the LR pictures that a training has; its steps come later."""
    if isinstance(reduction, Bicubic):
        return CLEAN
    if isinstance(reduction, ByKernel):
        return PictureDegradation(UNKNOWN, kernels=reduction)
    return PictureDegradation(UNKNOWN, lr=UNKNOWN)

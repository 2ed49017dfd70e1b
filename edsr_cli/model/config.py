"""The hyper-parameters of EDSR and MDSR, and the names and shapes of all that they imply.

No torch is needed to say what a network is, so none is imported.
"""

import math
from collections.abc import Iterator
from typing import Any

from msgspec import Struct
from msgspec.structs import asdict

RGB_MEAN = (0.4488, 0.4371, 0.4040)
"""Mean colour of the DIV2K training pictures, as fractions of full range (authors' release)."""

RGB_RANGE = 255.0
"""Full range of the networks' input and output."""

SCALES = (2, 3, 4)
"""The scales the paper trains (section 4.2)."""

TAIL_RADIUS = 2
"""How far the tail of any scale, which is linear, looks; in LR pixels."""

Shapes = Iterator[tuple[str, tuple[int, ...]]]


class NetworkConfig(Struct, frozen=True):
    """The hyper-parameters that define a network, as stored beside its weights.

    Attributes:
        architecture: "edsr" (one scale) or "mdsr" (several scales that share one body).
        scales: the upscaling factors, each one of `SCALES`; exactly one for "edsr".
        blocks: number of residual blocks in the body (B in the paper).
        features: number of feature channels (F in the paper).
        residual_scale: factor on each residual branch before it is added (section 3.3): 0.1 for
            the full EDSR, 1 otherwise.
        pre_process_kernel: "mdsr" only: size of the kernels in the blocks before the body, 5 in
            the paper (section 3.4). One published network of others has 3.
    """

    architecture: str
    scales: tuple[int, ...]
    blocks: int
    features: int
    residual_scale: float = 1.0
    pre_process_kernel: int = 5

    def __post_init__(self) -> None:
        if self.architecture not in ("edsr", "mdsr"):
            raise ValueError(f"architecture must be 'edsr' or 'mdsr', not {self.architecture!r}")
        if not self.scales or any(scale not in SCALES for scale in self.scales):
            raise ValueError(f"scales must be among {SCALES}, not {self.scales}")
        if self.architecture == "edsr" and len(self.scales) != 1:
            raise ValueError(f"an EDSR network has exactly one scale, not {self.scales}")
        if len(set(self.scales)) != len(self.scales):
            raise ValueError(f"each scale may be given once, not {self.scales}")
        if self.blocks < 1 or self.features < 1:
            raise ValueError(
                f"blocks and features must be positive, not {self.blocks} and {self.features}"
            )
        if self.pre_process_kernel not in (3, 5):
            raise ValueError(f"pre_process_kernel must be 3 or 5, not {self.pre_process_kernel}")
        if self.architecture == "edsr" and self.pre_process_kernel != 5:
            raise ValueError("an EDSR network has no pre_process_kernel")

    @property
    def last_convolution(self) -> str:
        """The name of the convolution that gives colours again."""
        return "tail.1" if self.architecture == "edsr" else "tail.0"

    def shapes(self) -> Shapes:
        """Every key of the network's state dict with its shape.

        One by one: a damaged file may ask for billions of blocks.
        """
        features = self.features
        yield from _convolution("sub_mean", 3, 3, 1)
        yield from _convolution("add_mean", 3, 3, 1)
        yield from _convolution("head.0", features, 3, 3)
        for block in range(self.blocks):
            yield from _block(f"body.{block}", features, 3)
        yield from _convolution(f"body.{self.blocks}", features, features, 3)
        for branch, scale in enumerate(self.scales):
            upsampler = "tail.0"
            if self.architecture == "mdsr":
                upsampler = f"upsample.{branch}"
                for block in (0, 1):
                    key = f"pre_process.{branch}.{block}"
                    yield from _block(key, features, self.pre_process_kernel)
            for index, step in enumerate(upsampling_steps(scale)):
                # A pixel shuffle stands between two convolutions.
                key = f"{upsampler}.{2 * index}"
                yield from _convolution(key, step * step * features, features, 3)
        yield from _convolution(self.last_convolution, 3, features, 3)

    @property
    def numbers(self) -> int:
        """How many there are in all tensors."""
        return sum(math.prod(shape) for _, shape in self.shapes())

    @property
    def parameters(self) -> int:
        """Number of weights and biases, without the 24 of the mean shifts (paper, table 1)."""
        return sum(math.prod(shape) for key, shape in self.shapes() if "_mean." not in key)

    def to_dict(self) -> dict[str, Any]:
        """This configuration as JSON-ready values; `from_dict` is the inverse."""
        values = asdict(self) | {"scales": list(self.scales)}
        if self.pre_process_kernel == 5:  # the paper's networks read as they always did
            del values["pre_process_kernel"]
        return values

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "NetworkConfig":
        """Read a configuration written by `to_dict`.

        Raises:
            ValueError: a value is out of range.
            TypeError, KeyError: a value is missing or of the wrong type.
        """
        return cls(
            architecture=values["architecture"],
            scales=tuple(int(scale) for scale in values["scales"]),
            blocks=int(values["blocks"]),
            features=int(values["features"]),
            residual_scale=float(values.get("residual_scale", 1.0)),
            pre_process_kernel=int(values.get("pre_process_kernel", 5)),
        )


def edsr_baseline(scale: int) -> NetworkConfig:
    """The single-scale baseline: 16 blocks, 64 features (section 3.2)."""
    return NetworkConfig("edsr", (scale,), blocks=16, features=64)


def edsr(scale: int) -> NetworkConfig:
    """The full EDSR: 32 blocks, 256 features, residual scaling 0.1 (section 3.3)."""
    return NetworkConfig("edsr", (scale,), blocks=32, features=256, residual_scale=0.1)


def mdsr_baseline() -> NetworkConfig:
    """The multi-scale baseline: 16 blocks, 64 features (section 3.4)."""
    return NetworkConfig("mdsr", SCALES, blocks=16, features=64)


def mdsr() -> NetworkConfig:
    """The full MDSR: 80 blocks, 64 features (section 3.4)."""
    return NetworkConfig("mdsr", SCALES, blocks=80, features=64)


def upsampling_steps(scale: int) -> tuple[int, ...]:
    """The pixel shuffles that a scale is made of: x4 is two steps of x2 (section 3.2)."""
    return (2, 2) if scale == 4 else (scale,)


def _block(key: str, features: int, kernel: int) -> Shapes:
    for part in (0, 2):  # a ReLU stands between the two
        yield from _convolution(f"{key}.body.{part}", features, features, kernel)


def _convolution(key: str, outputs: int, inputs: int, kernel: int) -> Shapes:
    yield f"{key}.weight", (outputs, inputs, kernel, kernel)
    yield f"{key}.bias", (outputs,)

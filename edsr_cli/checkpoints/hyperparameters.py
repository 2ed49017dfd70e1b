"""A network's hyper-parameters, from the keys and shapes of its tensors.

The residual scale is not among them: it leaves no trace in either.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from edsr_cli.checkpoints.checkpoint import Weights
from edsr_cli.checkpoints.layouts import Layout
from edsr_cli.errors import WeightsError
from edsr_cli.model.config import SCALES, NetworkConfig


def infer_config(tensors: Weights, layout: Layout, prefix: str, path: Path) -> NetworkConfig:
    """The hyper-parameters that fit a state dict, with residual scale 1.

    Args:
        tensors: the tensors under the file's own keys.
        layout: the layout of those keys.
        prefix: what stands in front of each key.
        path: the file, for messages.

    Raises:
        WeightsError: the tensors are of no EDSR or MDSR network for RGB at scales 2, 3 or 4. The
            message names file and tensor.
    """
    return _Inference(tensors, layout, prefix, path).config()


class _Inference:
    def __init__(self, tensors: Weights, layout: Layout, prefix: str, path: Path) -> None:
        self.tensors, self.layout, self.prefix, self.path = tensors, layout, prefix, path

    def config(self) -> NetworkConfig:
        head = self.weight("head.0")
        features, colours = head.shape[0], head.shape[1]
        if colours != 3:
            raise WeightsError(
                f"{self.path} is for pictures of {colours} channels; only RGB can be used."
            )
        self.weight("body.0.body.0")
        blocks = self.count(lambda block: [f"body.{block}.body.{part}" for part in (0, 2)])
        kernel = 5
        if not any(key.startswith(f"{self.prefix}pre_process.") for key in self.tensors):
            scales = [self.scale("tail.0", features)]
            architecture = "edsr"
        else:
            scales = self.branches(features)
            kernel = self.weight("pre_process.0.0.body.0", scales).shape[-1]
            architecture = "mdsr"
        try:
            return NetworkConfig(
                architecture, tuple(scales), blocks, features, pre_process_kernel=kernel
            )
        except ValueError as error:
            raise WeightsError(
                f"{self.path} holds no network that can be used: {error}."
            ) from error

    def branches(self, features: int) -> list[int]:
        """The scales of MDSR's branches, in the file's order."""
        if self.layout.branches_by_scale:
            firsts = ("pre_process.0.0.body.0.weight", "upsample.0.0.weight")
            return [
                scale
                for scale in SCALES
                if any(self.key(first, [scale]) in self.tensors for first in firsts)
            ]
        self.weight("upsample.0.0")
        count = self.count(lambda branch: [f"upsample.{branch}.0"])
        return [self.scale(f"upsample.{branch}", features) for branch in range(count)]

    def scale(self, module: str, features: int) -> int:
        """The scale of an upsampler: one pixel shuffle by 3, or one or more by 2."""
        outputs = self.weight(f"{module}.0").shape[0]
        if outputs == 9 * features:
            return 3
        if outputs == 4 * features:
            steps = self.count(lambda step: [f"{module}.{2 * step}"])
            return int(2**steps)
        key = self.key(f"{module}.0.weight")
        raise WeightsError(
            f"tensor {key!r} has {outputs} outputs, which is no upsampler of {features} features.",
            about=self.path,
        )

    def key(self, official: str, scales: Sequence[int] = ()) -> str:
        return self.prefix + self.layout.key(official, scales)

    def count(self, modules_of: Callable[[int], list[str]]) -> int:
        """How many numbered parts there are without a gap.

        A part counts if it has any tensor, so that another one that is missing can be named.
        """
        number = 0
        while any(
            self.key(f"{module}.{parameter}") in self.tensors
            for module in modules_of(number)
            for parameter in ("weight", "bias")
        ):
            number += 1
        return number

    def weight(self, module: str, scales: Sequence[int] = ()) -> NDArray[Any]:
        """The weight of a convolution, which must be there and have four dimensions."""
        key = self.key(f"{module}.weight", scales)
        weight = self.tensors.get(key)
        if weight is None:
            raise WeightsError(f"tensor {key!r} is missing.", about=self.path)
        if weight.ndim != 4:
            raise WeightsError(
                f"tensor {key!r} has {weight.ndim} dimensions, not 4.", about=self.path
            )
        return weight

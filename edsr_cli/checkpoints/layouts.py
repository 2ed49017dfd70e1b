"""Every published key layout, as data.

A layout is how one family of weight files calls the tensors of a network, and what the weights
expect of the numbers they are fed. Calling needs keys only, so a layout is recognised by `detect`
without looking at a tensor. What the weights expect leaves no trace in keys: files of the layouts
"official", "torchsr" and "super-image" have the same keys and shapes, and the wrong choice gives
a picture of noise.

The names of modules are given by rules from the official release's names, which are those of
`edsr_cli.model.networks`, to the file's own. So everything that goes wrong with a file can be said
in the file's own words.

A network's hyper-parameters follow from the keys and shapes of its tensors, but for the residual
scale, which leaves no trace in either.
"""

import re
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct
from numpy.typing import NDArray

from edsr_cli.checkpoints.checkpoint import Weights
from edsr_cli.errors import WeightsError
from edsr_cli.model.config import SCALES, NetworkConfig

CANONICAL = "canonical"
"""What the layout of the project's own files is called, see `edsr_cli.checkpoints.checkpoint`."""

MEAN_KEYS = ("sub_mean.weight", "sub_mean.bias", "add_mean.weight", "add_mean.bias")
"""The official keys of the two mean shifts."""

_SUPER_IMAGE_MDSR = (
    (r"(head|tail)\.0", r"\1.0.0"),
    (r"((?:body|pre_process\.\d+)\.\d+\.body\.\d+)", r"\1.0"),
    (r"body\.(\d+)", r"body.\1.0"),
    (r"upsample\.(\d+)\.(\d+)", r"upsample.\1.\2.0"),
)
_BASICSR = (
    (r"head\.0", "conv_first"),
    (r"body\.(\d+)\.body\.0", r"body.\1.conv1"),
    (r"body\.(\d+)\.body\.2", r"body.\1.conv2"),
    (r"body\.(\d+)", "conv_after_body"),
    (r"tail\.0\.(\d+)", r"upsample.\1"),
    (r"tail\.1", "conv_last"),
)
_MMAGIC = (
    (r"tail\.0\.0", "upsample.0.upsample_conv"),
    (r"tail\.0\.2", "upsample.1.upsample_conv"),
    *_BASICSR,
)
_TRANSFORMERS = (
    (r"(sub_mean|add_mean)", r"edsr_model.\1"),
    (r"head\.0", "edsr_model.edsr_head.0"),
    (r"body\.(\d+)\.body\.(\d+)", r"edsr_model.edsr_body.\1.edsr_body.\2"),
    (r"body\.(\d+)", r"edsr_model.edsr_body.\1"),
    (r"tail\.(.*)", r"upsampler.\1"),
)


class Layout(Struct, frozen=True):
    """How a family of weight files calls tensors, and what its weights expect.

    Attributes:
        name: what the user and the registry call it.
        value_range: full range of the network's input and output, 255 or 1.
        mean_shift: whether the network subtracts the mean colour, and adds it again.
        residual_scale: factor on the residual branches; None where it differs from file to file.
        rules: (regular expression for a whole official module name, the file's name for it); the
            first that matches counts, and without a match the name is the official one.
        stores_mean: whether files have tensors for the mean shift, used or not.
        branches_by_scale: whether MDSR's branches are numbered by scale, not 0, 1, 2.
    """

    name: str
    value_range: float
    mean_shift: bool
    residual_scale: float | None
    rules: tuple[tuple[str, str], ...] = ()
    stores_mean: bool = True
    branches_by_scale: bool = False

    def key(self, official: str, scales: Sequence[int] = ()) -> str:
        """The file's key for an official one such as "body.0.body.2.weight".

        Args:
            official: a key of `edsr_cli.model.networks`.
            scales: the network's scales, which `branches_by_scale` needs for keys of branches.
        """
        module, _, parameter = official.rpartition(".")
        if self.branches_by_scale:
            module = re.sub(
                r"^(pre_process|upsample)\.(\d+)",
                lambda match: f"{match[1]}.{scales[int(match[2])]}",
                module,
            )
        for pattern, own in self.rules:
            match = re.fullmatch(pattern, module)
            if match:
                module = match.expand(own)
                break
        return f"{module}.{parameter}"

    def same_keys(self, other: "Layout") -> bool:
        """Whether files of two layouts cannot be told apart by their keys."""
        return (self.rules, self.branches_by_scale) == (other.rules, other.branches_by_scale)

    def evidence(self, keys: Collection[str], prefix: str) -> int:
        """How many of head, first residual block and upsampler a file has under these names.

        Weight or bias is enough, so that the other can be missed by name.
        """

        def there(official: str, *scales: int) -> bool:
            parameters = (f"{official}.weight", f"{official}.bias")
            return any(prefix + self.key(each, scales) in keys for each in parameters)

        upsampler = there("tail.0.0") or any(there("upsample.0.0", scale) for scale in SCALES)
        return there("head.0") + there("body.0.body.0") + upsampler


# Sources, and where the numbers come from: weights/registry.toml and weights/README.md. Of layouts
# with the same keys, the first gives its name to a file of which no more is known.
LAYOUTS = (
    Layout("official", 255.0, True, None),  # the authors' PyTorch release
    Layout("torchsr", 255.0, True, None),
    Layout("super-image", 1.0, False, 1.0),  # EDSR, which never applies its mean shift
    Layout(  # one scale in a file
        "super-image-mdsr", 1.0, False, 0.1, _SUPER_IMAGE_MDSR, branches_by_scale=True
    ),
    Layout("basicsr", 255.0, True, None, _BASICSR, stores_mean=False),
    Layout("mmagic", 1.0, True, 1.0, _MMAGIC, stores_mean=False),  # and mmediting
    Layout("transformers", 255.0, True, None, _TRANSFORMERS),  # as was proposed for it
)

_PREFIX = r"(?:(?:module|model|generator|net_g|network|_orig_mod)\.)+"
"""What wrappers of a network put in front of its keys."""


def find(name: str) -> Layout:
    """The layout of a name.

    Raises:
        KeyError: there is no such layout.
    """
    return {layout.name: layout for layout in LAYOUTS}[name]


def prefix_for(layout: Layout, keys: Collection[str]) -> str:
    """What stands in front of a file's keys, such as "module.", if they are of this layout."""
    return max(_prefixes(keys), key=lambda prefix: layout.evidence(keys, prefix))


def detect(keys: Collection[str]) -> tuple[Layout, ...]:
    """The layouts that a file with these keys may have; several where they have the same keys.

    Two of head, first residual block and upsampler are enough, so that a file in which one of them
    is missing is recognised, and the missing tensor can be named.
    """
    prefixes = _prefixes(keys)
    found = {
        layout.name: max(layout.evidence(keys, prefix) for prefix in prefixes) for layout in LAYOUTS
    }
    best = max(LAYOUTS, key=lambda layout: found[layout.name])
    if found[best.name] < 2:
        return ()
    return tuple(layout for layout in LAYOUTS if layout.same_keys(best))


def _prefixes(keys: Collection[str]) -> list[str]:
    """Every prefix that a key has, none at all first."""
    matches = (re.match(_PREFIX, key) for key in keys)
    return ["", *sorted({match[0] for match in matches if match})]


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
                f"it is for pictures of {colours} channels; only RGB can be used.", about=self.path
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
                f"it holds no network that can be used: {error}.", about=self.path
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

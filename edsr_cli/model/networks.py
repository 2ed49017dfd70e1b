"""EDSR and MDSR, the networks of Lim et al., "Enhanced Deep Residual Networks for Single Image
Super-Resolution" (CVPR Workshops 2017, arXiv 1707.02921), as plain modules.

Both take and give RGB pictures as float tensors of shape (N, 3, H, W) with values in 0..255. The
names of modules, and so the keys of a state dict, are those of the authors' PyTorch release, which
every published checkpoint can be brought to.

    sub_mean -> head -> body (+ long skip) -> tail (upsampler, last convolution) -> add_mean

There is no batch normalisation and no activation outside the residual blocks (paper, section 3.1);
in particular the tail is linear, which `edsr_cli.inference` and `edsr_cli.training` make use of.
"""

from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

RGB_MEAN = (0.4488, 0.4371, 0.4040)
"""Mean colour of the DIV2K training pictures, as fractions of full range (authors' release)."""

RGB_RANGE = 255.0
"""Full range of the networks' input and output."""

SCALES = (2, 3, 4)
"""The scales the paper trains (section 4.2)."""


@dataclass(frozen=True)
class NetworkConfig:
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


def convolution(inputs: int, outputs: int, kernel: int) -> nn.Conv2d:
    """A convolution that keeps height and width: zeros are put around its input."""
    return nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2)


class MeanShift(nn.Conv2d):
    """Add `sign` times the mean colour: a fixed 1 x 1 convolution, (N, 3, H, W) to the same.

    It is a convolution only because the published checkpoints store it as one. It is kept out of
    training.
    """

    def __init__(self, sign: int) -> None:
        super().__init__(3, 3, kernel_size=1)
        with torch.no_grad():
            self.weight.copy_(torch.eye(3).view(3, 3, 1, 1))
            assert self.bias is not None
            self.bias.copy_(sign * RGB_RANGE * torch.tensor(RGB_MEAN))
        self.requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        """Shift pictures; in full precision under autocast too.

        In bf16, which has 8 significant bits, values from 128 on would become whole levels.
        """
        with torch.autocast(x.device.type, enabled=False):
            return super().forward(x.to(self.weight.dtype))


class ResidualBlock(nn.Module):
    """x + residual_scale * convolution(relu(convolution(x))), all (N, features, H, W)."""

    def __init__(self, features: int, kernel: int = 3, residual_scale: float = 1.0) -> None:
        super().__init__()
        self.body = nn.Sequential(
            convolution(features, features, kernel),
            nn.ReLU(inplace=True),
            convolution(features, features, kernel),
        )
        self.residual_scale = residual_scale

    def forward(self, x: Tensor) -> Tensor:
        """Add the scaled residual branch to x."""
        branch = self.body(x)
        return x + (branch if self.residual_scale == 1 else branch * self.residual_scale)


class Upsampler(nn.Sequential):
    """(N, features, H, W) to (N, features, scale * H, scale * W) by sub-pixel convolution.

    x4 is two steps of x2 (section 3.2).
    """

    def __init__(self, scale: int, features: int) -> None:
        steps = [2] * (scale // 2) if scale in (2, 4) else [scale]
        layers: list[nn.Module] = []
        for step in steps:
            layers += [convolution(features, step * step * features, 3), nn.PixelShuffle(step)]
        super().__init__(*layers)


def _body(config: NetworkConfig) -> nn.Sequential:
    blocks = [
        ResidualBlock(config.features, residual_scale=config.residual_scale)
        for _ in range(config.blocks)
    ]
    return nn.Sequential(*blocks, convolution(config.features, config.features, 3))


class EDSR(nn.Module):
    """The single-scale network (section 3.3, figure 3).

    Args:
        config: hyper-parameters; `config.architecture` must be "edsr".
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        if config.architecture != "edsr":
            raise ValueError(f"this is a configuration of {config.architecture!r}, not 'edsr'")
        self.config = config
        self.sub_mean = MeanShift(-1)
        self.head = nn.Sequential(convolution(3, config.features, 3))
        self.body = _body(config)
        self.tail = nn.Sequential(
            Upsampler(config.scales[0], config.features), convolution(config.features, 3, 3)
        )
        self.add_mean = MeanShift(+1)

    def forward(self, x: Tensor) -> Tensor:
        """Upscale pictures: (N, 3, H, W) to (N, 3, scale * H, scale * W), values in 0..255."""
        return self.add_mean(self.tail(self.features(x)))

    def features(self, x: Tensor) -> Tensor:
        """What the tail gets: (N, 3, H, W) to (N, features, H, W)."""
        x = self.head(self.sub_mean(x))
        return x + self.body(x)


class MDSR(nn.Module):
    """The multi-scale network: one body, a pre-processing and an upsampler per scale (section 3.4,
    figure 5).

    Args:
        config: hyper-parameters; `config.architecture` must be "mdsr". The order of
            `config.scales` is the order of the per-scale modules.
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        if config.architecture != "mdsr":
            raise ValueError(f"this is a configuration of {config.architecture!r}, not 'mdsr'")
        self.config = config
        features, residual_scale = config.features, config.residual_scale
        kernel = config.pre_process_kernel
        self.sub_mean = MeanShift(-1)
        self.head = nn.Sequential(convolution(3, features, 3))
        self.pre_process = nn.ModuleList(
            nn.Sequential(
                ResidualBlock(features, kernel, residual_scale=residual_scale),
                ResidualBlock(features, kernel, residual_scale=residual_scale),
            )
            for _ in config.scales
        )
        self.body = _body(config)
        self.upsample = nn.ModuleList(Upsampler(scale, features) for scale in config.scales)
        self.tail = nn.Sequential(convolution(features, 3, 3))
        self.add_mean = MeanShift(+1)

    def forward(self, x: Tensor, scale: int) -> Tensor:
        """Upscale pictures: (N, 3, H, W) to (N, 3, scale * H, scale * W), values in 0..255.

        Raises:
            ValueError: `scale` is not one of `config.scales`.
        """
        branch = self.config.scales.index(scale)
        return self.add_mean(self.tail(self.upsample[branch](self.features(x, scale))))

    def features(self, x: Tensor, scale: int) -> Tensor:
        """What the upsampler gets: (N, 3, H, W) to (N, features, H, W)."""
        branch = self.config.scales.index(scale)
        x = self.pre_process[branch](self.head(self.sub_mean(x)))
        return x + self.body(x)


def build(config: NetworkConfig) -> EDSR | MDSR:
    """The network that a configuration describes, with fresh random weights."""
    return EDSR(config) if config.architecture == "edsr" else MDSR(config)


def linear_tail(network: EDSR | MDSR, scale: int) -> nn.Sequential:
    """A network's upsampler and last convolution: convolutions and pixel shuffles in one sequence.

    Raises:
        ValueError: `scale` is not one of the network's.
    """
    branch = network.config.scales.index(scale)
    if isinstance(network, MDSR):
        return nn.Sequential(*network.upsample[branch].children(), *network.tail)
    return nn.Sequential(*network.tail[0].children(), network.tail[1])

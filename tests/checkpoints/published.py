"""The networks of other projects as small modules: their names, their arithmetic.

They are written from those projects' descriptions, not with the rules in `edsr_cli.checkpoints`,
so that the two can be held against each other. All take and give RGB in 0..1, (N, 3, H, W).
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

MEAN = torch.tensor([0.4488, 0.4371, 0.4040]).view(1, 3, 1, 1)


def conv(inputs: int, outputs: int, kernel: int = 3) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2)


def upsampler(scale: int, features: int, wrap: Callable[[nn.Module], nn.Module]) -> nn.Sequential:
    steps = {2: [2], 3: [3], 4: [2, 2]}[scale]
    layers = []
    for step in steps:
        layers += [wrap(conv(features, step**2 * features)), nn.PixelShuffle(step)]
    return nn.Sequential(*layers)


def mean_shift(sign: int, value_range: float) -> nn.Conv2d:
    shift = nn.Conv2d(3, 3, 1)
    shift.weight.data = torch.eye(3).view(3, 3, 1, 1)
    shift.bias.data = sign * value_range * MEAN.flatten()
    return shift


class Block(nn.Module):
    """conv, ReLU, conv in a Sequential of the given name; `wrap` goes around each convolution."""

    def __init__(self, features, scale, kernel=3, name="body", wrap=lambda module: module):
        super().__init__()
        layers = [conv(features, features, kernel), nn.ReLU(), conv(features, features, kernel)]
        layers = [wrap(each) if isinstance(each, nn.Conv2d) else each for each in layers]
        self.add_module(name, nn.Sequential(*layers))
        self.branch, self.scale = name, scale

    def forward(self, x: Tensor) -> Tensor:
        return x + self.scale * getattr(self, self.branch)(x)


class OfficialEdsr(nn.Module):
    """EDSR-PyTorch; torchSR puts 255 x ... / 255 around it, as is done here."""

    def __init__(self, scale, blocks, features, residual_scale, value_range=255.0):
        super().__init__()
        self.value_range = value_range
        self.sub_mean, self.add_mean = mean_shift(-1, value_range), mean_shift(1, value_range)
        self.head = nn.Sequential(conv(3, features))
        body = [Block(features, residual_scale) for _ in range(blocks)]
        self.body = nn.Sequential(*body, conv(features, features))
        self.tail = nn.Sequential(
            upsampler(scale, features, lambda module: module), conv(features, 3)
        )

    def forward(self, x: Tensor) -> Tensor:
        x = self.head(self.sub_mean(x * self.value_range))
        return self.add_mean(self.tail(x + self.body(x))) / self.value_range


class SuperImageEdsr(OfficialEdsr):
    """Has the mean shifts of EDSR-PyTorch for 0..255, and does not use them."""

    def forward(self, x: Tensor) -> Tensor:
        x = self.head(x)
        return self.tail(x + self.body(x))


class OfficialMdsr(nn.Module):
    """EDSR-PyTorch; the branch of `forward` is set by `scale`."""

    def __init__(self, scales, blocks, features, residual_scale=1.0):
        super().__init__()
        self.scales, self.scale = scales, scales[0]
        self.sub_mean, self.add_mean = mean_shift(-1, 255), mean_shift(1, 255)
        self.head = nn.Sequential(conv(3, features))
        self.pre_process = nn.ModuleList(
            nn.Sequential(*(Block(features, residual_scale, 5) for _ in range(2))) for _ in scales
        )
        body = [Block(features, residual_scale) for _ in range(blocks)]
        self.body = nn.Sequential(*body, conv(features, features))
        self.upsample = nn.ModuleList(
            upsampler(scale, features, lambda module: module) for scale in scales
        )
        self.tail = nn.Sequential(conv(features, 3))

    def forward(self, x: Tensor) -> Tensor:
        branch = self.scales.index(self.scale)
        x = self.pre_process[branch](self.head(self.sub_mean(x * 255)))
        return self.add_mean(self.tail(self.upsample[branch](x + self.body(x)))) / 255


class SuperImageMdsr(nn.Module):
    """One scale, each convolution in a Sequential, branches called by their scale, no shift."""

    def __init__(self, scale, blocks, features, residual_scale=0.1):
        super().__init__()
        wrap = nn.Sequential
        self.scale = str(scale)
        self.head = nn.Sequential(wrap(conv(3, features)))
        pre_process = (Block(features, residual_scale, 3, wrap=wrap) for _ in range(2))
        self.pre_process = nn.ModuleDict({self.scale: nn.Sequential(*pre_process)})
        body = [Block(features, residual_scale, wrap=wrap) for _ in range(blocks)]
        self.body = nn.Sequential(*body, wrap(conv(features, features)))
        self.upsample = nn.ModuleDict({self.scale: upsampler(scale, features, wrap)})
        self.tail = nn.Sequential(wrap(conv(features, 3)))
        self.sub_mean, self.add_mean = mean_shift(-1, 255), mean_shift(1, 255)

    def forward(self, x: Tensor) -> Tensor:
        x = self.pre_process[self.scale](self.head(x))
        return self.tail(self.upsample[self.scale](x + self.body(x)))


class BasicSrBlock(nn.Module):
    def __init__(self, features, scale):
        super().__init__()
        self.scale = scale
        self.conv1, self.conv2 = conv(features, features), conv(features, features)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.scale * self.conv2(torch.relu(self.conv1(x)))


class BasicSrEdsr(nn.Module):
    """BasicSR: the mean is no tensor of the module."""

    value_range = 255.0

    def __init__(self, scale, blocks, features, residual_scale):
        super().__init__()
        self.conv_first = conv(3, features)
        self.body = nn.Sequential(*(BasicSrBlock(features, residual_scale) for _ in range(blocks)))
        self.conv_after_body = conv(features, features)
        self.upsample = upsampler(scale, features, lambda module: module)
        self.conv_last = conv(features, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv_first((x - MEAN) * self.value_range)
        x = x + self.conv_after_body(self.body(x))
        return self.conv_last(self.upsample(x)) / self.value_range + MEAN


class PixelShufflePack(nn.Module):
    def __init__(self, features, step):
        super().__init__()
        self.step = step
        self.upsample_conv = conv(features, step**2 * features)

    def forward(self, x: Tensor) -> Tensor:
        return torch.pixel_shuffle(self.upsample_conv(x), self.step)


class MmagicEdsr(BasicSrEdsr):
    """mmagic: BasicSR's names but for the upsampler, and values in 0..1."""

    value_range = 1.0

    def __init__(self, scale, blocks, features, residual_scale):
        super().__init__(scale, blocks, features, residual_scale)
        steps = {2: [2], 3: [3], 4: [2, 2]}[scale]
        self.upsample = nn.Sequential(*(PixelShufflePack(features, step) for step in steps))


class TransformersEdsr(nn.Module):
    """The model proposed for transformers: the upsampler is beside the rest."""

    def __init__(self, scale, blocks, features, residual_scale):
        super().__init__()
        inner = nn.Module()
        inner.sub_mean, inner.add_mean = mean_shift(-1, 255), mean_shift(1, 255)
        inner.edsr_head = nn.Sequential(conv(3, features))
        body = [Block(features, residual_scale, name="edsr_body") for _ in range(blocks)]
        inner.edsr_body = nn.Sequential(*body, conv(features, features))
        self.edsr_model = inner
        self.upsampler = nn.Sequential(
            upsampler(scale, features, lambda module: module), conv(features, 3)
        )

    def forward(self, x: Tensor) -> Tensor:
        inner = self.edsr_model
        x = inner.edsr_head(inner.sub_mean(x * 255))
        return inner.add_mean(self.upsampler(x + inner.edsr_body(x))) / 255


def prefixed(state_dict: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {prefix + key: tensor for key, tensor in state_dict.items()}


@dataclass(frozen=True)
class Published:
    """A published kind of file.

    Attributes:
        layout: its layout's name.
        network: makes a network of (scale, blocks, features, residual scale).
        wrap: what is saved for a state dict.
        ambiguous: whether keys alone do not tell the layout.
    """

    layout: str
    network: Callable[..., nn.Module]
    wrap: Callable[[dict[str, Tensor]], Any] = lambda state_dict: state_dict
    ambiguous: bool = False


EDSR_FILES = {
    "official": Published("official", OfficialEdsr, ambiguous=True),
    "torchsr": Published("torchsr", OfficialEdsr, ambiguous=True),
    "super-image-module": Published(
        "super-image", SuperImageEdsr, lambda each: prefixed(each, "module."), ambiguous=True
    ),
    "super-image": Published("super-image", SuperImageEdsr, ambiguous=True),
    "basicsr": Published("basicsr", BasicSrEdsr, lambda each: {"params": each}),
    "basicsr-flat": Published("basicsr", BasicSrEdsr),
    "basicsr-ema": Published(
        "basicsr",
        BasicSrEdsr,
        lambda each: {"params": {k: t + 1 for k, t in each.items()}, "params_ema": each},
    ),
    "basicsr-module": Published(
        "basicsr", BasicSrEdsr, lambda each: {"params": prefixed(each, "module.")}
    ),
    "mmagic": Published(
        "mmagic",
        MmagicEdsr,
        lambda each: {
            "meta": {"epoch": 1, "CLASSES": None, "time": "today"},
            "state_dict": {**prefixed(each, "generator."), "step_counter": torch.zeros(1)},
        },
    ),
    "mmagic-flat": Published("mmagic", MmagicEdsr),
    "transformers": Published("transformers", TransformersEdsr),
    "compiled": Published(
        "transformers", TransformersEdsr, lambda each: {"model": prefixed(each, "_orig_mod.")}
    ),
}

ONE_OF_EACH = {name: EDSR_FILES[name] for name in ("official", "basicsr", "mmagic", "transformers")}
"""One for each layout that is told by its keys, and the official one."""


def save_tiny(kind: Published, path: Path, **changes: Tensor) -> None:
    """Write a tiny x4 network's file, with these tensors put in or in place of others."""
    torch.save(kind.wrap(dict(kind.network(4, 2, 4, 1.0).state_dict()) | changes), path)

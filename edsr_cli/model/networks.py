"""EDSR and MDSR, the networks of Lim et al., "Enhanced Deep Residual Networks for Single Image
Super-Resolution" (CVPR Workshops 2017, arXiv 1707.02921), as plain modules.

Both take and give RGB pictures as float tensors of shape (N, 3, H, W) with values in 0..255. The
names of modules, and so the keys of a state dict, are those of the authors' PyTorch release, which
every published checkpoint can be brought to.

    sub_mean -> head -> body (+ long skip) -> tail (upsampler, last convolution) -> add_mean

There is no batch normalisation and no activation outside the residual blocks (paper, section 3.1);
in particular the tail is linear, which `edsr_cli.inference` and `edsr_cli.training` make use of.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from edsr_cli.model.config import RGB_MEAN, RGB_RANGE, NetworkConfig, upsampling_steps


class _Conv2d(nn.Conv2d):
    def reset_parameters(self) -> None:
        """Draw random weights; not on the device "meta", where that takes longer than all else."""
        if not self.weight.is_meta:
            super().reset_parameters()


def convolution(inputs: int, outputs: int, kernel: int) -> nn.Conv2d:
    """A convolution that keeps height and width: zeros are put around its input."""
    return _Conv2d(inputs, outputs, kernel, padding=kernel // 2)


class MeanShift(nn.Conv2d):
    """Add `sign` times the mean colour: a fixed 1 x 1 convolution, (N, 3, H, W) to the same.

    It is a convolution only because the published checkpoints store it as one. It is kept out of
    training.
    """

    def __init__(self, sign: int) -> None:
        super().__init__(3, 3, kernel_size=1)
        with torch.no_grad():
            # By NumPy: on the device "meta", for which networks are built where weights come from a
            # file, torch would load its compiler for such arithmetic, which takes seconds.
            mean = sign * RGB_RANGE * np.asarray(RGB_MEAN, np.float32)
            self.weight.copy_(torch.from_numpy(np.eye(3, dtype=np.float32)[..., None, None]))
            assert self.bias is not None
            self.bias.copy_(torch.from_numpy(mean))
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
    """(N, features, H, W) to (N, features, scale * H, scale * W) by sub-pixel convolution."""

    def __init__(self, scale: int, features: int) -> None:
        layers: list[nn.Module] = []
        for step in upsampling_steps(scale):
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

    def forward(self, x: Tensor, scale: int | None = None) -> Tensor:
        """Upscale pictures: (N, 3, H, W) to (N, 3, scale * H, scale * W), values in 0..255.

        Raises:
            ValueError: `scale` is given, and is not the network's.
        """
        return self.add_mean(self.tail(self.features(x, scale)))

    def features(self, x: Tensor, scale: int | None = None) -> Tensor:
        """What the tail gets: (N, 3, H, W) to (N, features, H, W)."""
        if scale not in (None, *self.config.scales):
            raise ValueError(f"the network has the scale {self.config.scales[0]}, not {scale}")
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


def network_of(config: NetworkConfig, tensors: Mapping[str, NDArray[np.float32]]) -> EDSR | MDSR:
    """The network with the weights of a checkpoint, on the CPU, in eval mode, without gradients.

    It looks into the arrays, which are not copied.

    Args:
        config: its hyper-parameters.
        tensors: a writable array for each of `config.shapes()`.
    """
    with torch.device("meta"):  # nobody needs random weights
        network = build(config)
    state = {key: torch.from_numpy(array) for key, array in tensors.items()}
    network.load_state_dict(state, assign=True)
    return network.eval().requires_grad_(False)


def tensors_of(network: EDSR | MDSR) -> dict[str, NDArray[Any]]:
    """A network's weights as arrays on the CPU, under their keys; they are the network's own."""
    return {key: tensor.detach().cpu().numpy() for key, tensor in network.state_dict().items()}


def linear_tail(network: EDSR | MDSR, scale: int) -> nn.Sequential:
    """A network's upsampler and last convolution: convolutions and pixel shuffles in one sequence.

    Raises:
        ValueError: `scale` is not one of the network's.
    """
    branch = network.config.scales.index(scale)
    if isinstance(network, MDSR):
        return nn.Sequential(*network.upsample[branch].children(), *network.tail)
    return nn.Sequential(*network.tail[0].children(), network.tail[1])

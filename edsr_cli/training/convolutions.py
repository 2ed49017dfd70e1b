"""A network's training pass with fewer kernels, for tensor cores.

On an NVIDIA GPU in bf16 what PyTorch puts around a convolution of 64 channels takes as long as the
convolution: for 16 patches of 64 x 64 an H200 convolves in 20 us, and needs 11 more to add the
bias, 4 for the ReLU, and 21 for the bias's gradient, a sum over all pixels. Here cuDNN adds the
bias and takes the ReLU in the call that convolves, where one follows, and the bias's gradient is a
matrix product, of 8 us. Each number is the same sum as by the plain modules, in another order.
"""

from typing import Any

import torch
from torch import Tensor, nn

from edsr_cli.inference.engines.torch import fused
from edsr_cli.model.networks import EDSR, MDSR, MeanShift, ResidualBlock


def features(network: EDSR | MDSR, lr: Tensor, scale: int) -> Tensor:
    """What the tail gets, in bf16: (N, 3, H, W) in 0..255 to (N, features, H, W)."""
    x = run(network.head, network.sub_mean(lr).bfloat16())
    if isinstance(network, MDSR):
        x = run(network.pre_process[network.config.scales.index(scale)], x)
    return x + run(network.body, x)


def run(module: nn.Module, x: Tensor) -> Tensor:
    """What a part of a network makes of x, with its gradients.

    Args:
        module: a head, pre-processing, body or tail, or a part of one.
        x: (N, C, H, W), channels last in memory; weights are rounded to its format.
    """
    if isinstance(module, ResidualBlock):
        branch = run(module.body, x)
        return x + (branch if module.residual_scale == 1 else branch * module.residual_scale)
    if isinstance(module, nn.Sequential):
        layers = list(module)
        for layer, follower in zip(layers, [*layers[1:], None], strict=True):
            if isinstance(layer, nn.Conv2d):
                x = _convolved(layer, x, rectify=isinstance(follower, nn.ReLU))
            elif not isinstance(layer, nn.ReLU):  # which was taken with its convolution
                x = run(layer, x)
        return x
    if isinstance(module, nn.Conv2d) and not isinstance(module, MeanShift):
        return _convolved(module, x, rectify=False)
    return module(x)


def _convolved(layer: nn.Conv2d, x: Tensor, *, rectify: bool) -> Tensor:
    assert layer.bias is not None
    weight, bias = layer.weight.to(x.dtype), layer.bias.to(x.dtype)
    apply: Any = _Convolution.apply  # not every torch has types for it
    made: Tensor = apply(x, weight, bias, layer.padding, rectify)
    return made


class _Convolution(torch.autograd.Function):
    """A convolution, its bias and, if that is wanted, a ReLU."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, padding: tuple[int, int], rectify: bool
    ) -> Tensor:
        ctx.padding, ctx.rectifies = padding, rectify
        convolve = fused.rectifying(weight) if rectify else fused.convolved
        made = convolve(x, weight, bias, padding)
        ctx.save_for_backward(x, weight, *([made] if rectify else []))
        return made

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,), (x, weight, *made) = gradients, ctx.saved_tensors
        if ctx.rectifies:
            gradient = torch.ops.aten.threshold_backward(gradient, made[0], 0)
        gradient = gradient.contiguous(memory_format=torch.channels_last)
        wanted = [ctx.needs_input_grad[0], True, False]
        of_x, of_weight, _ = torch.ops.aten.convolution_backward(
            gradient, x, weight, None, [1, 1], ctx.padding, [1, 1], False, [0, 0], 1, wanted
        )
        pixels = gradient.permute(0, 2, 3, 1).reshape(-1, gradient.shape[1])
        of_bias = (pixels.new_ones(1, len(pixels)) @ pixels)[0]
        return of_x, of_weight, of_bias, None, None

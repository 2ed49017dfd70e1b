"""Plain network -> streamed network, node for module."""

import torch
from torch import Tensor, nn

from edsr_cli.inference.engine import Precision
from edsr_cli.inference.engines.torch import fused
from edsr_cli.inference.engines.torch.ensemble import Average, fold_view
from edsr_cli.inference.engines.torch.node import Node
from edsr_cli.inference.engines.torch.streaming import (
    Chain,
    Convolution,
    LongSkip,
    PixelShuffle,
    Shift,
    StreamedBlock,
)
from edsr_cli.inference.engines.torch.tail import CollapsedTail
from edsr_cli.inference.engines.views import TRANSPOSE, VIEWS, View
from edsr_cli.model.networks import EDSR, MDSR, MeanShift, ResidualBlock, linear_tail
from edsr_cli.model.tail import collapsed

DTYPES = {
    Precision.FP32: torch.float32,
    Precision.BF16: torch.bfloat16,
    Precision.FP16: torch.float16,
}


def on_device(
    network: EDSR | MDSR,
    scale: int,
    device: torch.device,
    precision: Precision,
    *,
    ensemble: bool,
    transposed: bool,
) -> Node:
    """The streamed form of a network on a device; arguments as for `Engine.compile`.

    The network itself is moved there.
    """
    network = (fold_view(network, TRANSPOSE) if transposed else network).to(device)
    if ensemble:
        return stream_ensemble(network, scale, precision)
    return stream(network, scale, precision, collapse_tail(network, scale))


def stream(
    network: EDSR | MDSR,
    scale: int,
    precision: Precision = Precision.FP32,
    collapsed: nn.Sequential | None = None,
) -> Chain:
    """The streamed form of a network: (N, 3, h, W) strips to (N, 3, scale * h', scale * W).

    Args:
        network: a network on its device, in fp32 (or, for tests with `Precision.FP32`, fp64).
        scale: one of the network's scales.
        precision: see `Precision`.
        collapsed: the network's tail as `collapse_tail` gives it; None to run the plain modules.
            The results are equal up to rounding.

    Raises:
        ValueError: `scale` is not one of the network's.
    """
    branch = network.config.scales.index(scale)
    # FP32 is the network's own format, so that tests can stream in fp64.
    own = next(network.parameters()).dtype
    dtype = own if precision is Precision.FP32 else DTYPES[precision]
    nodes: list[Node] = [_shift(network.sub_mean), _convolution(network.head[0])]
    if isinstance(network, MDSR):
        pre_process = network.pre_process[branch].children()
        nodes += [_block(block, dtype, own) for block in pre_process]
    *blocks, last = network.body
    body = Chain([*(_block(block, dtype) for block in blocks), _convolution(last, dtype)])
    nodes.append(LongSkip(body, network.config.features, dtype))
    tail = linear_tail(network, scale)
    nodes += _plain_tail(tail) if collapsed is None else [CollapsedTail(tail, collapsed)]
    nodes.append(_shift(network.add_mean))
    return Chain(nodes)


def stream_ensemble(
    network: EDSR | MDSR,
    scale: int,
    precision: Precision = Precision.FP32,
    views: tuple[View, ...] = VIEWS,
) -> Average:
    """The streamed mean of a network's views; arguments as for `stream`."""
    collapsed = collapse_tail(network, scale)
    return Average(
        [
            stream(fold_view(network, view), scale, precision, fold_view(collapsed, view))
            for view in views
        ]
    )


def collapse_tail(network: EDSR | MDSR, scale: int) -> nn.Sequential:
    """The network's tail at a scale as one convolution and pixel shuffle; see `collapsed`."""
    return collapsed(linear_tail(network, scale), scale)


def _shift(mean_shift: MeanShift) -> Shift:
    assert mean_shift.bias is not None
    return Shift(mean_shift.bias.detach())


def _convolution(module: nn.Module, dtype: torch.dtype | None = None) -> Convolution:
    weight, bias = _parameters(module)
    return Convolution(weight.to(dtype or weight.dtype), bias.to(dtype or bias.dtype))


def _block(module: nn.Module, dtype: torch.dtype, own: torch.dtype | None = None) -> StreamedBlock:
    """A residual block in a format, its residual scale folded into the second convolution.

    `own` is the format of what it adds to, if that is another.
    """
    assert isinstance(module, ResidualBlock)
    weight, bias = (parameter.to(dtype) for parameter in _parameters(module.body[0]))
    first = Convolution(weight, bias, fused.rectifying(weight))
    weight, bias = (parameter * module.residual_scale for parameter in _parameters(module.body[2]))
    return StreamedBlock(first, Convolution(weight.to(dtype), bias.to(dtype)), own)


def _parameters(module: nn.Module) -> tuple[Tensor, Tensor]:
    assert isinstance(module, nn.Conv2d) and module.bias is not None
    return module.weight.detach(), module.bias.detach()


def _plain_tail(tail: nn.Sequential) -> list[Node]:
    return [
        PixelShuffle(layer.upscale_factor)
        if isinstance(layer, nn.PixelShuffle)
        else _convolution(layer)
        for layer in tail
    ]

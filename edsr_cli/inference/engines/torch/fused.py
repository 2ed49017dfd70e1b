"""A convolution, its bias and a ReLU in one call, where cuDNN has one that computes the same.

For 1920 x 1080 pixels of 64 channels in bf16 an H200 takes 304 us to convolve, 378 more to add the
bias, and 129 for the ReLU; cuDNN's fused convolution does all of it in 304. It is made for tensor
cores, so it is for bf16 and fp16.
"""

import functools
import logging
import threading
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from edsr_cli.inference.engines.torch import devices

logger = logging.getLogger(__name__)

Convolve = Callable[[Tensor, Tensor, Tensor, tuple[int, int]], Tensor]
"""Takes (N, C, H, W), a weight (C', C, k, k), a bias (C',), and how many zeros to put above and
below, and left and right; gives (N, C', H', W')."""

_ROUNDINGS = 4
"""How many steps of the largest number the two ways may lie apart. The plain one rounds twice, the
fused one once, by half a step each, and sums may be added up in another order; without the bias,
or a row too low, they lie apart by tens."""

_lock = threading.Lock()


def convolved(x: Tensor, weight: Tensor, bias: Tensor, padding: tuple[int, int]) -> Tensor:
    """A convolution and its bias."""
    return F.conv2d(x, weight, bias, padding=padding)


def rectified(x: Tensor, weight: Tensor, bias: Tensor, padding: tuple[int, int]) -> Tensor:
    """A convolution, its bias and a ReLU."""
    return convolved(x, weight, bias, padding).relu_()


def rectified_at_once(x: Tensor, weight: Tensor, bias: Tensor, padding: tuple[int, int]) -> Tensor:
    """The same in one call of cuDNN."""
    return torch.cudnn_convolution_relu(x, weight, bias, (1, 1), padding, (1, 1), 1)


def rectifying(weight: Tensor) -> Convolve:
    """The faster of the two that is right for a weight's device, element type and shape.

    The fused one is tried before it is used. Where it does not do, a warning says so, once.
    """
    if not is_offered(weight.device, weight.dtype):
        return rectified
    with _lock:
        return _tried(weight.device, weight.dtype, weight.shape)


def is_offered(device: torch.device, dtype: torch.dtype) -> bool:
    """Whether it is worth a trial: on NVIDIA's GPUs, in the formats of their tensor cores."""
    nvidia = device.type == "cuda" and torch.version.hip is None
    return nvidia and dtype in (torch.bfloat16, torch.float16)


@functools.cache
def _tried(device: torch.device, dtype: torch.dtype, shape: torch.Size) -> Convolve:
    """The fused way if it passes a trial with weights of that shape, else the plain one."""
    try:
        _try(device, dtype, shape)
    except (RuntimeError, ArithmeticError) as error:
        if devices.is_out_of_memory(error):
            raise
        reason = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
        logger.warning(
            "Fused convolutions (%s, %d to %d channels) cannot be used, and it is slower without: "
            "%s.",
            str(dtype).removeprefix("torch."),
            shape[1],
            shape[0],
            reason,
        )
        return rectified
    return rectified_at_once


def _try(device: torch.device, dtype: torch.dtype, shape: torch.Size) -> None:
    """Compare the two ways on noise, with zeros to the sides as for strips, and all around.

    Raises:
        ArithmeticError: they give something else.
        RuntimeError: torch cannot do it here.
    """
    outputs, inputs, kernel, _ = shape
    random = torch.Generator(device).manual_seed(0)

    def noise(*size: int) -> Tensor:
        return torch.randn(size, generator=random, device=device)

    with torch.inference_mode():
        x, weight = (
            each.to(dtype, memory_format=torch.channels_last)
            for each in (
                noise(1, inputs, 16, 24),
                noise(*shape) / (inputs * kernel**2) ** 0.5,  # for sums of about 1
            )
        )
        bias = noise(outputs).to(dtype)
        for above in (0, kernel // 2):
            padding = (above, kernel // 2)
            expected = rectified(x, weight, bias, padding).float()
            found = rectified_at_once(x, weight, bias, padding).float()
            difference = float((found - expected).abs().max())
            limit = _ROUNDINGS * torch.finfo(dtype).eps * float(expected.max())
            if not difference <= limit:  # NaN, too
                raise ArithmeticError(f"they differ by {difference:.2g}, and may by {limit:.2g}")

"""The engines that there are; `edsr_cli.inference.engine` says what they do."""

import logging
import os
from functools import cache
from importlib.util import find_spec

from edsr_cli.errors import UsageError
from edsr_cli.inference.engine import Engine
from edsr_cli.inference.engines.ncnn import gpus
from edsr_cli.inference.engines.ncnn.engine import NcnnEngine
from edsr_cli.inference.engines.ncnn.vulkan import VulkanEngine
from edsr_cli.inference.engines.torch import hardware
from edsr_cli.inference.engines.torch.engine import TorchEngine

NAMES = ("auto", "torch", "ncnn")
"""What a user may ask for."""

VARIABLE = "EDSR_ENGINE"
"""Of the environment: what "auto" is to be instead."""

logger = logging.getLogger(__name__)


def engine_for(device: str, precision: str = "auto", name: str = "auto") -> Engine:
    """The engine for a device and a number format that a user names.

    "auto" is ncnn on CPUs, unless another format than fp32 is asked for: it starts a second sooner
    than torch, which in bf16 computes faster only where nothing else runs. It is ncnn for Vulkan
    devices, torch for the rest, and where ncnn is not installed or does not compute what it should.

    Args:
        device, precision: as for `Engine.device` and `Engine.precision`.
        name: one of `NAMES`.

    Raises:
        UsageError: there is no such engine, or it cannot be used here; or there is no such device.
    """
    if name == "auto":
        name = os.environ.get(VARIABLE) or "auto"
    if name not in NAMES:
        raise UsageError(f"There is no engine {name!r}.", f"Use {', '.join(NAMES)}.")
    if device.partition(":")[0] == gpus.KIND:
        if name == "torch":
            raise UsageError("PyTorch cannot use Vulkan devices.", "Leave out --engine torch.")
        if find_spec("ncnn") is None:
            raise UsageError(
                "Vulkan devices take ncnn, which is not installed.",
                "pip install ncnn, or use another --device.",
            )
        return VulkanEngine()
    if name == "torch" or (name == "auto" and not _for_ncnn(device, precision)):
        return TorchEngine()
    reason = _amiss()
    if not reason:
        return NcnnEngine()
    if name == "ncnn":
        raise UsageError(f"ncnn cannot be used: {reason}.", "Use --engine torch.")
    return TorchEngine()


def has_choice(precision: str, name: str) -> bool:
    """Whether the device "auto" may be a GPU, where ncnn would compute on the CPU just as well.

    Args:
        precision, name: as for `engine_for`.
    """
    if (name, precision) != ("auto", "auto") or os.environ.get(VARIABLE):
        return False
    return hardware.may_have_gpu() and find_spec("ncnn") is not None and not _amiss()


def _for_ncnn(device: str, precision: str) -> bool:
    """Whether it is the better choice, if it can be used."""
    if precision not in ("auto", "fp32") or find_spec("ncnn") is None:
        return False
    if device == "auto" and hardware.may_have_gpu():
        return TorchEngine().device(device).type == "cpu"
    return device in ("auto", "cpu")


@cache
def _amiss() -> str:
    """Why ncnn cannot be used; empty if it can."""
    try:
        from edsr_cli.inference.engines.ncnn import check
    except ImportError as error:
        reason = str(error).splitlines()[0]
    else:
        reason = check.amiss_here()
    if reason and find_spec("ncnn"):
        logger.warning("ncnn cannot be used: %s. PyTorch computes instead.", reason)
    return reason

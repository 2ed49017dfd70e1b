"""What is left to try when memory runs out or numbers overflow."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from edsr_cli.errors import DeviceMemoryError, WeightsError
from edsr_cli.inference import devices
from edsr_cli.inference.assembly import Precision
from edsr_cli.inference.planning import Plan

logger = logging.getLogger(__name__)


@contextmanager
def weights_must_fit(device: torch.device) -> Iterator[None]:
    """Explain a lack of memory in the block, where weights are put on a device.

    Raises:
        DeviceMemoryError: memory ran out.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not devices.is_out_of_memory(error):
            raise
        raise DeviceMemoryError(
            f"The model's weights do not fit in the memory of {devices.describe(device)}.",
            "Close other programs, leave out --ensemble, take a smaller model or another --device.",
        ) from error


def smaller(plan: Plan, error: BaseException, device: torch.device) -> Plan:
    """The plan to go on with when memory ran out.

    Raises:
        DeviceMemoryError: it was the smallest.
    """
    next_plan = plan.smaller()
    if next_plan is None:
        raise DeviceMemoryError(
            f"Memory ran out on {devices.describe(device)}, although one row of "
            f"{plan.panel_width} pixels was all that was worked on at once.",
            "Close other programs, leave out --ensemble, take a smaller model or another --device.",
        ) from error
    logger.warning(
        "Memory ran out on %s: going on with strips of %d rows in panels of %d columns.",
        devices.describe(device),
        next_plan.strip_rows,
        next_plan.panel_width,
    )
    return next_plan


def safer(precision: Precision) -> Precision:
    """The number format to go on with when a strip is not finite.

    Raises:
        WeightsError: it was fp32.
    """
    if precision is Precision.FP32:
        raise WeightsError(
            "The network's output is not finite, so there is no picture to write.",
            "The weights are damaged or not for this network: fetch them again.",
        )
    logger.warning(
        "A strip overflowed in %s: doing it again, and the rest, in fp32.", precision.value
    )
    return Precision.FP32

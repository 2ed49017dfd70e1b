"""Work so small that a CPU is done with it before PyTorch has found a GPU."""

import math
from collections.abc import Sequence
from itertools import accumulate
from operator import mul
from pathlib import Path

from edsr_cli.errors import EdsrError
from edsr_cli.images import probe
from edsr_cli.inference import processors
from edsr_cli.inference.engine import Precision
from edsr_cli.inference.engines import engine_for, has_choice
from edsr_cli.jobs.family import Family
from edsr_cli.jobs.target import Target, target_of
from edsr_cli.options.pictures import Outputs

_START = 1.5
"""Seconds. Importing PyTorch with CUDA and starting the GPU takes longer: four on a machine with an
H200, which keeps no bytecode."""

_SPEED = 40e9
"""Multiply-adds a second by one processor; one of an AMD EPYC with AVX2 makes 50e9."""

_PROCESSORS = 8
"""More of them may not help: the strips of small pictures are small."""

_FILES = 16
"""More are not looked into beforehand."""


def device_for(options: Outputs, family: Family, files: Sequence[str]) -> str:
    """The name of the device for some pictures: "cpu" in place of "auto" for very little work.

    Args:
        options: what was asked for; only where device, engine and format are left open, and ncnn,
            which starts at once, is there, is there anything to choose.
        family: the model.
        files: the pictures. What is no local file, or no picture, makes no choice.
    """
    if options.device != "auto" or len(files) > _FILES:
        return options.device
    if not has_choice(options.precision, options.engine):
        return options.device
    limit = _START * _SPEED * min(_PROCESSORS, processors.threads())
    target = target_of(options, family.first)
    work = 0.0
    for file in files:
        work += _work(file, options, family, target)
        if work > limit:
            return options.device
    return "cpu"


def _work(file: str, options: Outputs, family: Family, target: Target) -> float:
    """Multiply-adds that a picture takes; infinite if that cannot be told."""
    try:
        info = probe(Path(file))
        scales = target.enlargement(info.width, info.height, family.scales).scales
    except (EdsrError, OSError):
        return math.inf
    frames = 1 if options.frames is None else info.frames
    pixels, work = info.width * info.height * frames, 0.0
    for scale, before in zip(scales, accumulate((1, *scales), mul), strict=False):
        config = family.network(scale)[0].config
        costs = engine_for("cpu").footprint(config, scale, Precision.FP32, options.ensemble)
        work += pixels * before**2 * costs.multiply_adds
    return work

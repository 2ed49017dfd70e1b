"""What there is to choose from; the command line shows it without waiting for torch."""

from enum import StrEnum


class Preset(StrEnum):
    """The paper's networks, with what it trains them by."""

    EDSR_BASELINE = "edsr-baseline"
    EDSR = "edsr"
    MDSR_BASELINE = "mdsr-baseline"
    MDSR = "mdsr"


class Schedule(StrEnum):
    """How the learning rate falls."""

    STEP = "step"
    COSINE = "cosine"


class Autocast(StrEnum):
    """The number format of the convolutions in training; weights and optimiser stay in fp32."""

    FP32 = "fp32"
    BF16 = "bf16"


class Chroma(StrEnum):
    """The resolution of colours in JPEG and AVIF: a quarter of that of luma, or the same."""

    QUARTER = "420"
    FULL = "444"


class Strip(StrEnum):
    """Which metadata are left out."""

    NONE = "none"
    GPS = "gps"
    ALL = "all"

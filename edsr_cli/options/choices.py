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


class Depth(StrEnum):
    """Bits a channel of outputs: as many as the input has, as far as the format has them."""

    AUTO = "auto"
    EIGHT = "8"
    SIXTEEN = "16"


class Grey(StrEnum):
    """What becomes of greyscale: greyscale, where the format has that, or RGB."""

    AUTO = "auto"
    RGB = "rgb"


class TiffKind(StrEnum):
    """How pixels lie in a TIFF."""

    STRIPS = "strips"
    TILED = "tiled"
    PYRAMID = "pyramid"


class Frames(StrEnum):
    """Which frames of an animation, or pages of a document, are made larger."""

    ALL = "all"


class Strip(StrEnum):
    """Which metadata are left out."""

    NONE = "none"
    GPS = "gps"
    ALL = "all"


FORMATS = "png, jpeg, webp, tiff, avif, bmp, gif or jxl"
"""Those of `images.formats`, for helps: that module takes a while to import."""

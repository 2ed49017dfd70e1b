r"""Make a bundled weight file from that of a training.

    python tools/bundle_weights.py runs/x4/weights.safetensors weights/edsr-photo-x4.safetensors \
        --name edsr-photo --licence CC0-1.0 --origin "Trained by ..."

The input is any file that `edsr upscale -m` takes. The output is in the canonical format with
kernels in fp16; see `edsr_cli.checkpoints.checkpoint`. Metadata that the input has, such as the
recipe of a training, are kept. What is printed belongs into weights/registry.toml and
weights/README.md.
"""

import argparse
import hashlib
import sys
from pathlib import Path

import numpy as np
from numpy.typing import DTypeLike

from edsr_cli.checkpoints.checkpoint import REQUIRED_METADATA, read_canonical, save_canonical
from edsr_cli.checkpoints.convention import NOTHING_STATED, Stated
from edsr_cli.checkpoints.reader import read_checkpoint
from edsr_cli.errors import EdsrError


def main() -> None:
    """Parse, convert, print."""
    parser = argparse.ArgumentParser(description="Make a bundled weight file.")
    parser.add_argument("source", type=Path, help="a .pt or .safetensors file")
    parser.add_argument("destination", type=Path, help="the file to write")
    for key in REQUIRED_METADATA:
        parser.add_argument(f"--{key}", help="default: what the source says")
    about = parser.add_argument_group(
        "what a .pt file was trained with, where trying does not tell"
    )
    about.add_argument("--layout")
    about.add_argument("--value-range", type=float)
    about.add_argument("--mean-shift", action=argparse.BooleanOptionalAction)
    about.add_argument("--residual-scale", type=float)
    parser.add_argument("--fp32", action="store_true", help="keep all 32 bits of the kernels")
    options = parser.parse_args()
    given = {key: getattr(options, key) for key in REQUIRED_METADATA if getattr(options, key)}
    dtype = np.float32 if options.fp32 else np.float16
    stated = Stated(options.layout, options.value_range, options.mean_shift, options.residual_scale)
    try:
        convert(options.source, options.destination, given, dtype, stated)
    except (EdsrError, ValueError) as error:
        sys.exit(f"error: {error}")
    content = options.destination.read_bytes()
    print(f'file = "{options.destination.name}"')
    print(f"size = {len(content)}")
    print(f'sha256 = "{hashlib.sha256(content).hexdigest()}"')


def convert(
    source: Path,
    destination: Path,
    metadata: dict[str, str],
    dtype: DTypeLike = np.float16,
    stated: Stated = NOTHING_STATED,
) -> None:
    """Write `source` as a canonical file, and read it back.

    Args:
        source: a weight file of any layout.
        destination: the file to write; replaced if it exists.
        metadata: what to say instead of, or besides, what the source says.
        dtype: what kernels are stored in.
        stated: what is known of a source that does not say it by itself.

    Raises:
        EdsrError: the source cannot be used, or the destination not be written.
        ValueError: name, licence or origin are missing.
    """
    checkpoint = read_checkpoint(source, stated)
    # Those of another layout say how it was read, which is no longer of interest.
    own = checkpoint.metadata if checkpoint.metadata.get("name") else {}
    strings = own | metadata
    save_canonical(destination, checkpoint.tensors, checkpoint.config, strings, dtype)
    read_canonical(destination)


if __name__ == "__main__":
    main()

"""What OpenImageIO can do and Pillow cannot, where it is installed (`edsr-cli[jxl]`).

It decodes and encodes JPEG XL, and decodes colours of JPEG 2000 with all their bits. It takes
nothing but files that have names.
"""

from functools import cache
from importlib.util import find_spec
from typing import Any

from numpy.typing import NDArray

from edsr_cli.errors import Kind, PictureError
from edsr_cli.files.scratch import scratch_directory
from edsr_cli.text import one_line

_LEAST_BYTES = 128  # it takes no shorter JPEG XL; what follows a picture does not matter
_AS_STORED = "oiio:UnassociatedAlpha"  # else it multiplies colours by alpha


def available() -> bool:
    """Whether it is installed."""
    return find_spec("OpenImageIO") is not None


@cache
def library() -> Any:
    """The module OpenImageIO.

    Raises:
        PictureError: it does not work here.
    """
    try:
        import OpenImageIO  # type: ignore[import-not-found,import-untyped,unused-ignore]
    except (ImportError, OSError) as error:
        raise PictureError(
            f"this takes OpenImageIO, which does not work here ({error}).",
            'Install it again (pip install "edsr-cli[jxl]"), or take another format.',
        ) from error
    return OpenImageIO


def read(content: bytes, suffix: str) -> tuple[NDArray[Any], Any]:
    """Decode a picture.

    Args:
        content: that of its file.
        suffix: the ending of the names of such files.

    Returns:
        The pixels, (H, W, channels), of uint8, uint16 or floating-point numbers, over the full
        range of their type; and an `ImageSpec` that tells of them.

    Raises:
        EOFError: it is cut short.
        OSError: it is damaged.
        PictureError: there is no room to decode it, or nothing to decode it with.
    """
    module = library()
    with scratch_directory() as folder:
        path = folder / f"picture{suffix}"
        path.write_bytes(content.ljust(_LEAST_BYTES, b"\0"))
        config = module.ImageSpec()
        config.attribute(_AS_STORED, 1)
        opened = module.ImageInput.open(str(path), config)
        if opened is None:
            raise _failure(module.geterror())
        spec = opened.spec()
        pixels = opened.read_image(spec.format)
        error = opened.geterror()
        opened.close()
    if pixels is None:
        raise _failure(error)
    return pixels, spec


def write(pixels: NDArray[Any], suffix: str, attributes: dict[str, Any]) -> bytes:
    """Encode a picture.

    Args:
        pixels: (H, W, channels) of uint8 or uint16.
        suffix: the ending of the names of such files.
        attributes: what OpenImageIO is told beside them, by its names; arrays with the names of
            their types.

    Raises:
        PictureError: there is no room to encode it, or nothing to encode it with.
        ValueError: it cannot be encoded.
    """
    module = library()
    height, width, channels = pixels.shape
    spec = module.ImageSpec(width, height, channels, str(pixels.dtype))
    for name, value in attributes.items():
        spec.attribute(name, *(value if isinstance(value, tuple) else (value,)))
    with scratch_directory() as folder:
        path = folder / f"picture{suffix}"
        output = module.ImageOutput.create(str(path))
        done = output.open(str(path), spec) and output.write_image(pixels) and output.close()
        error = output.geterror()
        if error.startswith("Write error"):
            raise PictureError(
                f"a scratch file cannot be written ({one_line(error)}).",
                "Set TMPDIR to a folder on a disk with more room.",
                about=one_line(str(folder)),
                kind=Kind.DISK_FULL,
            )
        if not done or error:
            raise ValueError(error or "OpenImageIO gave nothing")
        return path.read_bytes()


def _failure(error: str) -> Exception:
    """What to raise for an error while it reads."""
    return EOFError(error) if "provided all input" in error else OSError(error)

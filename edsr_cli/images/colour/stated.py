"""Colour spaces stated by the numbers of TIFF and EXIF tags."""

import struct
from collections.abc import Sequence
from typing import Any

import numpy as np

from edsr_cli.images.colour import spaces as colour_spaces
from edsr_cli.images.colour.spaces import ColourSpace
from edsr_cli.images.metadata import exif as exif_data

WHITE_POINT, PRIMARIES, TRANSFER = 0x13E, 0x13F, 0x12D
INTEROP_INDEX, ADOBE_INDEX = 0x0001, b"R03"
_COLOUR_SPACE, _GAMMA = 0xA001, 0xA500
_DEFAULT_GAMMA = 2.2  # of TIFF 6.0 and EXIF where primaries are stated, but no curve


def pairs(values: Sequence[float]) -> list[tuple[float, float]]:
    """Numbers two by two."""
    return list(zip(values[::2], values[1::2], strict=True))


def from_numbers(
    white: list[float], primaries: list[float], transfer: list[float], gamma: float | None = None
) -> ColourSpace | None:
    """The colour space of a white point, primaries and a curve, each empty where it is not there.

    Args:
        white: x and y.
        primaries: x and y of red, green and blue.
        transfer: a table for all channels or one for each, values in 0..65535.
        gamma: instead of a table; None for that of TIFF 6.0.

    Returns:
        None where there is nothing.

    Raises:
        ValueError: there is no such gamma.
    """
    options: dict[str, Any] = {}
    if len(primaries) == 6:
        options["primaries"] = pairs(primaries)
    if len(white) == 2:
        options["white"] = (white[0], white[1])
    if len(transfer) >= 2:
        channels = 3 if len(transfer) % 3 == 0 else 1
        options["curves"] = tuple(
            colour_spaces.table_curve(np.array(part) / 65535)
            for part in np.array_split(_thinned(transfer, channels), channels)
        ) * (3 // channels)
    if not options:
        return None
    options.setdefault("curves", (colour_spaces.gamma_curve(gamma or _DEFAULT_GAMMA),) * 3)
    return colour_spaces.srgb_with("RGB with stated primaries", **options)


def _thinned(values: list[float], channels: int) -> Any:
    """Tables of 65536 entries as tables of 4097, which interpolation makes up for."""
    table = np.array(values).reshape(channels, -1)
    if table.shape[1] > 4097:
        old = np.linspace(0, 1, table.shape[1])
        table = np.array([np.interp(np.linspace(0, 1, 4097), old, row) for row in table])
    return table.ravel()


def tag_numbers(value: Any) -> list[float]:
    """The numbers of a tag as Pillow gives them; empty where there are none that make sense."""
    try:
        return [float(part) for part in (value if isinstance(value, (tuple, list)) else ())]
    except (TypeError, ValueError, ZeroDivisionError):
        return []


def from_exif(exif: bytes) -> ColourSpace | None:
    """The colour space that EXIF data states; None for sRGB, or where it does not say.

    Raises:
        ValueError: the data is damaged, or states a gamma that there is not.
    """
    order = exif_data.byte_order(exif)
    first = {field.tag: field for field in exif_data.fields(exif)}
    inner = _part(first, exif_data.EXIF_IFD)
    index = _part(inner, exif_data.INTEROP_IFD).get(INTEROP_INDEX)
    space = _values(inner.get(_COLOUR_SPACE), order)
    if space == [1]:
        return None
    if space == [2] or (index and bytes(index.value)[:3] == ADOBE_INDEX):
        return colour_spaces.ADOBE_RGB
    primaries = _values(first.get(PRIMARIES), order)
    white = _values(first.get(WHITE_POINT), order)
    gamma = _values(inner.get(_GAMMA), order)
    if len(primaries) != 6:
        return None
    return from_numbers(white, primaries, [], gamma[0] if gamma else None)


def _part(fields: dict[int, Any], tag: int) -> dict[int, Any]:
    """The fields of a directory that a field points to."""
    value = fields[tag].value if tag in fields else ()
    return {} if isinstance(value, bytes) else {field.tag: field for field in value}


def _values(field: Any, order: str) -> list[float]:
    """The numbers of a field of type SHORT, LONG or RATIONAL."""
    layout = {3: "H", 4: "L", 5: "L"}.get(field.kind) if field else None
    if layout is None or not isinstance(field.value, bytes):
        return []
    size = struct.calcsize(f"={layout}")
    numbers = struct.unpack(f"{order}{len(field.value) // size}{layout}", field.value)
    if field.kind != 5:
        return [float(number) for number in numbers]
    return [above / below if below else 0.0 for above, below in pairs(numbers)]

"""Colour spaces that files state in numbers, and ICC profiles that say the same.

EXIF says it by the interoperability index R03 or the unofficial colour space 2, both of which are
Adobe RGB, or by white point, primaries and gamma, as the tags of TIFF do.

A colour space here is three primaries, a white point and a curve for each channel from stored
values to light. The numbers of H.273 (CICP), which PNG and AVIF use, are looked up in tables.
"""

import hashlib
import math
import struct
from collections.abc import Sequence
from typing import Any

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from edsr_cli.images.colour import icc
from edsr_cli.images.metadata import exif as exif_data

Chromaticity = tuple[float, float]
"""x and y of CIE 1931."""

D65, _C, _DCI_WHITE, _EQUAL = (0.3127, 0.3290), (0.310, 0.316), (0.314, 0.351), (1 / 3, 1 / 3)
_D50 = (0.9642, 1.0, 0.8249)  # XYZ of the white of every profile, ICC.1:2022, 7.2.16
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367],
                      [0.0389, -0.0685, 1.0296]])  # fmt: skip
_ONE = 65536  # of the fixed-point numbers in profiles
_LARGEST = 4.0  # of a colorant's XYZ: white has 1, and no primaries that make sense come near
_TABLE_POINTS = 4096

CodePoints = tuple[int, int, int, int]
"""Primaries, transfer characteristics, matrix and full range of H.273."""

WHITE_POINT, PRIMARIES, TRANSFER = 0x13E, 0x13F, 0x12D
INTEROP_INDEX, ADOBE_INDEX = 0x0001, b"R03"
_COLOUR_SPACE, _GAMMA = 0xA001, 0xA500
_DEFAULT_GAMMA = 2.2  # of TIFF 6.0 and EXIF where primaries are stated, but no curve

PQ, HLG = 16, 18
"""Transfer characteristics of H.273 whose white is not the brightest colour."""


class ColourSpace(Struct, frozen=True):
    """What RGB values mean.

    Attributes:
        name: what to call it.
        primaries: of red, green and blue.
        white: the white point.
        curves: for red, green and blue an ICC curve from stored values to light, both in 0..1.
    """

    name: str
    primaries: tuple[Chromaticity, Chromaticity, Chromaticity]
    white: Chromaticity
    curves: tuple[bytes, bytes, bytes]

    def profile(self) -> bytes:
        """An ICC profile for it, the same bytes every time.

        Raises:
            ValueError: the primaries make no colour space.
        """
        colorants, adaptation = _colorants(self.primaries, self.white)
        texts = {b"desc": self.name, b"cprt": "No copyright, use freely"}
        tags = {name: _text(text) for name, text in texts.items()}
        tags[b"wtpt"] = _xyz(np.array(_D50))
        tags[b"chad"] = b"sf32\0\0\0\0" + _fixed(adaptation.ravel())
        for channel, name in enumerate((b"r", b"g", b"b")):
            tags[name + b"XYZ"] = _xyz(colorants[:, channel])
            tags[name + b"TRC"] = self.curves[channel]
        return _assemble(tags)


class Stated(Struct, frozen=True):
    """What a file states about its colours.

    Attributes:
        profile: an ICC profile, its own or one that says the same as it does; None for sRGB, or
            where it does not say.
        hdr: code points of a space that no profile can describe: its transfer is PQ or HLG.
        notes: remarks on what could not be used.
        explicit: whether EXIF data have no say where this is sRGB.
    """

    profile: bytes | None = None
    hdr: CodePoints | None = None
    notes: tuple[str, ...] = ()
    explicit: bool = False


def _fixed(values: NDArray[np.float64]) -> bytes:
    return np.rint(values * _ONE).astype(">i4").tobytes()


def gamma_curve(gamma: float) -> bytes:
    """The curve x ** gamma.

    Raises:
        ValueError: no display ever had such a gamma.
    """
    if not 0.1 <= gamma <= 10:
        raise ValueError("a gamma out of range")
    return parametric_curve(0, gamma)


def parametric_curve(kind: int, *values: float) -> bytes:
    """An ICC curve of type "para" (ICC.1:2022, 10.18)."""
    return b"para\0\0\0\0" + struct.pack(">HH", kind, 0) + _fixed(np.array(values))


def table_curve(points: NDArray[np.float64]) -> bytes:
    """A curve through points at equal distances: values in 0..1, at least two."""
    values = np.rint(np.clip(points, 0, 1) * 65535).astype(">u2")
    return b"curv\0\0\0\0" + struct.pack(">L", len(values)) + values.tobytes()


def _camera_curve(alpha: float, beta: float, slope: float) -> bytes:
    """The inverse of a camera's curve: slope * L up to beta, alpha * L ** 0.45 - (alpha - 1)."""
    return parametric_curve(
        3, 1 / 0.45, 1 / alpha, (alpha - 1) / alpha, 1 / slope, float(slope * beta)
    )


def _logarithmic_curve(decades: float) -> bytes:
    values = np.linspace(0, 1, _TABLE_POINTS)
    light = 10 ** ((values - 1) * decades)
    light[0] = 0
    return table_curve(light)


SRGB_CURVE = parametric_curve(3, 2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
_BT709_CURVE = _camera_curve(1.099296826809442, 0.018053968510807, 4.5)
_BT709 = ((0.640, 0.330), (0.300, 0.600), (0.150, 0.060))
_P3 = ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060))
_BT601_525 = ((0.630, 0.340), (0.310, 0.595), (0.155, 0.070))

# H.273, table 2: colour primaries.
_PRIMARIES = {
    1: ("BT.709", _BT709, D65),
    4: ("BT.470 M", ((0.67, 0.33), (0.21, 0.71), (0.14, 0.08)), _C),
    5: ("BT.601 625", ((0.64, 0.33), (0.29, 0.60), (0.15, 0.06)), D65),
    6: ("BT.601 525", _BT601_525, D65),
    7: ("SMPTE 240M", _BT601_525, D65),
    8: ("film", ((0.681, 0.319), (0.243, 0.692), (0.145, 0.049)), _C),
    9: ("BT.2020", ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046)), D65),
    10: ("CIE XYZ", ((1.0, 0.0), (0.0, 1.0), (0.0, 0.0)), _EQUAL),
    11: ("DCI-P3", _P3, _DCI_WHITE),
    12: ("Display P3", _P3, D65),
    22: ("EBU 3213", ((0.630, 0.340), (0.295, 0.605), (0.155, 0.077)), D65),
}
# H.273, table 3: transfer characteristics, except those that go beyond white (PQ, HLG).
_CURVES = {
    1: ("", _BT709_CURVE),
    4: ("gamma 2.2", gamma_curve(2.2)),
    5: ("gamma 2.8", gamma_curve(2.8)),
    6: ("", _BT709_CURVE),
    7: ("SMPTE 240M", _camera_curve(1.111572195921731, 0.022821585529445, 4.0)),
    8: ("linear", gamma_curve(1.0)),
    9: ("logarithmic", _logarithmic_curve(2.0)),
    10: ("logarithmic", _logarithmic_curve(2.5)),
    11: ("", _BT709_CURVE),  # xvYCC: the same within 0..1
    12: ("", _BT709_CURVE),
    13: ("sRGB curve", SRGB_CURVE),
    14: ("", _BT709_CURVE),
    15: ("", _BT709_CURVE),
    17: ("gamma 2.6", gamma_curve(2.6)),
}
_UNSPECIFIED = 2

ADOBE_RGB = ColourSpace(
    "Adobe RGB (1998) compatible",
    ((0.64, 0.33), (0.21, 0.71), (0.15, 0.06)),
    D65,
    (gamma_curve(563 / 256),) * 3,
)
ROMM_RGB = ColourSpace(
    "ROMM RGB",
    ((0.7347, 0.2653), (0.1596, 0.8404), (0.0366, 0.0001)),
    (0.3457, 0.3585),
    (parametric_curve(3, 1.8, 1.0, 0.0, 1 / 16, 16 * 0.001953),) * 3,
)
LINEAR_SRGB = ColourSpace("linear sRGB", _BT709, D65, (gamma_curve(1.0),) * 3)


def srgb_with(
    name: str,
    curves: Sequence[bytes] = (SRGB_CURVE,) * 3,
    primaries: Sequence[Chromaticity] = _BT709,
    white: Chromaticity = D65,
) -> ColourSpace:
    """A colour space of which only a part is stated; the rest is that of sRGB."""
    red, green, blue = primaries
    first, second, third = curves
    return ColourSpace(name, (red, green, blue), white, (first, second, third))


def from_code_points(primaries: int, transfer: int) -> ColourSpace | None:
    """The colour space of two code points of H.273.

    What they leave unspecified is taken to be that of sRGB.

    Returns:
        None where neither is specified, or both are those of sRGB.

    Raises:
        ValueError: they are unknown, or of a kind that no profile can describe (PQ, HLG).
    """
    if primaries == _UNSPECIFIED and transfer == _UNSPECIFIED:
        return None
    primaries = 1 if primaries == _UNSPECIFIED else primaries
    transfer = 13 if transfer == _UNSPECIFIED else transfer
    if (primaries, transfer) == (1, 13):
        return None
    if primaries not in _PRIMARIES or transfer not in _CURVES:
        raise ValueError("unknown code points")
    name, points, white = _PRIMARIES[primaries]
    curve_name, curve = _CURVES[transfer]
    # Display P3 is what P3 with the curve of sRGB is called.
    shown = name if not curve_name or (primaries, transfer) == (12, 13) else f"{name}, {curve_name}"
    return ColourSpace(shown, points, white, (curve, curve, curve))


def made(space: ColourSpace | None, what: str) -> Stated:
    """A profile for a colour space, or a remark where it makes none."""
    try:
        return Stated(space.profile() if space else None)
    except ValueError:
        return Stated(notes=(f"{what} make no sense: dropped",))


def stated_points(points: CodePoints, own: bytes | None, what: str) -> Stated:
    """What code points of H.273 say; `own` is what an ICC profile says beside them."""
    primaries, transfer = points[:2]
    if transfer in (PQ, HLG) and primaries < 256:
        return Stated(own, (primaries, transfer, 0, 1))  # of pixels that are RGB in full range
    try:
        space = from_code_points(primaries, transfer)
    except ValueError:
        return Stated(own, notes=(f"its {what} {primaries}/{transfer} is unknown: dropped",))
    return Stated(space.profile() if space else None)


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
    channels = 3 if len(transfer) % 3 == 0 else 1
    if len(transfer) >= 2 * channels:
        options["curves"] = tuple(
            table_curve(np.array(part) / 65535)
            for part in np.array_split(_thinned(transfer, channels), channels)
        ) * (3 // channels)
    if not options:
        return None
    options.setdefault("curves", (gamma_curve(gamma or _DEFAULT_GAMMA),) * 3)
    return srgb_with("RGB with stated primaries", **options)


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
        numbers = [float(part) for part in (value if isinstance(value, (tuple, list)) else ())]
    except (TypeError, ValueError, ZeroDivisionError):
        return []
    return numbers if all(map(math.isfinite, numbers)) else []


def from_exif(exif: bytes) -> ColourSpace | None:
    """The colour space that EXIF data states; None for sRGB, or where it does not say.

    Raises:
        ValueError: the data is damaged, or states a gamma that there is not.
    """
    order = exif_data.byte_order(exif)
    first = {field.tag: field for field in exif_data.fields(exif)}
    inner = _directory(first, exif_data.EXIF_IFD)
    index = _directory(inner, exif_data.INTEROP_IFD).get(INTEROP_INDEX)
    space = _field_numbers(inner.get(_COLOUR_SPACE), order)
    if space == [1]:
        return None
    if space == [2] or (index and bytes(index.value)[:3] == ADOBE_INDEX):
        return ADOBE_RGB
    primaries = _field_numbers(first.get(PRIMARIES), order)
    white = _field_numbers(first.get(WHITE_POINT), order)
    gamma = _field_numbers(inner.get(_GAMMA), order)
    if len(primaries) != 6:
        return None
    return from_numbers(white, primaries, [], gamma[0] if gamma else None)


def _directory(fields: dict[int, Any], tag: int) -> dict[int, Any]:
    """The fields of a directory that a field points to."""
    value = fields[tag].value if tag in fields else ()
    return {} if isinstance(value, bytes) else {field.tag: field for field in value}


def _field_numbers(field: Any, order: str) -> list[float]:
    """The numbers of a field of type SHORT, LONG or RATIONAL."""
    layout = {3: "H", 4: "L", 5: "L"}.get(field.kind) if field else None
    if layout is None or not isinstance(field.value, bytes):
        return []
    size = struct.calcsize(f"={layout}")
    numbers = struct.unpack(f"{order}{len(field.value) // size}{layout}", field.value)
    if field.kind != 5:
        return [float(number) for number in numbers]
    return [above / below if below else 0.0 for above, below in pairs(numbers)]


def _colorants(
    primaries: Sequence[Chromaticity], white: Chromaticity
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """XYZ of the primaries under D50, one in a column, and the matrix that adapts to D50."""
    points = np.array([(x, y, 1 - x - y) for x, y in primaries]).T
    numbers = np.array([*points.ravel(), *white])
    if not np.isfinite(numbers).all() or np.abs(numbers).max() > 10 or white[1] < 0.01:
        raise ValueError("primaries out of range")
    if abs(np.linalg.det(points)) < 1e-3:
        raise ValueError("primaries in a line")
    light = np.array([white[0], white[1], 1 - white[0] - white[1]]) / white[1]
    cones, wanted = _BRADFORD @ light, _BRADFORD @ np.array(_D50)
    if cones.min() < 0.01:
        raise ValueError("a white point out of range")
    adaptation = np.linalg.inv(_BRADFORD) @ np.diag(wanted / cones) @ _BRADFORD
    colorants = adaptation @ (points * np.linalg.solve(points, light))
    if np.abs(colorants).max() > _LARGEST or np.abs(adaptation).max() > _LARGEST:
        raise ValueError("primaries out of range")
    return colorants, adaptation


def _xyz(values: NDArray[np.float64]) -> bytes:
    return b"XYZ \0\0\0\0" + _fixed(values)


def _text(text: str) -> bytes:
    """A text in English, of type "mluc" (ICC.1:2022, 10.15)."""
    data = text.encode("utf-16-be")
    return b"mluc\0\0\0\0" + struct.pack(">LL4sLL", 1, 12, b"enUS", len(data), 28) + data


def grey_profile(profile: bytes) -> bytes:
    """A profile for greyscale that says of it what one for RGB says of equal channels.

    Raises:
        ValueError: there is none: the profile has tables, or curves that differ.
    """
    try:
        curves = {icc.read_tag(profile, name) for name in icc.RGB_CURVES}
    except struct.error as error:
        raise ValueError("damaged ICC profile") from error
    if len(curves) > 1:
        raise ValueError("equal channels are no grey")
    tags = {b"desc": _text("grey"), b"cprt": _text("No copyright, use freely")}
    return _assemble(tags | {b"wtpt": _xyz(np.array(_D50)), b"kTRC": curves.pop()}, b"GRAY")


def _assemble(tags: dict[bytes, bytes], kind: bytes = b"RGB ") -> bytes:
    """A display profile of version 4 (ICC.1:2022, 7); equal values are stored once."""
    offset = 128 + 4 + 12 * len(tags)
    table, body = struct.pack(">L", len(tags)), b""
    places: dict[bytes, int] = {}
    for name, data in tags.items():
        if data not in places:
            places[data] = offset + len(body)
            body += data + bytes(-len(data) % 4)
        table += name + struct.pack(">LL", places[data], len(data))
    header = struct.pack(
        ">L4xL4s4s4s6H4s28x3L", offset + len(body), 0x04300000, b"mntr", kind, b"XYZ ",
        2000, 1, 1, 0, 0, 0, b"acsp", *(round(value * _ONE) for value in _D50),
    ).ljust(128, b"\0")  # fmt: skip
    profile = header + table + body
    digest = hashlib.md5(profile, usedforsecurity=False).digest()
    return profile[:84] + digest + profile[100:]

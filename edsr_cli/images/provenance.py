"""What a written picture says about how it was made."""

import re
from pathlib import Path

from edsr_cli import __version__
from edsr_cli.errors import PictureError
from edsr_cli.files.names import display_name
from edsr_cli.images.formats import open_image
from edsr_cli.images.guard import guarded
from edsr_cli.images.metadata import exif_writing
from edsr_cli.images.metadata.exif import strip_prefix
from edsr_cli.images.picture import DEFAULT_MAX_PIXELS
from edsr_cli.images.source import open_source
from edsr_cli.text import one_line

_LONGEST_NAME = 200
_MAX_EXIF_BYTES = 2**20  # the record is one of the first things in what we write
_SOFTWARE = 305
_RECORD = re.compile(
    r"edsr [^ ,;]{1,40}, (?:model [^;]{1,300}?|reduced) x([0-9]{1,5}(?:\.[0-9]{1,9})?)"
    r"(?= \(restore|;|$)"
)


def provenance(model: str | None, scale: float, restore: float | None = None) -> str:
    """The record that every output carries: program, version, model, scale, restore strength.

    It is the same for the same work: no time, no machine, no folder.

    Args:
        model: the model's name; None where no network was used.
        scale: how many times larger the output is; stated with four digits.
        restore: strength of the restoration, 0 to 1; None where there is none.
    """
    scale = round(scale, 4)
    if model is None:
        return f"edsr {__version__}, reduced x{scale:g}"
    name = one_line(model)[:_LONGEST_NAME].encode("ascii", "replace").decode()
    strength = "" if restore is None else f" (restore {restore:.4g})"
    return f"edsr {__version__}, model {name} x{scale:g}{strength}"


def stated_record(path: Path) -> str | None:
    """The record that a picture carries, as texts or EXIF data; None where there is none.

    No pixels are decoded. Where several runs have left their records, all come, joined.
    """
    name = display_name(path)
    try:
        with open_source(path, name) as file, guarded(name, DEFAULT_MAX_PIXELS):
            image = open_image(file, all_formats=True)
            values = [image.info.get("Software"), image.info.get("comment")]
            if image.format == "TIFF":
                values.append(getattr(image, "tag_v2", {}).get(_SOFTWARE))
            elif isinstance(exif := image.info.get("exif"), bytes):
                values.append(exif_writing.text_of(strip_prefix(exif[:_MAX_EXIF_BYTES]), _SOFTWARE))
    except PictureError:
        return None
    for value in values:
        if isinstance(value, bytes):
            value = value.decode("latin-1")
        if isinstance(value, str) and _RECORD.search(value):
            return value
    return None


def scale_of(record: str) -> float:
    """The factor of the last run that a record tells of, with four digits."""
    return float(_RECORD.findall(record)[-1])

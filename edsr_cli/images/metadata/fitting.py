"""Metadata made true of the picture that is written, in the places that its format has.

    PNG         texts as chunks, IPTC as a text that ImageMagick and exiftool know
    JPEG        comments as such, IPTC in Photoshop's marker, long XMP in several markers
    TIFF        IPTC in its tag
    GIF         comments as such
    all others  texts and IPTC as XMP; a prompt or a comment as EXIF's user comment

Not all hold all of it; BMP, the resolution only. What a format cannot hold is named in a remark.
"""

import re
from collections.abc import Sequence

from msgspec import Struct, field
from msgspec.structs import replace

from edsr_cli.images.colour import icc
from edsr_cli.images.metadata import iptc, xmp, xmp_extension, xmp_truth
from edsr_cli.images.metadata.exif import with_size
from edsr_cli.images.metadata.exif_writing import (
    joined_record,
    scaled,
    with_software,
    with_user_comment,
)
from edsr_cli.images.metadata.xmp import DC, OWN, XMP_BASIC, Name, Property
from edsr_cli.images.picture import Metadata, OutputFormat, Places, Text

_LONGEST_COMMENT = 65_000  # in a marker of a JPEG
_LONGEST_USER_COMMENT = 65_327  # with all other EXIF data, as a JPEG holds it
_MAX_XMP_BYTES = 2**24
_MOST_NAMED = 20  # of what is dropped, in a remark

MEMORY = OutputFormat("a PIL image", (), max_side=2**31 - 1, places=Places(hdr="beside"))
"""No format, but a picture in memory that has a profile, EXIF, XMP and a resolution."""

COMMENT = "Comment"
_OWN_RECORD = "edsr "
_USER_COMMENTS = ("parameters", "comment")  # the first is what image generators call their prompt

_CREATED = "creation time"

# Keywords of PNG in small letters, and what XMP calls the same.
_SAME: dict[str, tuple[Name, str]] = {
    "title": ((DC, "title"), "Alt"),
    "author": ((DC, "creator"), "Seq"),
    "description": ((DC, "description"), "Alt"),
    "copyright": ((DC, "rights"), "Alt"),
    "software": ((XMP_BASIC, "CreatorTool"), "text"),
    _CREATED: ((XMP_BASIC, "CreateDate"), "text"),
}
_DATE = r"\d{4}(-\d\d(-\d\d(T\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)?)?)?)?"


def fit(
    metadata: Metadata, output_format: OutputFormat, width: int, height: int
) -> tuple[Metadata, tuple[str, ...]]:
    """Metadata as a format holds it.

    Args:
        metadata: those of the picture before it was scaled.
        output_format: the format to write.
        width, height: of the picture that is written, in pixels.

    Returns:
        What to write: of texts and IPTC what has a place of its own, the rest is in EXIF and XMP;
        the name of the program, too. And remarks on what the format cannot hold.
    """
    old = metadata.size or (width, height)
    factors = (width / old[0], height / old[1])
    earlier = [
        text.value
        for text in metadata.texts
        if text.keyword == "Software" and text.value.startswith(_OWN_RECORD)
    ]
    work = _Fitting(metadata, output_format, (width, height), factors, earlier)
    work.colours()
    work.pixels()
    work.texts()
    work.software()
    work.limits()
    return work.metadata, tuple(work.notes)


class _Fitting(Struct):
    metadata: Metadata
    format: OutputFormat
    size: tuple[int, int]
    factors: tuple[float, float]
    earlier: list[str]
    notes: list[str] = field(default_factory=list)

    def _set(self, **values: object) -> None:
        self.metadata = replace(self.metadata, **values)

    def _drop(self, name: str, what: str) -> None:
        """Leave out what the format has no place for."""
        if getattr(self.metadata, name) and what not in self.format.keeps:
            self._set(**{name: () if name == "texts" else None})
            # That pixels per inch are lost matters to nobody; that colours shift does.
            if name != "dpi":
                self.notes.append(f"{self.format.name} cannot hold the {what}: dropped")

    def colours(self) -> None:
        """Leave out what the format cannot hold at all, and decide on HDR."""
        for name, what in (("icc_profile", "ICC profile"), ("exif", "EXIF data"),
                            ("xmp", "XMP data"), ("dpi", "resolution"), ("texts", "texts"),
                            ("iptc", "IPTC data")):  # fmt: skip
            self._drop(name, what)
        if self.metadata.hdr is None:
            return
        if self.format.places.hdr == "alone":
            self._set(icc_profile=None)
        elif self.format.places.hdr == "none":
            kept = ": only its ICC profile is kept" if self.metadata.icc_profile else ""
            self.notes.append(f"{self.format.name} cannot hold its HDR colours (PQ or HLG){kept}")
            self._set(hdr=None)

    def pixels(self) -> None:
        """Make EXIF and XMP true of the size."""
        data = self.metadata
        if data.exif:
            try:
                exif = with_size(data.exif, *self.size)
                self._set(exif=scaled(exif, self.factors, *self.size))
            except ValueError:
                self._set(exif=None)
                self.notes.append("the EXIF data is damaged: dropped")
        if data.xmp:
            try:
                self._set(
                    xmp=xmp_truth.written(
                        data.xmp,
                        self.factors,
                        self.size,
                        None if self.format is MEMORY else f"image/{self.format.name.lower()}",
                        data.icc_profile == icc.srgb_profile(),
                        data.software,
                    )
                )
            except ValueError:
                self._set(xmp=None)
                self.notes.append("the XMP data is damaged: dropped")

    def texts(self) -> None:
        """Put texts and IPTC where the format has a place for them."""
        name, places, data = self.format.name, self.format.places, self.metadata
        texts = list(data.texts)
        properties: list[Property] = []
        if places.texts == "all":
            if data.iptc and places.iptc == "text":
                profile = raw_profile("iptc", iptc.resources(data.iptc))
                self._set(iptc=None, texts=(*texts, Text("Raw profile type iptc", profile)))
            return
        if data.iptc and places.iptc != "own":
            properties, left = iptc.to_properties(data.iptc)
            if left:
                named = ", ".join(left[:_MOST_NAMED])
                self.notes.append(f"{name} cannot hold all IPTC data: dropped {named}")
            self._set(iptc=None)
        if places.texts == "comments":
            self._set(texts=tuple(filter(_fits_into_a_marker, texts)))
            texts = [text for text in texts if not _fits_into_a_marker(text)]
        else:
            self._set(texts=())
        texts = self._user_comment(texts)
        self._to_xmp(properties, texts)

    def _user_comment(self, texts: list[Text]) -> list[Text]:
        """Put a text into EXIF, if there is one for that and it is free; the texts left."""
        if "EXIF data" not in self.format.keeps:
            return texts
        for keyword in _USER_COMMENTS:
            for text in texts:
                if text.keyword.lower() == keyword and len(text.value) < 30_000:
                    try:
                        exif = with_user_comment(self.metadata.exif, text.value)
                    except ValueError:
                        return texts
                    if exif is not None and len(exif) < _LONGEST_USER_COMMENT:
                        self._set(exif=exif)
                        return [other for other in texts if other is not text]
                    return texts
        return texts

    def _to_xmp(self, properties: Sequence[Property], texts: Sequence[Text]) -> None:
        """Put properties and texts into the XMP data, unless they are there."""
        new: dict[Name, Property] = {item.name: item for item in properties}
        rest: list[str] = []
        for text in texts:
            if text.keyword == "Software" and text.value.startswith(_OWN_RECORD):
                continue  # see `software`
            value = xmp.without_controls(text.value)
            keyword = text.keyword.lower()
            name, kind = _SAME.get(keyword, (None, ""))
            if (
                name is None
                or name in new
                or (keyword == _CREATED and not re.fullmatch(_DATE, value))
            ):
                rest.append(f"{text.keyword}: {value}")
            else:
                new[name] = Property(name, (value,), kind)
        try:
            packet = xmp.parse(self.metadata.xmp) if self.metadata.xmp else xmp.Packet(b"")
            for name, item in list(new.items()):
                found = {text.strip() for text in packet.texts(name)}
                if found:
                    del new[name]
                    missing = [v for v in item.values if v.strip() not in found]
                    rest += [f"{name[1]}: {value}" for value in missing]
            if rest:
                own = (OWN, "Text")
                known = set(packet.texts(own))
                rest = [line for line in dict.fromkeys(rest) if line not in known]
            if rest:
                new[own] = Property(own, tuple(rest), "Bag")
            if not new:
                return
            added = xmp.description(new.values(), xmp.about(self.metadata.xmp)).encode()
            result = xmp.with_descriptions(self.metadata.xmp, added)
        except ValueError:
            result = None
        if result is None or len(result) > _MAX_XMP_BYTES:
            self.notes.append(f"{self.format.name} cannot hold its texts: dropped")
        else:
            self._set(xmp=result)

    def software(self) -> None:
        """Name what made the picture, behind what the runs before have left."""
        software = self.metadata.software
        places = self.format.places
        if software is None or not self.format.names_its_maker:
            return
        earlier = self.earlier
        if earlier:
            software = joined_record(earlier[-1], software)
        if places.texts == "all":
            old = set(earlier)
            kept = [text for text in self.metadata.texts if text.value not in old]
            self._set(texts=(*kept, Text("Software", software)))
            return
        try:
            exif = with_software(self.metadata.exif, software)
        except ValueError:
            exif = with_software(None, software)
        most = places.exif_bytes or len(exif)
        if places.texts == "comments" and len(exif) > most >= len(self.metadata.exif or b""):
            self._set(texts=(*self.metadata.texts, Text(COMMENT, software)))
        else:
            self._set(exif=exif)

    def limits(self) -> None:
        """Leave out what is longer than the format can hold."""
        name, places, data = self.format.name, self.format.places, self.metadata
        most = places.xmp_bytes
        if data.xmp and most and len(data.xmp) > most and not xmp_extension.split(data.xmp, most):
            self._set(xmp=None)
            self.notes.append(f"the XMP data is too long for {name}: dropped")
        for kind, what, limit in (("icc_profile", "ICC profile", places.icc_bytes),
                                  ("exif", "EXIF data", places.exif_bytes),
                                  ("iptc", "IPTC data", places.iptc_bytes)):  # fmt: skip
            value = getattr(data, kind)
            if value and limit is not None and len(value) > limit:
                self._set(**{kind: None})
                self.notes.append(f"the {what} is too long for {name}: dropped")


def _fits_into_a_marker(text: Text) -> bool:
    size = len(text.value.encode("utf-8", "replace"))
    return text.keyword == COMMENT and size < _LONGEST_COMMENT


def raw_profile(kind: str, data: bytes) -> str:
    """Data as a text of PNG, in ImageMagick's way: name, length, hexadecimal digits."""
    digits = data.hex()
    lines = (digits[start : start + 72] for start in range(0, len(digits), 72))
    return f"\n{kind}\n{len(data):8}\n" + "\n".join(lines) + "\n"

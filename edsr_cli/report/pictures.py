"""Pictures of pages, without loss: in the page, or as scripts in a folder beside it."""

import base64
import hashlib
import io
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from edsr_cli.errors import EdsrError, FileError
from edsr_cli.files.atomic import atomic_write
from edsr_cli.files.names import display_name
from edsr_cli.files.own import beginning
from edsr_cli.images import Metadata, decode, encode
from edsr_cli.images.colour.icc import to_srgb
from edsr_cli.images.outputs import PNG, WEBP
from edsr_cli.report.places import Written

if TYPE_CHECKING:
    from PIL.Image import Image

DEFAULT_MAX_EMBED = 20_000_000
"""Bytes of pictures that a page has in it where nothing is said."""

_CALL = b"edsrPicture("
"""How files beside a page begin."""

_HOPELESS = 3  # times too large: differences have never made so much of pictures

_NO_MARKUP = bytes.maketrans(b"&<>", b",./")  # base 85 has signs that HTML has another use for

_WORTH = 0.95  # of its bytes are what a difference must stay under: without scripts it is not seen


class Encoded(Struct, frozen=True):
    """A picture as browsers read it, with the samples that it has, and its profile.

    Attributes:
        data: a WebP without loss, or a PNG where it is too large for that.
        kind: its media type.
        shape: (H, W, 3), that of the pixels.
        tagged: whether it has a profile.
        base: None; or the number of another picture of its group, to whose samples those in `data`
            are to be added, modulo 256.
    """

    data: bytes
    kind: str
    shape: tuple[int, ...]
    tagged: bool = False
    base: int | None = None

    @property
    def uri(self) -> str:
        """As a data: URI."""
        return f"data:{self.kind};base64,{base64.b64encode(self.data).decode('ascii')}"

    @property
    def base85(self) -> str:
        """As scripts alone read it (`bytesOf` in viewer.js), in fewer letters than as a URI.

        These are the letters of `base64.b85encode`, but for those of markup.
        """
        return base64.b85encode(self.data).translate(_NO_MARKUP).decode("ascii")

    @property
    def letters(self) -> int:
        """How many letters it takes in a page, about: 4 for 3 bytes, or 5 for 4."""
        size = len(self.data)
        return 4 * -(-size // 3) if self.base is None else -(-5 * size // 4)

    @property
    def name(self) -> str:
        """What its file is called, which depends on what is in it."""
        return hashlib.sha256(self.data).hexdigest()[:16] + ".js"


Group = Sequence[Encoded]
"""Pictures that are compared with each other."""


def encoded(pixels: NDArray[np.uint8], profile: bytes | None = None) -> Encoded:
    """A picture as browsers read it.

    Args:
        pixels: (H, W, 3), RGB, 0..255.
        profile: the ICC profile of the pixels; None for sRGB.

    Raises:
        PictureError: it is too large even for PNG.
    """
    height, width = pixels.shape[:2]
    output_format = WEBP if WEBP.can_hold(width, height) else PNG
    buffer = io.BytesIO()
    encode(pixels, output_format, Metadata(icc_profile=profile), buffer)
    kind = f"image/{output_format.name.lower()}"
    return Encoded(buffer.getvalue(), kind, pixels.shape, profile is not None)


def in_srgb(image: "Image", profile: bytes | None) -> "Image":
    """An RGB image without a profile, which counts as sRGB; as it is where the profile is no use.

    Args:
        image: the image.
        profile: the ICC profile of its pixels, which may be megabytes; None for sRGB.
    """
    if profile is None:
        return image
    try:
        return to_srgb(image, profile)
    except ValueError:
        return image


def bytes_in_page(groups: Iterable[Group]) -> int:
    """Bytes that pictures take in a page."""
    return sum(each.letters for group in groups for each in group)


def fitted(groups: Sequence[Group], most: int) -> Sequence[Group] | None:
    """The pictures as they can be in a page, or None where they are too large for that.

    If they are, those that are near another one are tried as differences from it.

    Args:
        groups: the pictures.
        most: bytes that they may take.
    """
    total = bytes_in_page(groups)
    if total > most and total <= _HOPELESS * most:
        groups = [differences(group) for group in groups]
        total = bytes_in_page(groups)
    return groups if total <= most else None


def differences(group: Group) -> Group:
    """A group with pictures as differences from earlier ones, where that takes fewer bytes.

    Those with a profile stay as they are: a browser converts colours when it decodes a picture, so
    that what is put together there must be sRGB already.
    """
    whole: dict[int, NDArray[np.int16]] = {}
    made = []
    for number, picture in enumerate(group):
        if picture.tagged:
            made.append(picture)
            continue
        pixels = decode(picture.data).pixels.astype(np.int16)
        alike = {n: each for n, each in whole.items() if each.shape == pixels.shape}
        best = picture
        if alike:
            base = min(alike, key=lambda n: float(np.abs(pixels - alike[n]).mean()))
            change = encoded((pixels - alike[base]).astype(np.uint8))  # modulo 256
            if len(change.data) < _WORTH * len(picture.data):
                best = Encoded(change.data, change.kind, picture.shape, base=base)
        if best is picture:
            whole[number] = pixels
        made.append(best)
    return made


class Beside(Struct, frozen=True):
    """The folder beside a page, where pictures go that are too large for it.

    Attributes:
        page: the page.
    """

    page: Path

    @property
    def folder(self) -> Path:
        """Its path."""
        return self.page.with_name(f"{self.page.stem}_files")

    def address(self, picture: Encoded) -> str:
        """Where a picture is, for the page."""
        return f"./{quote(os.fsencode(self.folder.name))}/{picture.name}"

    def write(self, pictures: Iterable[Encoded], *, overwrite: bool) -> None:
        """Write pictures.

        Raises:
            FileError: one cannot be written, or would replace somebody else's file.
        """
        try:
            self.folder.mkdir(exist_ok=True)
        except OSError as error:
            raise FileError(
                f"the folder cannot be made ({error.strerror}).",
                "Give the page another name.",
                about=display_name(self.folder),
            ) from error
        for picture in pictures:
            path = self.folder / picture.name
            ours = beginning(path, len(_CALL)) in (_CALL, b"")
            with atomic_write(path, overwrite=ours or overwrite) as file:
                # A page of a file may read the pixels of no other file, but run it.
                file.write(_CALL + f'"{picture.name}","{picture.uri}");\n'.encode())

    def clear(self, kept: Iterable[Encoded] = ()) -> None:
        """Remove pictures of an older page of this name."""
        names = {picture.name for picture in kept}
        with suppress(OSError):
            for path in self.folder.glob("*.js"):
                if path.name not in names and beginning(path, len(_CALL)) == _CALL:
                    path.unlink()
            if not names:
                self.folder.rmdir()  # if it is empty now


Source = Callable[[Encoded], dict[str, object]]
"""What a template says of a picture: "uri" or "address" ("" for none), "tagged", "base", and in
place of "uri" "difference", if it is one."""


def write_page(
    path: Path,
    kind: Written,
    groups: Sequence[Group],
    pieces: Callable[[Sequence[Group], Source, bool], Iterator[str]],
    *,
    most: int,
    overwrite: bool,
) -> bool:
    """Write a page, and its pictures beside it if they are too large for it.

    Pictures are there before the page; those of an older page go when it is gone.

    Args:
        path: the page.
        kind: of which kind it is; an older one is replaced.
        groups: the pictures.
        pieces: gives the page: from pictures, what to say of each, and whether they are beside it.
        most: bytes of pictures that the page may have in it.
        overwrite: whether any file may be replaced.

    Returns:
        Whether pictures are beside it.

    Raises:
        EdsrError: it cannot be written.
    """
    beside, inside = Beside(path), fitted(groups, most)
    apart = inside is None
    pictures = [each for group in groups for each in group] if apart else []

    def source(picture: Encoded) -> dict[str, object]:
        return {
            "uri": "" if apart or picture.base is not None else picture.uri,
            "address": beside.address(picture) if apart else "",
            "tagged": picture.tagged,
            "base": picture.base,
            "difference": "" if picture.base is None else picture.base85,
        }

    if apart:
        beside.write(pictures, overwrite=overwrite)
    with atomic_write(path, overwrite=overwrite or kind.is_at(path), error=EdsrError) as file:
        for piece in pieces(groups if inside is None else inside, source, apart):
            file.write(piece.encode())
    beside.clear(pictures)
    return apart

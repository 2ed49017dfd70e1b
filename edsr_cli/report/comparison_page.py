"""The page of `edsr compare`: pictures in it, or in a folder beside it; compare.html.jinja."""

import base64
import hashlib
import io
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from edsr_cli import __version__
from edsr_cli.errors import EdsrError, FileError
from edsr_cli.files.atomic import atomic_write
from edsr_cli.files.names import display_name
from edsr_cli.files.own import beginning
from edsr_cli.images import Metadata, encode
from edsr_cli.images.formats import PNG, WEBP
from edsr_cli.report.comparison import Comparison, Version
from edsr_cli.report.places import COMPARISON
from edsr_cli.report.templates import render
from edsr_cli.text import duration, size

_CALL = b"edsrPicture("
"""How files beside a page begin."""


@dataclass(frozen=True)
class Encoded:
    """A version as browsers read it, with the samples that it has, and its profile.

    Attributes:
        version: what it is; its pixels are gone.
        data: a WebP without loss, or a PNG where it is too large for that.
        kind: its media type.
        tagged: whether it has a profile.
    """

    version: Version
    data: bytes
    kind: str
    tagged: bool

    @property
    def uri(self) -> str:
        """As a data: URI."""
        return f"data:{self.kind};base64,{base64.b64encode(self.data).decode('ascii')}"

    @property
    def name(self) -> str:
        """What its file is called, which depends on what is in it."""
        return hashlib.sha256(self.data).hexdigest()[:16] + ".js"


class ComparisonPage:
    """Collects what a page shows, and writes it.

    Args:
        path: the page; `COMPARISON.check` has found it good.
        command: what makes the page, for a shell.

    Attributes:
        path: the page.
    """

    def __init__(self, path: Path, command: str) -> None:
        self.path, self._command = path, command
        self._shown: list[tuple[Comparison, list[Encoded]]] = []

    @property
    def folder(self) -> Path:
        """Where pictures go that are too large for the page."""
        return self.path.with_name(f"{self.path.stem}_files")

    def add(self, comparison: Comparison) -> None:
        """Take a picture; its pixels are not needed any more."""
        self._shown.append((comparison, [encoded(each) for each in comparison.versions]))

    @property
    def bytes(self) -> int:
        """Bytes of all pictures, as they are in pages."""
        return sum(4 * len(each.data) // 3 for _, group in self._shown for each in group)

    def write(self, most: int, *, overwrite: bool) -> bool:
        """Write the page, and the pictures beside it if they are too large.

        Pictures are there before the page; those of an older page go when it is gone.

        Args:
            most: bytes of pictures that the page may have in it.
            overwrite: whether any file may be replaced.

        Returns:
            Whether pictures are beside it.

        Raises:
            EdsrError: it cannot be written.
        """
        pictures = [each for _, group in self._shown for each in group]
        apart = self.bytes > most
        if apart:
            self._write_beside(pictures, overwrite)
        replace = overwrite or COMPARISON.is_at(self.path)
        with atomic_write(self.path, overwrite=replace, error=EdsrError) as file:
            for piece in self._pieces(apart):
                file.write(piece.encode())
        self._clear_beside({each.name for each in pictures} if apart else set())
        return apart

    def _write_beside(self, pictures: Sequence[Encoded], overwrite: bool) -> None:
        try:
            self.folder.mkdir(exist_ok=True)
        except OSError as error:
            raise FileError(
                f"the folder cannot be made ({error.strerror}).",
                "Give -o another name.",
                about=display_name(self.folder),
            ) from error
        for picture in pictures:
            path = self.folder / picture.name
            ours = beginning(path, len(_CALL)) in (_CALL, b"")
            with atomic_write(path, overwrite=ours or overwrite) as file:
                # A page of a file may read the pixels of no other file, but run it.
                file.write(_CALL + f'"{picture.name}","{picture.uri}");\n'.encode())

    def _clear_beside(self, kept: set[str]) -> None:
        """Remove pictures of an older page of this name."""
        with suppress(OSError):
            for path in self.folder.glob("*.js"):
                if path.name not in kept and beginning(path, len(_CALL)) == _CALL:
                    path.unlink()
            if not kept:
                self.folder.rmdir()  # if it is empty now

    def _pieces(self, apart: bool) -> Iterator[str]:
        names = ", ".join(dict.fromkeys(Path(each.input).name for each, _ in self._shown))
        return render(
            "compare.html.jinja",
            styles=("page.css", "viewer.css", "compare.css"),
            scripts=("viewer.js", "compare.js"),
            more_scripts=apart,
            title=f"edsr compare: {names}",
            subjects=[self._subject(each, group, apart) for each, group in self._shown],
            command=self._command,
            version=__version__,
        )

    def _subject(
        self, comparison: Comparison, group: Sequence[Encoded], apart: bool
    ) -> Mapping[str, Any]:
        width, height = comparison.size
        scores = _scores([each.version for each in group])
        return {
            "name": comparison.name,
            "size": comparison.size,
            "input_size": (width // comparison.scale, height // comparison.scale),
            "scale": comparison.scale,
            "border": comparison.border,
            "right": next((n for n, each in enumerate(group) if n and each.version.made), 1),
            "measured": group[-1].version.kind == "reference",
            "versions": [
                {
                    "label": each.version.label,
                    "how": _how(each.version),
                    "scores": cells,
                    "tagged": each.tagged,
                    "uri": "" if apart else each.uri,
                    "address": self._address(each) if apart else "",
                    "time": _in_words(each.version, "seconds", duration),
                    "memory": _in_words(each.version, "memory_bytes", size),
                    "bytes": len(each.data),
                    "command": each.version.command,
                }
                for each, cells in zip(group, scores, strict=True)
            ],
        }

    def _address(self, picture: Encoded) -> str:
        return f"./{quote(os.fsencode(self.folder.name))}/{picture.name}"


def encoded(version: Version) -> Encoded:
    """A version as browsers read it.

    Raises:
        PictureError: it is too large even for PNG.
    """
    height, width = version.pixels.shape[:2]
    output_format = WEBP if WEBP.can_hold(width, height) else PNG
    buffer = io.BytesIO()
    metadata = Metadata(icc_profile=version.profile)
    encode(version.pixels, output_format, metadata, buffer)
    kind = f"image/{output_format.name.lower()}"
    tagged = version.profile is not None
    empty = Version(**(vars(version) | {"pixels": version.pixels[:0], "profile": None}))
    return Encoded(empty, buffer.getvalue(), kind, tagged)


def _how(version: Version) -> str:
    made = version.made
    if not made:
        words = {
            "bicubic": "bicubic interpolation, as MATLAB's",
            "nearest": "the input's pixels, enlarged",
            "file": "a finished picture",
            "reference": "the original",
        }
        return words[version.kind]
    how = f"{made['model']} on {made['device']} in {made['precision']}"
    if made["restore"] is None:
        return how
    return f"{how}; restored by {made['restore']:g}: {made['restore_reason']}"


def _in_words(version: Version, name: str, words: Any) -> str:
    return words(version.made[name]) if name in version.made else ""


def _scores(versions: Sequence[Version]) -> list[list[Mapping[str, Any]]]:
    """Cells of the table; the best of each column is told."""
    columns = (("psnr_y", "{:.2f} dB"), ("ssim_y", "{:.4f}"), ("psnr_rgb", "{:.2f} dB"))
    rows: list[list[Mapping[str, Any]]] = []
    for version in versions:
        cells: list[Mapping[str, Any]] = []
        for name, form in columns:
            known = [each.scores[name] for each in versions if name in each.scores]
            value = version.scores.get(name)
            absent = "" if name not in version.scores else "∞"
            cells.append(
                {
                    "text": absent if value is None else form.format(value),
                    "best": name in version.scores and _order(value) == max(map(_order, known)),
                }
            )
        rows.append(cells)
    return rows


def _order(score: float | None) -> float:
    return math.inf if score is None else score

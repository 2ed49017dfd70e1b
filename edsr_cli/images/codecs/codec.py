"""What a format can be asked, and what Pillow alone answers."""

import struct
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, Protocol

from msgspec import Struct
from msgspec.structs import replace
from PIL import Image

from edsr_cli.images.bands import Wanted, put_together
from edsr_cli.images.codecs.animation import SequenceEncoder
from edsr_cli.images.codecs.raw_rows import bands_of, raw_rows
from edsr_cli.images.codecs.whole import Encoder, Sink, WholeEncoder
from edsr_cli.images.colour import Converted, Samples, samples_to_rgb, to_rgb
from edsr_cli.images.colour.spaces import Stated, from_exif
from edsr_cli.images.guard import check_pixels
from edsr_cli.images.metadata import (
    Found,
    exif_of,
    orientation_of,
    upright_exif,
    upright_xmp,
    usable_dpi,
    xmp_of,
)
from edsr_cli.images.metadata.xmp_truth import Turn
from edsr_cli.images.picture import (
    Compression,
    Metadata,
    OutputRequest,
    Picture,
    PictureInfo,
)
from edsr_cli.pixels.arrays import Pixels


class Opened(Protocol):
    """A picture of which the header has been read."""

    def info(self) -> PictureInfo:
        """What the header says."""

    def read(self, wanted: Wanted) -> Picture:
        """The picture; see `decoding.OpenPicture.read`."""

    def read_frame(self, wanted: Wanted, number: int) -> Picture:
        """A frame or page, from 1 to the number of them; in this order it is quickest."""


class Rows(Struct, frozen=True):
    """How a picture is decoded by rows.

    Attributes:
        begin: gives its rows as stored, from the top in bands of full width: images like the one
            that Pillow has opened, or samples. It may be called more than once. It raises what it
            likes where the file is damaged.
        about: gives an image with all metadata of the file, like the one that Pillow has opened.
        exact: whether it gives more bits than Pillow does, so that it is to be preferred.
        at_once: whether all rows come in one band.
        bytes: memory that decoding takes, where that is more than for some rows.
    """

    begin: Callable[[], Iterator[Image.Image | Samples]]
    about: Callable[[], Image.Image]
    exact: bool = False
    at_once: bool = False
    bytes: int = 0


class Codec:
    """What is to be known of a format, and done for it.

    Attributes:
        name: what Pillow calls the format.
        turned: whether Pillow turns a picture as its orientation says, when it loads it.
        pixel_bytes: memory that decoding takes at once for each pixel, beside what is made of it,
            where it is not by rows, for each 8 bits a channel; measured on photographs.
    """

    name = ""
    turned = False
    pixel_bytes = 4  # as Pillow keeps colours

    def open(self, file: BinaryIO, name: str, max_pixels: int, frame: int | None = None) -> Opened:
        """Read the header of a file, where Pillow does not; see `open_picture`."""
        raise NotImplementedError

    def mended(self, file: BinaryIO, pixels: int) -> BinaryIO | None:
        """The file with an end, where nothing but that is missing, which Pillow would not take.

        Args:
            file: the file, seekable; its position is kept.
            pixels: how many the picture has.

        Returns:
            None where there is nothing to mend, or more is missing.
        """
        return None

    def bits(self, image: Image.Image, file: BinaryIO) -> int:
        """Bits per channel of the file an image was opened from, such as 1, 8, 10, 12 or 16.

        Pillow reads colours of more than 8 bits as 8 bits without a word, and does not tell what
        the file had.

        Args:
            image: the image, opened; it need not be loaded.
            file: the file, seekable; its position is kept.

        Returns:
            The depth of the deepest channel; 8 where the header does not say.
        """
        return 1 if image.mode == "1" else 8

    def decoder_bytes(self, image: Image.Image, bits: int) -> int:
        """Memory that decoding takes at once, beside what is made of it, where it is not by rows.

        Args:
            image: the image, opened.
            bits: bits per channel in the file.
        """
        return self.pixel_bytes * -(-bits // 8) * image.width * image.height

    def orientation(self, image: Image.Image, file: BinaryIO | None = None) -> int:
        """The EXIF orientation of a picture as stored, 1 to 8.

        An orientation that only the XMP states does not count: viewers pay no heed to it.

        Args:
            image: the image, opened but not loaded: Pillow forgets that of a TIFF when it loads it.
            file: the file of the image, if there is one; its position is kept.
        """
        return orientation_of(exif_of(image))

    def exif(self, image: Image.Image, notes: list[str]) -> bytes | None:
        """The EXIF data of a loaded image as stored; remarks on what is lost go to `notes`."""
        return exif_of(image)

    def dpi(self, image: Image.Image) -> tuple[float, float] | None:
        """Horizontal and vertical resolution in pixels per inch."""
        return usable_dpi(image.info.get("dpi", ()))

    def texts(self, image: Image.Image, file: BinaryIO | None, found: Found) -> None:
        """Look for what a file holds beside what Pillow tells; without a file, for what it keeps.

        May raise `struct.error` and `IndexError` where the file is damaged.

        Raises:
            PictureError: it holds far more than is reasonable.
        """
        comment = image.info.get("comment") if file is None else None
        if isinstance(comment, bytes):
            found.add_bytes("Comment", comment)

    def colour(self, image: Image.Image, file: BinaryIO | None, own: bytes | None) -> Stated:
        """What a file says about its colours, `own` being the ICC profile that Pillow has found.

        May raise `struct.error` and `IndexError` where the file is damaged.

        Raises:
            PictureError: it states colours that Pillow reads wrongly.
        """
        return Stated(own)

    def compression(self, image: Image.Image, file: BinaryIO | None) -> Compression | None:
        """What a file says about its compression; None for nothing, or no loss.

        May raise `ValueError` and what else a damaged file leads to, see `stated_compression`.
        """
        return None

    def stated_compression(self, image: Image.Image, file: BinaryIO | None) -> Compression | None:
        """`compression`, which does not raise.

        Args:
            image: the picture as Pillow has opened it.
            file: the file, seekable; it is left where it was. None if there is none any more.
        """
        try:
            return self.compression(image, file)
        except (AttributeError, IndexError, KeyError, TypeError, ValueError):
            return None  # whatever is damaged is found, and said, by the decoder

    def is_damaged(self, file: BinaryIO, pixels: int) -> bool:
        """Whether a file that Pillow has decoded is damaged all the same.

        Args:
            file: the file, seekable; its position is kept.
            pixels: width times height of the picture.
        """
        return False

    def load(self, image: Image.Image) -> None:
        """Decode the pixels of an image."""
        image.load()

    def rows(self, image: Image.Image, file: BinaryIO) -> Rows | None:
        """How to decode a picture by rows; None where its decoder gives it only whole.

        Args:
            image: the picture as Pillow has opened it, not loaded.
            file: its file, seekable; its position does not matter.
        """
        begin = raw_rows(image, file)
        return Rows(begin, lambda: image) if begin else None

    def collect(
        self,
        image: Image.Image,
        orientation: int = 1,
        file: BinaryIO | None = None,
        size: tuple[int, int] | None = None,
    ) -> tuple[Metadata, list[str]]:
        """The metadata of a loaded image, and remarks on what had to be dropped.

        The ICC profile is as stated: whether it fits the pixels is for `to_rgb` to decide.

        Args:
            image: the image, opened.
            orientation: the EXIF orientation of the picture as stored, 1 to 8. The metadata become
                those of the upright picture.
            file: the file of the image, if there is one; its position is kept.
            size: width and height of the picture as stored; None for those of the image.

        Raises:
            PictureError: it states colours that Pillow reads wrongly, or holds far more than is
                reasonable.
        """
        found = Found()
        try:
            self.texts(image, file, found)
        except (struct.error, IndexError):
            found.notes.append("a part of its metadata is damaged and was dropped")
        found.bound()
        if size is None:
            turned = self.turned and orientation >= 5
            size = (image.height, image.width) if turned else (image.width, image.height)
        turn = Turn(orientation, *size)
        exif, stored = upright_exif(lambda: self._stored_exif(image, found), turn, found.notes)
        packet = xmp_of(image) or found.xmp
        stated = self._stated_colour(image, file, stored)
        dpi = self.dpi(image) or usable_dpi(found.dpi)
        metadata = Metadata(
            icc_profile=stated.profile,
            exif=exif,
            xmp=upright_xmp(packet, found.extended_xmp, turn, found.notes),
            dpi=dpi[::-1] if dpi and orientation >= 5 else dpi,
            texts=tuple(found.texts),
            iptc=found.iptc,
            hdr=stated.hdr,
        )
        return metadata, found.notes + list(stated.notes)

    def _stored_exif(self, image: Image.Image, found: Found) -> bytes | None:
        stored = self.exif(image, found.notes)
        if not stored and found.exif and orientation_of(found.exif) != 1:
            found.notes.append(
                f"the orientation in the EXIF data of a {image.format} was not heeded"
            )
        return stored or found.exif

    def _stated_colour(
        self, image: Image.Image, file: BinaryIO | None, exif: bytes | None
    ) -> Stated:
        """What the file of an image says about its colours, in whatever way; EXIF comes last.

        Profiles that Pillow finds are taken as they are. All else becomes a profile that says the
        same; what no profile can say, the transfer functions of HDR, is kept as the code points of
        H.273. What only XMP states does not count: no viewer pays heed to it.
        """
        profile = image.info.get("icc_profile")
        own = profile if isinstance(profile, bytes) and profile else None
        if image.mode in ("CMYK", "LAB"):  # what follows is about RGB
            return Stated(own)
        try:
            stated = self.colour(image, file, own)
        except (struct.error, IndexError):  # cut short: as if it did not say
            stated = Stated(own)
        if stated.profile is None and stated.hdr is None and exif and not stated.explicit:
            try:
                space = from_exif(exif)
                return replace(stated, profile=space.profile() if space else None)
            except ValueError:
                return stated  # what it says makes no sense
        return stated

    def to_picture(
        self,
        image: Image.Image,
        orientation: int,
        bits: int,
        wanted: Wanted,
        file: BinaryIO | None = None,
        rows: Rows | None = None,
        collected: tuple[Metadata, list[str]] | None = None,
    ) -> Picture:
        """An image that Pillow has opened as an upright RGB picture.

        Args:
            image: the image.
            orientation: as stored, 1 to 8; Pillow may have turned the image, see `turned`.
            bits: bits per channel in the file.
            wanted: how it is to be read.
            file: its file, if there is one.
            rows: how to decode it, as `rows` gives it; None to leave it to Pillow.
            collected: its metadata, and remarks on them; None to `collect` them.

        Raises:
            PictureError: it has no pixels, or of a kind that cannot be converted.
            Exception: any, where the file is damaged.
        """
        name = wanted.name
        if rows is not None:
            about, begin = rows.about(), rows.begin
        else:
            self.load(image)
            about, begin = image, lambda: bands_of(image) if wanted.streamed else iter([image])
        check_pixels(name, *image.size, image.width * image.height)
        metadata, notes = collected or self.collect(about, orientation, file, image.size)
        profile = metadata.icc_profile

        def converted() -> Iterator[Converted]:
            for band in begin():
                if isinstance(band, Samples):
                    yield samples_to_rgb(
                        band, profile, name, keep_alpha=True, keep_grey=wanted.grey
                    )
                else:
                    yield to_rgb(band, profile, bits, name, keep_alpha=True, keep_grey=wanted.grey)

        turn = 1 if self.turned else orientation
        decoded = put_together(converted, image.size, turn, wanted, loaded=rows is None)
        # Of what Pillow has made already, nobody knows what it was.
        return decoded.picture(metadata, notes, image.format or "", bits if file else 8)

    def create(self, file: BinaryIO, request: OutputRequest) -> Encoder:
        """Begin to write a picture to a file; see `encoding.create_picture`.

        Here the picture is kept whole, in any order, and encoded at the end.

        Args:
            file: where to write.
            request: what the format can hold: its size, one of its `depths`, greyscale and alpha
                only where there are such, and metadata as `fitting.fit` gives them.
        """
        return WholeEncoder(file, request, self.encode)

    def encode(self, pixels: Pixels, file: BinaryIO, request: OutputRequest) -> tuple[str, ...]:
        """Write a whole picture; it and its alpha are of the type that the request says.

        Returns:
            Remarks on what could not be kept, one line each.
        """
        self.save(pixels, Sink(file), request)
        return ()

    def sequence(self, file: BinaryIO, frames: int, plays: int) -> SequenceEncoder:
        """Begin to write several pictures to a file; only where the format `holds` them.

        Args:
            file: where to write.
            frames: how many will come.
            plays: see `PictureInfo.plays`.
        """
        raise NotImplementedError

    def save(self, pixels: Pixels, file: Any, request: OutputRequest) -> None:
        """Let Pillow write a picture, with the options of `pillow_options`.

        Args:
            pixels: shape and type as the request says; of greyscale without the third axis, too.
            file: where to write.
            request: what is asked of it.
        """
        metadata, settings = request.metadata, self.pillow_options(request)
        # Everything is passed, even if empty: what is not, Pillow may take from elsewhere.
        if metadata.icc_profile:
            settings["icc_profile"] = metadata.icc_profile
        if metadata.exif:
            settings["exif"] = b"Exif\0\0" + metadata.exif
        if metadata.dpi:
            settings["dpi"] = metadata.dpi
        image = Image.fromarray(pixels[..., 0] if request.grey and pixels.ndim == 3 else pixels)
        if request.alpha is not None:
            image.putalpha(Image.fromarray(request.alpha[:]))
        image.save(file, self.name, **settings)

    def pillow_options(self, request: OutputRequest) -> dict[str, Any]:
        """Pillow's options for the format, with the XMP data, which each takes in its own way."""
        return {}

"""What can be written: the formats, and what each can hold."""

from edsr_cli.images.picture import ALL_KINDS, OutputFormat, Places

JPEG_MARKER_BYTES = 65533
"""Most bytes that a marker of a JPEG can hold."""

JPEG_XMP_BYTES = JPEG_MARKER_BYTES - 29
"""Most bytes of an XMP packet in one marker, behind its name."""

PNG = OutputFormat(
    "PNG",
    (".png",),
    max_side=2**29 - 2,  # the widest image that Pillow can hold
    encoder_bytes=0,  # a strip for each thread, whatever the size
    depths=(8, 16),
    grey=True,
    takes=frozenset(("compression",)),
    holds="animation",
    places=Places(texts="all", iptc="text", hdr="beside"),
)

JPEG = OutputFormat(
    "JPEG",
    (".jpg", ".jpeg"),
    max_side=65_500,  # libjpeg stops there, below the 65535 of the format
    encoder_bytes=0,  # a strip for each thread, whatever the size
    alpha=False,
    grey=True,
    takes=frozenset(("quality", "chroma")),
    lossy="all that programs read of it is",
    places=Places(
        texts="comments",
        iptc="own",
        icc_bytes=255 * (JPEG_MARKER_BYTES - 14),  # in at most 255 markers
        exif_bytes=JPEG_MARKER_BYTES - 6,
        iptc_bytes=JPEG_MARKER_BYTES - 14 - 44,  # less what is around it
        xmp_bytes=JPEG_XMP_BYTES,
    ),
)

WEBP = OutputFormat(
    "WebP",
    (".webp",),
    max_side=16_383,
    keeps=ALL_KINDS - {"resolution"},
    encoder_bytes=35,
    takes=frozenset(("quality",)),
    holds="animation",
)

# Offsets grow to 64 bits (BigTIFF) where a file passes 4 GiB, so only the sizes have a limit.
TIFF = OutputFormat(
    "TIFF",
    (".tif", ".tiff"),
    max_side=2**32 - 1,
    encoder_bytes=0,  # a strip for each thread, whatever the size
    depths=(8, 16),
    grey=True,
    takes=frozenset(("tiff",)),
    holds="pages",
    places=Places(iptc="own"),
)

# libavif writes up to 65536 a side, but its decoder, which Pillow and browsers use, refuses more
# than 32768 a side and more than 16384 x 16384 in all.
AVIF = OutputFormat(
    "AVIF",
    (".avif",),
    max_side=32_768,
    max_pixels=2**28,
    keeps=ALL_KINDS - {"resolution"},
    encoder_bytes=42,
    grey=True,
    takes=frozenset(("quality", "chroma")),
    # Up to 3 levels. The matrix of identity, which would round nothing, it does not ask for;
    # imagecodecs does, which takes no metadata, and libvips 8.18, which writes no ICC profile,
    # greyscale as RGB, and EXIF data of its own making. The libheif of pillow-heif has no AV1.
    lossy="Pillow writes YCbCr, which rounds colours even at quality 100",
    places=Places(hdr="alone"),  # a profile would override what is exact
)

BMP = OutputFormat(
    "BMP",
    (".bmp",),
    max_side=2**29 - 2,  # the widest image that Pillow can hold
    max_bytes=2**32 - 1 - 54,  # the header, of 54 bytes, counts the file's bytes in 32 bits
    keeps=frozenset(("resolution",)),
    encoder_bytes=0,
    alpha=False,
    grey=True,
)

GIF = OutputFormat(
    "GIF",
    (".gif",),
    max_side=2**16 - 1,
    keeps=frozenset(("ICC profile", "XMP data", "texts")),
    encoder_bytes=8,
    grey=True,
    lossy="it has 256 colours",
    holds="animation",
    places=Places(texts="comments"),
)

JXL = OutputFormat(
    "JXL",
    (".jxl",),
    max_side=2**30 - 1,
    keeps=ALL_KINDS - {"resolution"},
    encoder_bytes=50,  # of pictures up to some 4 megapixels; of larger ones half of it
    depths=(8, 16),
    grey=True,
    grey_alpha=False,  # OpenImageIO takes a second channel for another colour
    takes=frozenset(("quality",)),
    places=Places(hdr="alone"),  # a profile would override what is exact
)

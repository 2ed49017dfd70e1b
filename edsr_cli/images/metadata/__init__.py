"""What a file says beside its pixels: EXIF, XMP, IPTC, texts; the same for all formats."""

"""XMP that is more than one marker of a JPEG holds."""

from edsr_cli.images.metadata import xmp, xmp_extension
from tests.images import rich

MAIN = rich.RICH_XMP


def test_extensions_are_joined_and_split_again() -> None:
    long = "".join(f"<dc:p{n}>{'x' * 1000} &amp; {n}</dc:p{n}>" for n in range(100))
    packet = rich.xmp(long, 'xmp:Rating="2"')
    made = xmp_extension.split(packet, 60_000)
    assert made is not None
    main, extension = made
    assert len(main) <= 60_000 and len(extension) > 40_000
    xmp.parse(extension)
    name = xmp_extension.digest(extension)
    assert name.encode() in main
    whole, complete = xmp_extension.joined(main, {name: extension})
    assert complete and b"HasExtendedXMP" not in whole
    texts = {node.path: node.text for node in xmp.parse(packet).nodes if node.text.strip()}
    again = {node.path: node.text for node in xmp.parse(whole).nodes if node.text.strip()}
    assert texts == again


def test_a_missing_or_foreign_extension_is_told() -> None:
    packet = rich.xmp(f"<dc:source>{'x' * 5000}</dc:source>")
    main, extension = xmp_extension.split(packet, 3000) or (b"", b"")
    name = xmp_extension.digest(extension)
    for found in ({}, {"0" * 32: extension}, {name: b"<broken"}):
        left, complete = xmp_extension.joined(main, found)
        assert not complete and b"HasExtendedXMP" not in left
    assert xmp_extension.joined(MAIN, {name: extension}) == (MAIN, False)
    named = xmp.description([xmp.Property((xmp.XMP_NOTE, "HasExtendedXMP"), (name,))])
    once, _ = xmp_extension.joined(xmp.packet(named), {name: extension})
    again, complete = xmp_extension.joined(xmp.packet(named, named, named), {name: extension})
    assert complete and again.count(b"HasExtendedXMP") == 0
    few, more = (len(xmp_extension.descriptions_of(each)) for each in (once, again))
    assert more == few + 2  # empty ones
    assert xmp_extension.joined(MAIN, {}) == (MAIN, True)


def test_a_packet_that_cannot_be_made_small_is_not_split() -> None:
    assert xmp_extension.split(rich.xmp("", f'xmp:Label="{"x" * 5000}"'), 3000) is None
    padded = MAIN.replace(b"<?xpacket end", b" " * 5000 + b"<?xpacket end")
    assert xmp_extension.split(padded, len(MAIN) + 10) == (MAIN, b"")

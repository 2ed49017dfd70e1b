import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edsr_cli.images.metadata import xmp, xmp_extension
from tests.images import rich

MAIN = rich.RICH_XMP


def test_nodes_have_paths_and_texts() -> None:
    packet = xmp.parse(MAIN)
    assert packet.texts((xmp.DC, "creator")) == ["Xmp-Creator"]
    assert packet.texts((xmp.XMP_BASIC, "Rating")) == ["4"]
    assert packet.texts((xmp.EXIF, "SubjectArea")) == ["7", "8"]
    regions = "http://www.metadataworkinggroup.com/schemas/regions/"
    size = "http://ns.adobe.com/xap/1.0/sType/Dimensions#"
    path = ((regions, "Regions"), (regions, "AppliedToDimensions"), (size, "w"))
    assert packet.texts(*path) == ["200"]


def test_what_is_not_changed_keeps_its_bytes() -> None:
    packet = xmp.parse(MAIN)
    assert packet.result() == MAIN
    for node in packet.nodes:  # every span is that of its attribute or element
        span = MAIN[node.start : node.end]
        assert (
            span.startswith(b"<") and span.endswith(b">")
            if node.is_element
            else (span.startswith(b" ") and span[-1:] in b"\"'")
        )
        if node.inner and not node.is_element:
            assert MAIN[slice(*node.inner)].decode() == node.text
    [rating] = packet.find((xmp.XMP_BASIC, "Rating"))
    packet.set(rating, "a\"<&'b")
    changed = packet.result()
    assert xmp.parse(changed).texts((xmp.XMP_BASIC, "Rating")) == ["a\"<&'b"]
    assert len(changed) > len(MAIN)


def test_what_is_dropped_takes_along_what_is_in_it() -> None:
    packet = xmp.parse(MAIN)
    [creator] = [n for n in packet.find((xmp.DC, "creator")) if n.name == (xmp.DC, "creator")]
    inner = packet.find((xmp.DC, "creator"))[-1]
    packet.set(inner, "changed")
    packet.drop(creator)
    assert b"creator" not in packet.result() and b"changed" not in packet.result()
    xmp.parse(packet.result())


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_every_encoding_becomes_utf_8(encoding: str, mark: str) -> None:
    text = mark + MAIN.decode() + "\0\0"
    assert xmp.to_utf8(text.encode(encoding)) == MAIN


@pytest.mark.parametrize("data", [b"\xff\xfe<\0\0\xd8", b"\xfa\xfb", b"<\xff>"])
def test_what_is_no_text_is_reported(data: bytes) -> None:
    with pytest.raises(ValueError):
        xmp.parse(xmp.to_utf8(data))


def bomb() -> bytes:
    entities = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
    return f'<!DOCTYPE x [<!ENTITY l0 "lol">{entities}]><x>&l9;</x>'.encode()


@pytest.mark.parametrize(
    "data",
    [
        b"", b"junk", b"<a>", b"<a></b>", bomb(),
        b'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><x>&e;</x>',
        b"<a>" * 100_000, b"<a>" + b"<b/>" * 100_000 + b"</a>",
        b"<a" + b"".join(b" a%d= ''" % n for n in range(60_000)) + b"/>",
        b"<a" + b"".join(b" xmlns:a%d='u'" % n for n in range(400)) + b"/>",
        b"<a>" + b"x" * 2**24 + b"</a>",
    ],
    ids=range(11),
)  # fmt: skip
def test_hostile_packets_are_refused_at_once(data: bytes) -> None:
    begin = time.process_time()
    with pytest.raises(ValueError):
        xmp.parse(data)
    assert time.process_time() - begin < 10


@given(st.data())
def test_no_damage_does_more_than_raise_value_error(data: st.DataObject) -> None:
    changed = bytearray(MAIN)
    for _ in range(data.draw(st.integers(1, 4))):
        changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
    broken = bytes(changed[: data.draw(st.integers(0, len(changed)))])
    for work in (
        lambda: xmp.parse(xmp.to_utf8(broken)).result(),
        lambda: xmp_extension.joined(broken, {}),
        lambda: xmp_extension.descriptions_of(broken),
        lambda: xmp.with_descriptions(broken, b"<x/>"),
        lambda: xmp_extension.split(broken, 300),
    ):
        try:
            work()
        except ValueError:
            continue


def test_texts_may_hold_any_number_of_signs() -> None:
    assert xmp.parse(b"<a>" + b"=" * 300_000 + b"</a>").nodes[0].text == "=" * 300_000


@pytest.mark.parametrize(
    "data",
    [None, MAIN, b'<x:xmpmeta xmlns:x="adobe:ns:meta/"/>'.replace(b"/>", b"></x:xmpmeta>"),
     f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><r:RDF xmlns:r="{xmp.RDF}"/></x:xmpmeta>'.encode()],
)  # fmt: skip
def test_properties_are_added(data: bytes | None) -> None:
    new = [
        xmp.Property((xmp.DC, "title"), ("A <title> & more",), "Alt"),
        xmp.Property((xmp.DC, "subject"), ("one", "two"), "Bag"),
        xmp.Property((xmp.PHOTOSHOP, "City"), ("Ä",)),
    ]
    result = xmp.with_descriptions(data, xmp.description(new).encode())
    assert result is not None
    packet = xmp.parse(result)
    assert packet.texts((xmp.DC, "title")) == ["A <title> & more"]
    assert packet.texts((xmp.DC, "subject")) == ["one", "two"]
    assert packet.texts((xmp.PHOTOSHOP, "City")) == ["Ä"]


def test_a_packet_with_no_place_for_properties() -> None:
    assert xmp.with_descriptions(b"<x/>", b"<y/>") is None


def test_control_characters_are_left_out() -> None:
    assert xmp.without_controls("a\0b\x1bc\td\ud800e\U0001f600") == "abc\tde\U0001f600"

"""XMP packets read, and edited where they lie.

An XMP packet is RDF in XML. Programs look for its properties by name, some by plain text search, so
everything that is not changed keeps its bytes. Packets are parsed by expat without document types,
which XMP never has: nothing is expanded and nothing is fetched.
"""

import re
from collections.abc import Iterable
from html import escape  # that of xml.sax imports urllib, for other things
from xml.parsers import expat

from msgspec import Struct, field

RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
TIFF, EXIF = "http://ns.adobe.com/tiff/1.0/", "http://ns.adobe.com/exif/1.0/"
XMP_BASIC, XMP_NOTE = "http://ns.adobe.com/xap/1.0/", "http://ns.adobe.com/xmp/note/"
XMP_MM = "http://ns.adobe.com/xap/1.0/mm/"
DC = "http://purl.org/dc/elements/1.1/"
PHOTOSHOP = "http://ns.adobe.com/photoshop/1.0/"
CAMERA_RAW = "http://ns.adobe.com/camera-raw-settings/1.0/"
IPTC_CORE = "http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/"
OWN = "urn:edsr:1.0/"

# Prefixes that a few writers use without saying what they stand for.
_USUAL = {
    "rdf": RDF, "tiff": TIFF, "exif": EXIF, "xmp": XMP_BASIC, "xmpNote": XMP_NOTE,
    "xmpMM": XMP_MM, "dc": DC, "photoshop": PHOTOSHOP, "crs": CAMERA_RAW, "x": "adobe:ns:meta/",
    "Iptc4xmpCore": IPTC_CORE, "edsr": OWN,
}  # fmt: skip
_PREFIXES = {uri: prefix for prefix, uri in _USUAL.items()}
_ATTRIBUTE = re.compile(rb"""\s+([^\s=/>"']+)\s*=\s*("[^"]*"|'[^']*')""")
_NOT_XML = "[^\\t\\n\\r\\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]"
_WHITESPACE = str.maketrans({"\n": "&#10;", "\r": "&#13;", "\t": "&#9;"})
# Beyond these, a packet is made to exhaust something.
_MAX_BYTES, _MAX_DEPTH, _MAX_NODES, _MAX_NAMESPACES = 2**24, 64, 50_000, 300

Name = tuple[str, str]
"""Namespace and local name."""


class Node(Struct):
    """An attribute or an element of a packet.

    Attributes:
        name: its namespace and name.
        path: names of the elements around it and its own, from the property down, without those of
            RDF itself.
        parent: number of the element around it.
        start, end: where it lies, in bytes; for an attribute with the space in front.
        inner: where its text lies; None for an element with elements in it.
        text: that text.
        is_element: whether it is one.
        prefixes: those that it declares.
    """

    name: Name
    path: tuple[Name, ...]
    parent: int
    start: int
    end: int = 0
    inner: tuple[int, int] | None = None
    text: str = ""
    is_element: bool = True
    prefixes: frozenset[str] = frozenset()


class Packet(Struct):
    """A parsed packet, and what is to be changed in it.

    Attributes:
        data: the packet, UTF-8.
        nodes: its attributes and elements, in the order of their beginnings.
        namespaces: prefixes that are declared anywhere in it, and what they stand for.
        ambiguous: whether a prefix stands for different things in different places.
    """

    data: bytes
    nodes: list[Node] = field(default_factory=list)
    namespaces: dict[str, str] = field(default_factory=dict)
    ambiguous: bool = False
    edits: list[tuple[int, int, bytes]] = field(default_factory=list)

    def find(self, *path: Name) -> list[Node]:
        """The nodes at a path of names, from the property down."""
        return [node for node in self.nodes if node.path == path]

    def texts(self, *path: Name) -> list[str]:
        """The texts at a path, also those in lists."""
        return [node.text for node in self.find(*path) if node.inner and node.text.strip()]

    def set(self, node: Node, text: str) -> None:
        """Replace the text of a node that has one."""
        if node.inner and node.text != text:
            self.edits.append((*node.inner, escape(text).encode()))

    def drop(self, node: Node) -> None:
        """Remove an attribute or an element with all that is in it."""
        self.edits.append((node.start, node.end, b""))

    def insert(self, place: int, data: bytes) -> None:
        """Put bytes in at an offset of the packet as it was parsed."""
        self.edits.append((place, place, data))

    def result(self) -> bytes:
        """The packet with the changes."""
        parts, end = [], 0
        for start, stop, data in sorted(self.edits, key=lambda edit: (edit[0], -edit[1])):
            if start >= end:  # what lies in something that is removed is gone with it
                parts += [self.data[end:start], data]
                end = stop
        return b"".join(parts) + self.data[end:]


def without_controls(text: str) -> str:
    """A text without what XML cannot hold: most control characters, and halves of characters."""
    return re.sub(_NOT_XML, "", text)


def to_utf8(data: bytes) -> bytes:
    """A packet in UTF-8, whichever Unicode encoding it is in, without zeros around it.

    Raises:
        ValueError: it is text in none.
    """
    for mark, encoding in ((b"\xff\xfe\0\0", "utf-32-le"), (b"\0\0\xfe\xff", "utf-32-be"),
                           (b"<\0\0\0", "utf-32-le"), (b"\0\0\0<", "utf-32-be"),
                           (b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"),
                           (b"<\0", "utf-16-le"), (b"\0<", "utf-16-be")):  # fmt: skip
        if data.startswith(mark):
            width = 4 if "32" in encoding else 2
            text = data[: len(data) // width * width].decode(encoding)
            data = text.encode()
            break
    data = data.removeprefix(b"\xef\xbb\xbf").strip(b"\0 \t\r\n").removeprefix(b"\xef\xbb\xbf")
    data.decode()
    return data


def parse(data: bytes) -> Packet:
    """Parse a packet in UTF-8.

    Raises:
        ValueError: it is no XML, has a document type, or is out of all proportion.
    """
    # What has more signs than its nodes may have is not even given to the parser.
    signs = max(data.count(b"<"), data.count(b'="') + data.count(b"='"))
    if len(data) > _MAX_BYTES or signs > 4 * _MAX_NODES:
        raise ValueError("out of proportion")
    reader = _Reader(data)
    try:
        reader.run()
    except (expat.ExpatError, UnicodeError, IndexError) as error:
        raise ValueError("not XML") from error
    return Packet(data, reader.nodes, reader.namespaces, reader.ambiguous)


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.nodes: list[Node] = []
        self.namespaces: dict[str, str] = {}
        self.ambiguous = False
        self._scopes: list[dict[str, str]] = [{}]
        self._open: list[int] = []
        self._texts: list[list[str]] = []
        # An XML declaration may still name the encoding that the packet had before.
        self._parser = expat.ParserCreate("utf-8")
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._text
        self._parser.StartDoctypeDeclHandler = self._refuse
        self._parser.buffer_text = False

    def run(self) -> None:
        self._parser.Parse(self.data, True)

    def _refuse(self, *_: object) -> None:
        raise ValueError("it has a document type")

    def _name(self, name: str) -> Name:
        prefix, colon, local = name.partition(":")
        if not colon:
            return self._scopes[-1].get("", ""), name
        return self._scopes[-1].get(prefix, _USUAL.get(prefix, prefix)), local

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        if len(self._open) >= _MAX_DEPTH:
            raise ValueError("nested too deeply")
        start = self._parser.CurrentByteIndex
        declared = self._declare(attributes)
        above = self.nodes[self._open[-1]].path if self._open else ()
        full = self._name(name)
        path = above if full[0] in (RDF, "adobe:ns:meta/") else (*above, full)
        number = len(self.nodes)
        parent = self._open[-1] if self._open else -1
        if parent >= 0:
            self.nodes[parent].inner = None
        self._open.append(number)
        self._texts.append([])
        node = Node(full, path, parent, start, prefixes=declared)
        self.nodes.append(node)
        place = self._take_attributes(number, attributes, start + 1 + len(name.encode()))
        close = self.data.index(b">", place)
        if self.data[close - 1 : close] == b"/":
            node.end = close + 1
        else:
            node.inner = (close + 1, close + 1)

    def _declare(self, attributes: dict[str, str]) -> frozenset[str]:
        """Open a scope with the prefixes that an element declares, and say which."""
        declared = {
            key.partition(":")[2]: value
            for key, value in attributes.items()
            if key == "xmlns" or key.startswith("xmlns:")
        }
        if len(declared) > _MAX_NAMESPACES:
            raise ValueError("out of proportion")
        self._scopes.append(self._scopes[-1] | declared if declared else self._scopes[-1])
        if any(self.namespaces.get(key, uri) != uri for key, uri in declared.items()):
            self.ambiguous = True
        self.namespaces |= declared
        if len(self.namespaces) > _MAX_NAMESPACES or len(self.nodes) > _MAX_NODES:
            raise ValueError("out of proportion")
        return frozenset(declared)

    def _take_attributes(self, number: int, attributes: dict[str, str], place: int) -> int:
        """Take the attributes of an element, from an offset on; where they end."""
        path = self.nodes[number].path
        while match := _ATTRIBUTE.match(self.data, place):
            if len(self.nodes) > _MAX_NODES:
                raise ValueError("out of proportion")
            key = match[1].decode()
            place = match.end()
            if key.split(":")[0] in ("xmlns", "xml"):
                continue
            own = self._name(key) if ":" in key else ("", key)
            if own[0] == RDF:
                continue
            inner = (match.start(2) + 1, match.end(2) - 1)
            node = Node(own, (*path, own), number, match.start(), match.end(), inner)
            node.text, node.is_element = attributes[key], False
            self.nodes.append(node)
        return place

    def _text(self, text: str) -> None:
        if self._texts:
            self._texts[-1].append(text)

    def _end(self, _: str) -> None:
        node, texts = self.nodes[self._open.pop()], self._texts.pop()
        self._scopes.pop()
        if node.end:
            return  # <an:empty-element/>
        place = self._parser.CurrentByteIndex
        node.end = self.data.index(b">", place) + 1
        if node.inner is not None:
            node.inner, node.text = (node.inner[0], place), "".join(texts)


class Property(Struct, frozen=True):
    """A property to add: a text, or a list of them.

    Attributes:
        name: namespace and name.
        values: the texts.
        kind: "text", or the list they are in: "Bag", "Seq", or "Alt" of one language.
    """

    name: Name
    values: tuple[str, ...]
    kind: str = "text"

    def xml(self) -> str:
        """The element, with prefixes that `description` declares."""
        tag = f"{_PREFIXES[self.name[0]]}:{self.name[1]}"
        if self.kind == "text":
            return f"<{tag}>{escape(self.values[0], quote=False)}</{tag}>"
        language = ' xml:lang="x-default"' if self.kind == "Alt" else ""
        items = "".join(
            f"<rdf:li{language}>{escape(text, quote=False)}</rdf:li>" for text in self.values
        )
        return f"<{tag}><rdf:{self.kind}>{items}</rdf:{self.kind}></{tag}>"


def description(properties: Iterable[Property], about: str = "") -> str:
    """An rdf:Description with properties, which declares all its prefixes."""
    properties = list(properties)
    used = dict.fromkeys((RDF, *(item.name[0] for item in properties)))
    declared = "".join(f' xmlns:{_PREFIXES[uri]}="{uri}"' for uri in used)
    inner = "".join(item.xml() for item in properties)
    return f"<rdf:Description rdf:about={attribute(about)}{declared}>{inner}</rdf:Description>"


def packet(*descriptions: str) -> bytes:
    """A packet of descriptions."""
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
        f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="{RDF}">{"".join(descriptions)}'
        '</rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
    ).encode()


def with_descriptions(data: bytes | None, *descriptions: bytes) -> bytes | None:
    """A packet with further descriptions; None where it has no place for them.

    Raises:
        ValueError: it cannot be parsed.
    """
    if not data:
        return packet(*(text.decode() for text in descriptions))
    parsed = parse(data)
    new = b"".join(descriptions)
    for node in reversed(parsed.nodes):
        if node.name == (RDF, "RDF") and node.is_element:
            tag = data[node.start + 1 : node.end].split(b">")[0].split()[0].rstrip(b"/")
            if data[node.end - 2 : node.end] == b"/>":
                parsed.edits.append((node.end - 2, node.end, b">" + new + b"</" + tag + b">"))
            else:
                parsed.insert(data.rindex(b"</", node.start, node.end), new)
            return parsed.result()
    for node in parsed.nodes:
        if node.name == ("adobe:ns:meta/", "xmpmeta") and data[node.end - 2 : node.end] != b"/>":
            rdf = f'<rdf:RDF xmlns:rdf="{RDF}">'.encode() + new + b"</rdf:RDF>"
            parsed.insert(data.rindex(b"</", node.start, node.end), rdf)
            return parsed.result()
    return None


def about(data: bytes | None) -> str:
    """What a packet is about: all its descriptions must say the same."""
    found = re.search(rb"""rdf:about\s*=\s*["']([^"'<&]*)["']""", data or b"")
    return found[1].decode("utf-8", "replace") if found else ""


def descriptions(parsed: Packet) -> list[Node]:
    """The outermost descriptions, whose attributes and elements are the properties."""
    return [
        node for node in parsed.nodes
        if node.name == (RDF, "Description") and node.is_element
        and node.parent >= 0 and parsed.nodes[node.parent].name == (RDF, "RDF")
    ]  # fmt: skip


def declarations(namespaces: dict[str, str]) -> str:
    """Attributes that say what prefixes stand for."""
    return "".join(
        f" xmlns{':' if prefix else ''}{prefix}={attribute(uri)}"
        for prefix, uri in namespaces.items()
    )


def attribute(text: str) -> str:
    """A value of an attribute, in quotes."""
    return f'"{escape(text).translate(_WHITESPACE)}"'

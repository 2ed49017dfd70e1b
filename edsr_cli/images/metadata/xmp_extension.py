"""Extended XMP: what is more than a packet may have in a JPEG (XMP specification, part 3, 1.1.3.1).

A packet names an extension by its digest; there its largest properties are.
"""

import hashlib

from edsr_cli.images.metadata.xmp import (
    RDF,
    XMP_NOTE,
    Property,
    about,
    attribute,
    declarations,
    description,
    descriptions,
    parse,
    to_utf8,
    with_descriptions,
)

_NAME_BYTES = 300  # more than a property takes that names an extension
_MAX_DESCRIPTIONS = 1000  # that all prefixes are put into


def descriptions_of(data: bytes) -> list[bytes]:
    """The descriptions of a packet, each with all the prefixes it needs.

    Raises:
        ValueError: it cannot be parsed, or its prefixes are ambiguous.
    """
    parsed = parse(data)
    tops = descriptions(parsed)
    if parsed.ambiguous or len(tops) > _MAX_DESCRIPTIONS:
        raise ValueError("ambiguous prefixes, or far too many descriptions")
    found = []
    for node in tops:
        text = data[node.start : node.end]
        name = len(text[1:].split(b">")[0].split()[0].rstrip(b"/")) + 1
        missing = {
            prefix: uri for prefix, uri in parsed.namespaces.items() if prefix not in node.prefixes
        }
        found.append(text[:name] + declarations(missing).encode() + text[name:])
    return found


def joined(main: bytes, extensions: dict[str, bytes]) -> tuple[bytes, bool]:
    """A packet with the extension that it names put in.

    Args:
        main: the packet, UTF-8.
        extensions: packets by their names, 32 hexadecimal digits in capitals.

    Returns:
        The packet, and whether all that it names and all that there is has been put in.

    Raises:
        ValueError: the packet cannot be parsed.
    """
    parsed = parse(main)
    nodes = [node for node in parsed.nodes if node.name == (XMP_NOTE, "HasExtendedXMP")]
    for node in nodes:
        parsed.drop(node)
    # Each once: one that is named over and over would make a small file the work of hours.
    names = dict.fromkeys(node.text.strip().upper() for node in nodes)
    main, complete = parsed.result(), names.keys() == extensions.keys()
    for name in names:
        data = extensions.get(name)
        try:
            result = data and with_descriptions(main, *descriptions_of(to_utf8(data)))
        except ValueError:
            result = None
        complete = complete and bool(result)
        main = result or main
    return main, complete


def split(data: bytes, limit: int) -> tuple[bytes, bytes] | None:
    """A packet as one of at most so many bytes, and an extension that holds its largest properties.

    Returns:
        Both, the second without anything around it (XMP specification, part 3, 1.1.3.1); None where
        that cannot be done.
    """
    try:
        parsed = parse(_without_padding(data))
    except ValueError:
        return None
    if len(parsed.data) <= limit:
        return parsed.data, b""
    tops = {id(node) for node in descriptions(parsed)}
    movable = [
        node for node in parsed.nodes
        if node.is_element and node.parent >= 0 and id(parsed.nodes[node.parent]) in tops
    ]  # fmt: skip
    moved, size = [], len(parsed.data) + _NAME_BYTES + len(about(data))
    for node in sorted(movable, key=lambda node: node.start - node.end):
        if size > limit:
            moved.append(node)
            size -= node.end - node.start
            parsed.drop(node)
    if size > limit or parsed.ambiguous:
        return None
    inner = b"".join(parsed.data[node.start : node.end] for node in moved)
    declared = declarations({"rdf": RDF} | parsed.namespaces)
    extension = (
        f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="{RDF}"><rdf:Description '
        f"rdf:about={attribute(about(data))}{declared}>"
    ).encode() + inner + b"</rdf:Description></rdf:RDF></x:xmpmeta>"  # fmt: skip
    name = Property((XMP_NOTE, "HasExtendedXMP"), (digest(extension),))
    main = with_descriptions(parsed.result(), description([name], about(data)).encode())
    return (main, extension) if main and len(main) <= limit else None


def _without_padding(data: bytes) -> bytes:
    """A packet without the spaces that writers leave at its end for changes in place."""
    end = data.rfind(b"<?xpacket end")
    return data if end < 0 else data[:end].rstrip() + data[end:]


def digest(extension: bytes) -> str:
    """The name of an extension: its MD5, in capitals."""
    return hashlib.md5(extension, usedforsecurity=False).hexdigest().upper()

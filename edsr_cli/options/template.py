"""Names of outputs as people write them down, with fields in braces."""

from string import Formatter

FIELDS = ("stem", "scale", "width", "height", "model", "ext")


def read_template(text: str) -> str:
    """A name with fields, such as "{stem}_{width}x{height}{ext}".

    Raises:
        ValueError: a field is unknown, the name would lead to another folder, or it does not end
            in {ext}; the message names it.
    """
    known = ", ".join("{" + name + "}" for name in FIELDS)
    try:
        parts = list(Formatter().parse(text))
    except ValueError:
        raise ValueError(
            f"{text!r} has a brace without its other; the fields are {known}."
        ) from None
    for _, field, form, conversion in parts:
        if field is not None and (field not in FIELDS or form or conversion):
            raise ValueError(f"{text!r} has another field than {known}.")
    literal = "".join(part for part, *_ in parts)
    if "/" in literal or "\\" in literal:
        raise ValueError(f"{text!r} leads to another folder; choose that with -o.")
    if not literal.isprintable():
        raise ValueError(f"{text!r} has characters that cannot be seen.")
    if not text.endswith("{ext}"):
        raise ValueError(f"{text!r} does not end in {{ext}}, which is the ending of the format.")
    if text == "{ext}":
        raise ValueError("there is nothing in front of {ext}.")
    return text


def fields_of(template: str) -> frozenset[str]:
    """The fields that a name has."""
    return frozenset(field for _, field, *_ in Formatter().parse(template) if field)

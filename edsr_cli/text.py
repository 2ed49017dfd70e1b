"""Text for people."""


def one_line(text: str) -> str:
    """One line that any terminal can show, whatever is in a file name.

    Control characters are escaped, and so are surrogates, which stand for bytes that are not UTF-8.
    """
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)

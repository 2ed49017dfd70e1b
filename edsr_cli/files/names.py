"""Names of files in messages."""

from pathlib import Path

from edsr_cli.text import one_line


def display_name(source: Path | bytes, name: str | None = None) -> str:
    """The name of a source for messages, in one line whatever characters a file name has."""
    if name is None:
        name = str(source) if isinstance(source, Path) else "standard input"
    return one_line(name)

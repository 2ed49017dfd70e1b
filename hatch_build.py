"""What the package says of itself on an index: README.md, without links that lead nowhere there."""

import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

_IMAGE = re.compile(r"!\[([^\]]*)\]\((?![a-z]+:)[^)]*\)\n*")
_LINK = re.compile(r"\[([^\]]*)\]\((?![a-z]+:|#)([^)]*)\)")
# A caption says nothing without its picture.
_CAPTION = re.compile(r"^\*Details of two photographs.*?\*\n\n", re.MULTILINE | re.DOTALL)


def for_index(text: str) -> str:
    """The text of README.md where the files beside it are not: they are named, not linked to."""
    text = _CAPTION.sub("", _IMAGE.sub("", text))
    return _LINK.sub(
        lambda link: (
            link[1] if link[1] == link[2] else f"{link[1]} (`{link[2]}` in the source archive)"
        ),
        text,
    )


class ReadmeHook(MetadataHookInterface):
    """Gives hatchling the text."""

    def update(self, metadata: dict[str, Any]) -> None:
        text = Path(self.root, "README.md").read_text(encoding="utf-8")
        metadata["readme"] = {"content-type": "text/markdown", "text": for_index(text)}

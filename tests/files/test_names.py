import sys
from pathlib import Path

import pytest

from edsr_cli.files.names import display_name


@pytest.mark.parametrize(
    ("given", "shown"),
    [("a b.png", "a b.png"), ("größe.png", "größe.png"), ("two\nlines", "two\\nlines"),
     ("\x1b[31mred", "\\x1b[31mred"), ("\udcff.png", "\\udcff.png")],
)  # fmt: skip
def test_names_are_shown_in_one_line(given: str, shown: str) -> None:
    assert display_name(b"", given) == shown
    if sys.platform != "win32":
        assert display_name(Path(given)) == shown

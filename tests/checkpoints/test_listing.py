"""The table of models, and the Markdown files that show it.

After a change of the registry, bring them up to date with:

    python -m tests.checkpoints.test_listing
"""

import json
from pathlib import Path

import pytest

from edsr_cli.checkpoints import registry
from edsr_cli.checkpoints.listing import BEGIN, END, listing, markdown_table

FILES = ("README.md", "weights/README.md")


def with_table(text: str) -> str:
    """A Markdown file's text with the table between its markers brought up to date."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end) or BEGIN in rest or END in after:
        raise ValueError(f"the markers {BEGIN} and {END} must each be there once")
    return before + markdown_table() + after


@pytest.mark.parametrize("name", FILES)
def test_the_markdown_files_follow_from_the_registry(repository, name):
    path = repository / name
    if name == "README.md" and not path.exists():
        pytest.skip("there is no README.md")
    text = path.read_text(encoding="utf-8")
    assert text == with_table(text), "it is out of step; this file's docstring says what to do"


def test_the_table_has_a_line_for_every_model():
    lines = markdown_table().splitlines()
    assert (lines[0], lines[-1]) == (BEGIN, END)
    assert [line.split("`")[1] for line in lines[3:-1]] == list(registry.names())
    cells = {line.split("`")[1]: line.split(" | ") for line in lines[3:-1]}
    assert cells["edsr-free"][1:4] == ["2, 3, 4", "included", "CC0-1.0"]
    assert cells["edsr"][1:4] == ["2, 3, 4", "163-175 MB", "none stated"]
    assert cells["edsr"][4] == "38.19 / 34.68 / 32.48 (Set5 Y, torchSR README)"
    assert cells["mdsr"][2] == "31.8 MB"
    assert "not comparable" in cells["super-image-edsr"][4]


def test_only_what_is_between_the_markers_is_replaced():
    text = f"before\n{BEGIN}\nold\n{END}\nafter\n"
    assert with_table(text) == f"before\n{markdown_table()}\nafter\n"
    for wrong in ("", BEGIN, f"{END} {BEGIN}", text + text):
        with pytest.raises(ValueError, match="markers"):
            with_table(wrong)


def test_json_has_all_that_is_known(tmp_path):
    found = [
        json.loads(json.dumps(each)) for model in listing(tmp_path) for each in model.to_dicts()
    ]
    assert len(found) == len(registry.rows())
    (mdsr,) = (each for each in found if each["name"] == "mdsr")
    assert (mdsr["scales"], mdsr["here"], mdsr["parameters"]) == ([2, 3, 4], None, 7953987)
    assert mdsr["sources"][0]["sha256_prefix"] == "4a78bedf"
    assert mdsr["sources"][0]["unverified"]
    assert {each["here"] for each in found if each["name"] == "edsr-free"} == {"bundled"}


if __name__ == "__main__":
    for name in map(Path, FILES):
        name.write_text(with_table(name.read_text("utf-8")), "utf-8")

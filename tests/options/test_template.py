import pytest
from hypothesis import given
from hypothesis import strategies as st

from edsr_cli.options.folders import BatchOptions
from edsr_cli.options.pictures import Outputs
from edsr_cli.options.template import FIELDS, fields_of, read_template


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{stem}", "does not end in {ext}"),
        ("{stem}.png", "does not end in {ext}"),
        ("{ext}", "nothing in front"),
        ("{stem}{size}{ext}", "another field"),
        ("{stem.__class__}{ext}", "another field"),
        ("{stem[0]}{ext}", "another field"),
        ("{stem!r}{ext}", "another field"),
        ("{stem:>900000000}{ext}", "another field"),
        ("{}{ext}", "another field"),
        ("{0}{ext}", "another field"),
        ("{stem{ext}", "a brace without its other"),
        ("a}{ext}", "a brace without its other"),
        ("../{stem}{ext}", "another folder"),
        ("a\\{stem}{ext}", "another folder"),
        ("{stem}\n{ext}", "cannot be seen"),
        ("{stem}\0{ext}", "cannot be seen"),
    ],
)
def test_what_is_refused(text, words):
    with pytest.raises(ValueError, match=words):
        read_template(text)
    with pytest.raises(ValueError, match="name: "):
        Outputs(name=text)


@given(st.lists(st.sampled_from([*FIELDS[:-1], "-", "_", "{{}}", "é"]), min_size=1))
def test_what_is_taken(parts):
    text = "".join("{" + part + "}" if part in FIELDS else part for part in parts) + "{ext}"
    assert read_template(text) == text
    assert fields_of(text) == {part for part in parts if part in FIELDS} | {"ext"}


def test_options_have_it():
    assert BatchOptions("a", name="{stem}{ext}").part(Outputs).name == "{stem}{ext}"

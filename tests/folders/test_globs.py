import fnmatch
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edsr_cli.errors import UsageError
from edsr_cli.folders.globs import Choice


def takes(pattern, path):
    return Choice(include=[pattern]).takes_file(path)


@pytest.mark.parametrize(
    ("pattern", "path", "wanted"),
    [
        ("*.jpg", "a.jpg", True),
        ("*.jpg", "IMG.JPG", True),
        ("*.JPG", "img.jpg", True),
        ("*.jpg", "deep/er/a.jpg", True),
        ("*.jpg", "a.jpg/b.png", False),
        ("a?.png", "ab.png", True),
        ("a?.png", "a.png", False),
        ("a?.png", "a\n.png", True),
        ("[ab].png", "a.png", True),
        ("[!ab].png", "a.png", False),
        ("[!ab].png", "c.png", True),
        ("[a-c].png", "b.png", True),
        ("[c-a].png", "b.png", False),
        ("[]].png", "].png", True),
        ("[a", "[a", True),
        ("a.b", "a.b", True),
        ("a.b", "axb", False),
        ("x/*.png", "x/a.png", True),
        ("x/*.png", "y/x/a.png", False),
        ("x/*.png", "x/y/a.png", False),
        ("**/x/*.png", "y/x/a.png", True),
        ("**/x/*.png", "x/a.png", True),
        ("x/**", "x/y/z/a.png", True),
        ("x/**/a.png", "x/a.png", True),
        ("x[/]y", "x/y", False),
        ("x/[!a]b", "x/ab", False),
        ("Grüße*", unicodedata.normalize("NFD", "grüße.png"), True),
        ("not \udcff*", "not \udcff UTF-8.png", True),
    ],
)
def test_patterns(pattern, path, wanted):
    assert takes(pattern, path) == wanted


@given(
    st.text("ab*?[]!-.", min_size=1, max_size=7),
    st.text("ab[]!-.", min_size=1, max_size=6),
)
def test_names_are_matched_as_by_the_standard_library(pattern, name):
    assert takes(pattern, name) == fnmatch.fnmatchcase(name, pattern)


def test_folders_are_excluded_with_all_that_is_in_them():
    choice = Choice(exclude=["thumbs", "2023/*"])
    assert not choice.enters_folder("a/thumbs")
    assert not choice.enters_folder("2023/july")
    assert choice.enters_folder("2023")
    assert choice.enters_folder("thumbs2")
    assert not choice.takes_file("b/thumbs")


def test_what_is_included_can_be_excluded_again():
    choice = Choice(["*.jpg", "*.png"], ["a*"])
    assert choice.takes_file("b.jpg") and choice.takes_file("b.png")
    assert not choice.takes_file("a.jpg") and not choice.takes_file("b.tif")
    assert Choice().takes_file("anything")
    # Files are included; folders need not match.
    assert choice.enters_folder("b")


@pytest.mark.parametrize("pattern", ["", "/", "//"])
def test_empty_patterns_are_mistakes(pattern):
    with pytest.raises(UsageError):
        Choice([pattern])
    with pytest.raises(UsageError):
        Choice((), [pattern])

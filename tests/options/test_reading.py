import pytest
from hypothesis import given
from hypothesis import strategies as st

from edsr_cli.options.folders import BatchOptions
from edsr_cli.options.pictures import Outputs
from edsr_cli.options.reading import (
    FIELDS,
    fields_of,
    read_betas,
    read_count,
    read_duration,
    read_size,
    read_template,
    read_tile,
)

DECIMAL = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
BINARY = {"K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}


@given(
    number=st.integers(1, 10**15 - 1),
    unit=st.sampled_from(sorted(DECIMAL)),
    binary=st.booleans(),
    byte=st.booleans(),
    space=st.booleans(),
    lower=st.booleans(),
)
def test_sizes(number, unit, binary, byte, space, lower):
    binary = binary and unit != ""
    text = f"{number}{' ' * space}{unit}{'i' * binary}{'B' * byte}"
    text = text.lower() if lower else text
    assert read_size(text) == number * (BINARY if binary else DECIMAL)[unit]
    if not binary and not byte:
        assert read_count(text) == number * DECIMAL[unit]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("1.5GB", 1_500_000_000),
        ("0.5KiB", 512),
        (" 2 GiB ", 2**31),
        ("1.9", 1),
        ("800m", 8 * 10**8),
    ],
)
def test_sizes_with_fractions(text, wanted):
    assert read_size(text) == wanted


WRONG = [
    "", " ", "M", "0", "0.0001", "-1", "+1", "1e3", "1,5G", "1.G", ".5G", "5X", "1GG", "2 G B",
    "nan", "inf", "9" * 400, "9" * 5000, "1\n2", "٣", "½", "auto",
]  # fmt: skip


@pytest.mark.parametrize("text", [*WRONG, "1iB", "1 iB"])
def test_what_is_no_size(text):
    with pytest.raises(ValueError, match=r"is not a size such as|is too small"):
        read_size(text)


@pytest.mark.parametrize("text", [*WRONG, "1B", "1MiB", "1MB"])
def test_what_is_no_count(text):
    with pytest.raises(ValueError, match="is not a number of pixels"):
        read_count(text)


@given(st.integers(1, 10**15 - 1))
def test_tiles(width):
    assert read_tile(str(width)) == width


@pytest.mark.parametrize("text", [*WRONG, "Auto", "0", "00", "1.5", "64 ", "64px", "none\n"])
def test_what_is_no_tile(text):
    if text == "auto":
        return
    with pytest.raises(ValueError, match="is not auto, none or a number"):
        read_tile(text)


@given(st.text() | st.from_regex(r"[0-9.]+ ?[kKmMgGtT]?i?[bB]?", fullmatch=True))
def test_any_text_is_a_value_or_refused(text):
    for read in (read_size, read_count, read_tile):
        try:
            value = read(text)
        except ValueError as error:
            assert repr(text) in str(error)
        else:
            assert value == text or int(value) >= 1


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("90s", 90), ("25m", 1500), ("1.5h", 5400), ("1h30m", 5400), (" 1h5s ", 3605)],
)
def test_durations(text, seconds):
    assert read_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "0", "0s", "-5m", "m", "5d", "1m1h", "inf", "1e3"])
def test_what_is_not_a_duration(text):
    with pytest.raises(ValueError, match="not a duration"):
        read_duration(text)


def test_betas():
    assert read_betas("0.9, .99") == (0.9, 0.99)


@pytest.mark.parametrize("text", ["", "0.9", "0.9,1", "-0.1,0.9", "0.9,0.99,0.999", "a,b", "nan,0"])
def test_what_is_not_two_betas(text):
    with pytest.raises(ValueError, match="not two numbers"):
        read_betas(text)


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

"""Specifications of degradations: what can be written, and that it comes back as written."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from edsr_cli.degradations.spec import NAMED, PHOTO, Filter, Spec, Strength, parse
from edsr_cli.errors import UsageError

shares = st.integers(1, 100).map(lambda n: n / 100)


@st.composite
def strengths(draw, greatest):
    low, high = sorted(draw(st.tuples(*[st.integers(4, greatest * 4)] * 2)))
    return Strength(low / 4, high / 4, draw(shares))


@st.composite
def specs(draw):
    jpeg = draw(st.none() | strengths(100))
    noise, shot = draw(st.none() | strengths(100)), draw(st.none() | strengths(100))
    filters = draw(st.lists(st.sampled_from(Filter), unique=True))
    spec = Spec(
        blur=draw(st.none() | strengths(4)),
        filters=tuple(filters),
        filter_share=draw(shares) if filters else 1.0,
        noise=noise,
        shot=shot,
        grey=draw(st.just(0.0) | shares) if noise or shot else 0.0,
        jpeg=jpeg,
        full_colour=draw(st.just(0.0) | shares) if jpeg else 0.0,
        again=draw(st.none() | strengths(100)) if jpeg else None,
    )
    return spec if spec.is_clean else replace(spec, clean=draw(st.sampled_from([0.0, 0.2, 0.99])))


@given(specs())
def test_a_specification_reads_as_it_is_written(spec):
    if spec.is_clean:
        assert str(spec) == "clean" and parse("clean").is_clean
    else:
        assert parse(str(spec)) == spec


def test_steps_and_ranges():
    assert parse("jpeg:50") == Spec(jpeg=Strength(50, 50))
    assert parse("noise:0-8@0.4, blur:0.3") == Spec(
        noise=Strength(0, 8, 0.4), blur=Strength(0.3, 0.3)
    )
    assert parse("jpeg:30,444") == Spec(jpeg=Strength(30, 30), full_colour=1.0)
    assert parse("filter:box|lanczos@0.5").filters == (Filter.BOX, Filter.LANCZOS)


def test_names():
    assert parse("photo") is PHOTO is NAMED["photo"]
    assert parse("clean").is_clean and not PHOTO.is_clean
    assert parse(str(PHOTO)) == PHOTO


def test_what_is_made_from_hr():
    assert parse("blur:0.4").needs_hr and parse("filter:box").needs_hr
    assert not parse("jpeg:50,noise:3").needs_hr


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", "''"),
        ("jepg:50", "'jepg:50'"),
        ("jpeg", "'jpeg'"),
        ("jpeg:", "'jpeg:'"),
        ("jpeg:0", "from 1 to 100"),
        ("jpeg:101", "from 1 to 100"),
        ("jpeg:90-50", "backwards"),
        ("jpeg:fine", "'fine' is not a number"),
        ("jpeg:50@2", "from 0 to 1"),
        ("noise:nan", "'nan' is not a number"),
        ("noise:-5", "'-5' is not a number"),
        ("noise:5-", "'5-' is not a number"),
        ("noise:1e1", "'1e1' is not a number"),
        ("jpeg:٥٠", "is not a number"),
        ("444", "does nothing without jpeg"),
        ("grey,jpeg:50", "does nothing without noise"),
        ("clean@0.5", "does nothing without other steps"),
        ("photo,jpeg:50", "photo stands alone"),
        ("noise:3,noise:4", "noise twice"),
        ("filter:nearest", "a filter is one of box"),
        ("filter:", "'filter:'"),
        ("again:50", "does nothing without jpeg"),
        ("clean,,jpeg:3", "''"),
        ("jpeg:50;noise:3", "not a number"),
    ],
)
def test_what_cannot_be_understood_is_named(text, part):
    with pytest.raises(UsageError, match="(?s)" + part.replace("|", r"\|")):
        parse(text)

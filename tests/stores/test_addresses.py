import pytest
from hypothesis import given
from hypothesis import strategies as st

from edsr_cli.errors import UsageError
from edsr_cli.jobs.naming import assign_outputs
from edsr_cli.jobs.staging import Staging
from edsr_cli.stores.addresses import (
    SCHEMES,
    check_address,
    is_address,
    is_web,
    last_part,
    scheme_of,
    shown,
)
from tests.jobs.nearest import by_factor

words = st.text("abcdefghijklmnopqrstuvwxyz0123456789-.", min_size=1, max_size=9)
secrets = st.integers(10**8).map("SECRET{}".format)


@pytest.mark.parametrize(
    ("name", "scheme"),
    [
        ("s3://bucket/a.png", "s3"),
        ("S3://bucket", "s3"),
        ("https://host/a.png", "https"),
        ("ftp://host/a.png", "ftp"),
        ("a.png", None),
        ("C:\\a.png", None),
        ("c://a.png", None),
        ("s3:/bucket", None),
    ],
)
def test_addresses_are_told_from_files(name, scheme):
    assert scheme_of(name) == scheme and is_address(name) is (scheme in SCHEMES)


@given(words, secrets, words, words, secrets, st.sampled_from(["http", "https"]))
def test_on_the_web_neither_passwords_nor_signatures_are_shown(
    user, secret, host, path, sign, http
):
    for address in (
        f"{http}://{user}:{secret}@{host}/{path}.png",
        f"{http}://{secret}@{host}/{path}.png",
        f"{http}://{host}/{path}.png?X-Amz-Signature={sign}&Expires=9",
        f"{http}://{user}:{secret}@{host}/{path}.png?{sign}#{secret}",
        f"{http}://{host}?{sign}",
    ):
        found = shown(address)
        assert secret not in found and sign not in found and host in found
        assert is_web(found) and shown(found) == found


@pytest.mark.parametrize("host", ["[host", "ho]st", "[::1", "[::1]x", "[v]"])
def test_what_is_no_address_is_shown_all_the_same(host):
    """It has to be, to say so."""
    found = shown(f"http://user:SECRET@{host}/a.png?SECRET")
    assert found == f"http://***@{host}/a.png?***"


@pytest.mark.parametrize(
    ("inputs", "output", "words"),
    [
        (["a.png", "b.png"], "s3://bucket/out.png", "to one file, s3://bucket/out.png"),
        (["a.png"], "s3://bucket/x/out.xyz", "s3://bucket/x/out.xyz: no picture format"),
        (["a.png"], "s3://bucket/out", None),
    ],
)
def test_what_is_wrong_with_an_output_is_said_of_its_address(inputs, output, words, tmp_path):
    staging = Staging(tmp_path / "stores")
    files, place, bind = staging.stand_ins(inputs, output)
    if words is None:
        with staging.naming(place, output):
            [task] = assign_outputs(files, place, by_factor(), None, bind)
        assert task.destination_name == "s3://bucket/out/a_x4.png"
        return
    with pytest.raises(UsageError, match=words) as caught, staging.naming(place, output):
        assign_outputs(files, place, by_factor(), None, bind)
    assert "stores" not in str(caught.value)


@given(words, secrets, words, st.sampled_from(["s3", "gs", "az", "abfs"]))
def test_credentials_in_an_address_are_refused_and_not_shown(user, secret, path, scheme):
    address = f"{scheme}://{user}:{secret}@bucket/{path}.png"
    with pytest.raises(UsageError, match="credentials do not belong") as caught:
        check_address(address)
    assert secret not in str(caught.value) and secret not in shown(address)


def test_names_of_objects_are_shown_as_they_are():
    for address in (
        "s3://bucket/a?b#c/ü d.png",
        "abfs://container@account.dfs.core.windows.net/a.png",
        "s3://bucket/me@home/12:30.png",
    ):
        assert shown(address) == address
        check_address(address)
    assert shown("s3://bucket/two\nlines\x1b.png") == r"s3://bucket/two\nlines\x1b.png"


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("s3://bucket/folder/a.png", "a.png"),
        ("s3://bucket/a?b.png", "a?b.png"),
        ("https://host/a%20b.png?signature=x/y.png", "a b.png"),
        ("https://host/%2e%2e", ""),
        ("s3://bucket/folder/", ""),
        ("s3://bucket/..", ""),
        ("s3://bucket", ""),
    ],
)
def test_the_name_of_an_object(address, name):
    assert last_part(address) == name


def test_what_cannot_be_used():
    for address, words in (("s3:///a.png", "no place"), ("s3://", "no place")):
        with pytest.raises(UsageError, match=words):
            check_address(address)
    with pytest.raises(UsageError, match="nothing can be written"):
        check_address("https://host/out", writing=True)

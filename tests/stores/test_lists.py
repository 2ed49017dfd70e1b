from pathlib import Path

import pytest

from edsr_cli.errors import EdsrError, UsageError
from edsr_cli.stores.lists import UrlList, is_list


def written(tmp_path, *lines):
    path = tmp_path / "list.txt"
    path.write_text("\n".join(lines), "utf-8")
    return path


def below(folder):
    return {entry.name: entry.state is not None for entry in folder.entries()}


def test_a_list_is_a_tree(tmp_path: Path):
    found = UrlList.read(
        written(
            tmp_path,
            "# comment",
            "  https://user:password@host:8080/a/b%20c.png?signature=x#y  ",
            "",
            "https://host:8080/a/d.png",
            "s3://bucket/e.png",
        )
    )
    assert below(found) == {"host_8080": False, "bucket": False}
    assert below(found.folder("host_8080")) == {"a": False}
    assert below(found.folder("host_8080/a")) == {"b c.png": True, "d.png": True}
    assert below(found.folder("nothing")) == {}
    signed = "https://user:password@host:8080/a/b%20c.png?signature=x#y"
    assert found.folder("host_8080/a").blob("b c.png").address == signed
    assert found.blob("bucket/e.png").address == "s3://bucket/e.png"
    assert hash(found) == hash(found.folder("")) and found.folder("") == found


def test_a_folder_may_have_the_name_of_a_picture(tmp_path: Path):
    for lines in (["s3://b/a.png", "s3://b/a.png/c.png"], ["s3://b/a.png/c.png", "s3://b/a.png"]):
        found = UrlList.read(written(tmp_path, *lines))
        kinds = [(entry.name, entry.state is not None) for entry in found.folder("b").entries()]
        assert sorted(kinds) == [("a.png", False), ("a.png", True)]
        assert below(found.folder("b/a.png")) == {"c.png": True}


def test_a_list_that_an_editor_of_windows_has_written(tmp_path: Path):
    path = tmp_path / "list.txt"
    path.write_bytes("\ufeffs3://bucket/a.png\r\ns3://bucket/b.png\r\n".encode())
    assert below(UrlList.read(path).folder("bucket")) == {"a.png": True, "b.png": True}


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (["a.png"], "line 1 is not the address"),
        (["# x", "ftp://host/a.png"], "line 2 is not the address"),
        (["https://host/a/../../b.png"], "line 1 is not the address"),
        (["https://host/%2e%2e/b.png"], "line 1 is not the address"),
        (["https://host/a.png?v=1", "https://host/a.png?v=2"], "line 2 names the same picture"),
        (["s3://key:SECRET@bucket/a.png"], "credentials"),
    ],
)
def test_what_is_no_list(lines, words, tmp_path):
    with pytest.raises(UsageError, match=words) as caught:
        UrlList.read(written(tmp_path, *lines))
    assert "SECRET" not in str(caught.value)


def test_a_list_that_cannot_be_read(tmp_path):
    path = tmp_path / "list.txt"
    assert not is_list(str(path))
    path.write_bytes(b"\xff\xfe")
    assert is_list(str(path)) and not is_list(str(tmp_path))
    with pytest.raises(EdsrError, match="not UTF-8"):
        UrlList.read(path)

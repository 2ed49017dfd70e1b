import os
from pathlib import Path

import pytest

from edsr_cli.errors import UsageError
from edsr_cli.folders.roots import assign_folders


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    work = tmp_path / "work"
    for name in ("a", "a/sub", "b", "b/a", "b.d"):
        (work / name).mkdir(parents=True, exist_ok=True)
    (work / "file").touch()
    monkeypatch.chdir(work)
    return work


def assign(*inputs, output=None, recursive=True):
    roots = assign_folders(inputs, output, "x4", recursive)
    return [(root.path.as_posix(), root.folder.as_posix(), root.prefix) for root in roots]


def refused(*inputs, output=None):
    with pytest.raises(UsageError) as caught:
        assign_folders(inputs, output, "x4")
    return str(caught.value)


def test_outputs_go_beside_inputs(folder):
    assert assign("a") == [("a", "a_x4", "")]
    assert assign("a/") == [("a", "a_x4", "")]
    assert assign("a/sub") == [("a/sub", "a/sub_x4", "")]
    assert assign("b.d", "a") == [("b.d", "b.d_x4", ""), ("a", "a_x4", "")]
    assert assign(str(folder / "a")) == [
        ((folder / "a").as_posix(), (folder / "a_x4").as_posix(), "")
    ]


def test_the_current_folder_has_a_name(folder, monkeypatch):
    beside = folder.parent / "work_x4"
    assert assign(".") == [(".", beside.as_posix(), "")]
    monkeypatch.chdir("a")
    assert assign("..") == [("..", beside.as_posix(), "")]
    assert assign(".", output="../new") == [(".", "../new", "")]


def test_several_inputs_get_a_folder_each_in_one_output():
    assert assign("a", "b", output="out") == [("a", "out", "a"), ("b", "out", "b")]
    assert assign("a", output="out") == [("a", "out", "")]


def test_outputs_may_lie_in_inputs():
    assert assign("a", output="a/out") == [("a", "a/out", "")]


def test_overlaps_are_mistakes():
    assert "would share" in refused("a", "b/a", output="out")
    assert "would share" in refused("a", "./a", output="out")
    assert "is an input too" in refused("b", "b/a")
    assert assign("b", "b/a", recursive=False) == [("b", "b_x4", ""), ("b/a", "b/a_x4", "")]
    assert "lies in the output folder" in refused("a", output="a")
    assert "lies in the output folder" in refused("a/sub", output="a")
    Path("a_x4").mkdir()
    assert "lies in the output folder" in refused("a", "a_x4")


def test_only_folders_are_taken():
    assert "not a folder" in refused("file")
    assert "no such folder" in refused("missing")
    assert "no such folder" in refused("m" * 300)
    assert "no name" in refused(os.path.abspath(os.sep))  # noqa: PTH100


@pytest.mark.skipif(os.name == "nt", reason="links need rights on Windows")
def test_links_to_one_folder_overlap():
    Path("link").symlink_to("a")
    assert "is an input too" in refused("a", "link")
    assert "lies in the output folder" in refused("a", output="link")
    assert assign("link") == [("link", "link_x4", "")]

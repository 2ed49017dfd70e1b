"""Where the cache is."""

import sys
from pathlib import Path

import pytest

from edsr_cli.checkpoints import registry
from edsr_cli.checkpoints.store.cache import (
    cache_folder,
    canonical_path,
    damaged_path,
    visible_files,
)
from edsr_cli.errors import WeightsError


@pytest.fixture(autouse=True)
def clean(monkeypatch):
    for name in ("EDSR_CACHE", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", lambda: Path("/home/user"))


@pytest.mark.parametrize(
    ("platform", "folder"),
    [
        ("linux", "/home/user/.cache/edsr"),
        ("freebsd14", "/home/user/.cache/edsr"),
        ("darwin", "/home/user/Library/Caches/edsr"),
        ("win32", "/home/user/AppData/Local/edsr/Cache"),
    ],
)
def test_the_platforms_convention(monkeypatch, platform, folder):
    monkeypatch.setattr(sys, "platform", platform)
    assert cache_folder() == Path(folder)


def test_the_variables_of_the_platform(monkeypatch):
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", "/big/disk")
    assert cache_folder() == Path("/big/disk/edsr")
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert cache_folder() == Path("/home/user/.cache/edsr")
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setenv("LOCALAPPDATA", "/local")
    assert cache_folder() == Path("/local/edsr/Cache")


def test_what_the_user_says_comes_first(monkeypatch, tmp_path):
    monkeypatch.setenv("EDSR_CACHE", "/from/variable")
    assert cache_folder() == Path("/from/variable")
    assert cache_folder(tmp_path) == tmp_path
    monkeypatch.chdir(tmp_path)
    assert cache_folder("here") == tmp_path / "here"
    monkeypatch.setenv("HOME", "/home/user")
    assert cache_folder("~/w") == Path("/home/user/w")


def test_no_home_folder_is_explained(monkeypatch):
    def none():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", none)
    monkeypatch.setattr(sys, "platform", "linux")
    with pytest.raises(WeightsError, match="Set EDSR_CACHE"):
        cache_folder()


def test_every_row_has_a_file_name_of_its_own():
    names = [canonical_path(Path(), row).name for row in registry.rows()]
    assert len(set(names)) == len(names)
    assert {"edsr-x2.safetensors", "mdsr-x234.safetensors"} <= set(names)


def test_nothing_is_in_a_folder_that_cannot_be(tmp_path):
    [row, *_] = registry.rows()
    assert damaged_path(row, tmp_path / ("x" * 300)) is None


def test_a_file_that_cannot_be_looked_at_hides_no_others(tmp_path):
    for name in ("a", "c", ".hidden"):
        (tmp_path / name).write_text(name)
    (tmp_path / "b").symlink_to("x" * 300)
    assert visible_files(tmp_path) == [(tmp_path / "a", 1), (tmp_path / "c", 1)]
    assert visible_files(tmp_path / "gone") == []

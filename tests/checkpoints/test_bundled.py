import hashlib
from importlib import resources
from pathlib import Path

import pytest

from edsr_cli.checkpoints.registry import bundled_file, weights_folder
from edsr_cli.errors import ExitCode, WeightsError


@pytest.fixture
def package(tmp_path, monkeypatch) -> Path:
    """An installed package without weights, in place of the real one."""
    folder = tmp_path / "edsr_cli"
    folder.mkdir()
    monkeypatch.setattr(resources, "files", lambda name: folder)
    return folder


def fill(folder: Path) -> Path:
    folder.mkdir()
    (folder / "registry.toml").touch()
    return folder


def test_a_checkout_has_its_weights_beside_the_package(repository):
    assert weights_folder() == repository / "weights"


def test_a_wheel_has_its_weights_inside_the_package(package):
    fill(package.parent / "weights")
    inside = fill(package / "weights")
    assert weights_folder() == inside


def test_a_foreign_folder_called_weights_is_not_taken(package):
    (package.parent / "weights").mkdir()
    with pytest.raises(WeightsError, match=r"registry\.toml: it is missing.*Reinstall") as caught:
        weights_folder()
    assert caught.value.exit_code == ExitCode.WEIGHTS


def test_a_whole_file_is_found(package):
    folder = fill(package / "weights")
    (folder / "a").write_bytes(b"whole")
    assert bundled_file("a", 5, hashlib.sha256(b"whole").hexdigest()) == folder / "a"


@pytest.mark.parametrize(
    ("content", "message"), [(b"who", "3 bytes, not 5"), (b"whale", "digest"), (None, "cannot")]
)
def test_a_damaged_or_missing_file_is_refused(package, content, message):
    folder = fill(package / "weights")
    if content is not None:
        (folder / "a").write_bytes(content)
    with pytest.raises(WeightsError, match=message) as caught:
        bundled_file("a", 5, hashlib.sha256(b"whole").hexdigest())
    assert str(folder / "a") in caught.value.message

import io
import os
import socket
import stat
from pathlib import Path

import pytest
from PIL import Image

from edsr_cli.errors import Kind, PictureError
from edsr_cli.files.names import display_name
from edsr_cli.images import probe
from edsr_cli.images.source import open_source
from tests.images import builders

posix = pytest.mark.skipif(os.name == "nt", reason="Windows has no such files")


def opening(path: Path) -> PictureError:
    with pytest.raises(PictureError) as caught, open_source(path, display_name(path)):
        pass
    assert "\n" not in str(caught.value) and caught.value.hint
    assert path.name in caught.value.message
    return caught.value


def test_a_file_and_bytes_are_given_as_files(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"content")
    for source in (tmp_path / "a", b"content"):
        with open_source(source, "a") as file:
            assert file.seekable() and file.read() == b"content"


def test_a_file_that_is_open_stays_so() -> None:
    """What only the ending of a name tells of is found by that, too."""
    for form, name in (("PNG", "a"), ("TIFF", "a"), ("TGA", "folder/A.TGA")):
        content = builders.saved(Image.new("RGB", (3, 2)), form)
        file = io.BytesIO(content)
        info = probe(file, name=name)
        assert (info.width, info.height, info.format) == (3, 2, form) and not file.closed
        with pytest.raises(PictureError, match="nowhere: "):
            probe(io.BytesIO(content[:20]), name="nowhere")


def test_what_is_no_file_is_named(tmp_path: Path) -> None:
    missing = opening(tmp_path / "missing.png")
    assert "no such file" in missing.message and missing.kind is Kind.MISSING
    (tmp_path / "empty.png").touch()
    assert "empty" in opening(tmp_path / "empty.png").message
    assert "folder" in opening(tmp_path).message
    assert "no such file" in opening(tmp_path / "empty.png" / "below.png").message


def test_no_data_on_standard_input() -> None:
    empty = pytest.raises(PictureError, match="standard input: there is no data")
    with empty, open_source(b"", display_name(b"")):
        pass


@posix
def test_a_pipe_without_a_writer_does_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    assert "not a file" in opening(tmp_path / "pipe.png").message


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="there is no /dev/zero")
def test_an_endless_device_is_not_read() -> None:
    assert "device" in opening(Path("/dev/zero")).message


@posix
def test_a_socket_is_not_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # the names of sockets are short
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("s.png")
        assert "not a file" in opening(Path("s.png")).message


@posix
def test_a_link_to_itself_is_refused(tmp_path: Path) -> None:
    (tmp_path / "loop.png").symlink_to("loop.png")
    assert "cannot be opened" in opening(tmp_path / "loop.png").message


@posix
def test_a_file_that_may_not_be_read(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may read everything")
    path = tmp_path / "secret.png"
    path.write_bytes(b"x")
    path.chmod(0)
    assert "permission" in opening(path).message
    path.chmod(stat.S_IRWXU)


def test_a_name_that_cannot_be_one() -> None:
    with pytest.raises(PictureError) as caught, open_source(Path("a\0b.png"), "a"):
        pass
    assert "cannot be the name" in caught.value.message
    too_long = pytest.raises(PictureError, match="cannot be opened")
    with too_long as caught, open_source(Path("x" * 5000), "long"):
        pass
    assert caught.value.kind is Kind.NAME

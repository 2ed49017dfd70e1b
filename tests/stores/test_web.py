"""Pictures on a web server of this machine."""

import os
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from PIL import Image

import edsr_cli
from tests.jobs.nearest import save_nearest

CHANGED = 1_234_567_890  # seconds since 1970


class Handler(SimpleHTTPRequestHandler):
    """Serves a folder, and tells the time of change of what has "dated" in its name."""

    def send_header(self, keyword: str, value: str) -> None:
        if keyword != "Last-Modified" or "dated" in self.path:
            super().send_header(keyword, value)

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """That of a server with the pictures dated.png and other.png."""
    pytest.importorskip("aiohttp", reason="needs edsr-cli[cloud]")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    for name in ("dated.png", "other.png"):
        Image.new("RGB", (9, 7), "teal").save(tmp_path / name)
        os.utime(tmp_path / name, (CHANGED, CHANGED))
    handler = partial(Handler, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_times_are_kept_where_the_server_tells_them(address: str, tmp_path: Path) -> None:
    model = str(save_nearest(tmp_path / "nearest.safetensors", 2))
    out = tmp_path / "out"
    found = edsr_cli.upscale(
        [f"{address}/dated.png", f"{address}/other.png"],
        f"{out}/",
        model=model,
        engine="torch",
        keep_times=True,
    )
    assert [record.error for record in found] == [None, None]
    times = [Path(record.output).stat().st_mtime for record in found]
    assert times[0] == CHANGED and times[1] > CHANGED
    assert [["no time of change" in note for note in record.notes] for record in found] == [
        [],
        [True],
    ]

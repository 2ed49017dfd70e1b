"""`edsr models`: what there is, and what is here."""

import contextlib
import json
import os
import re
import subprocess
import sys

import pytest

from edsr_cli.checkpoints import registry
from edsr_cli.checkpoints.listing import markdown_table
from tests.checkpoints.store.conftest import online, server, tiny, tiny_bytes, trusted

__all__ = ["online", "server", "tiny", "tiny_bytes", "trusted"]


def edsr(repository, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "edsr_cli", *arguments],
        cwd=repository,
        capture_output=True,
        text=True,
        check=True,
    )


def test_models_and_list_are_the_same_table(repository, tmp_path):
    options = ("--cache-dir", str(tmp_path))
    table = edsr(repository, "models", *options)
    assert edsr(repository, "fetch-weights", "--list", *options).stdout == table.stdout
    assert not table.stderr
    lines = table.stdout.splitlines()
    assert lines[0].split() == ["model", "scales", "size", "licence", "here", "PSNR", "in", "dB"]
    assert len(lines) == 1 + sum(line.startswith("| `") for line in markdown_table().splitlines())
    assert re.search(
        r"edsr-free +2, 3, 4 +2\.8-3\.1 MB +CC0-1\.0 +bundled +37\.75 / ", table.stdout
    )
    as_json = edsr(repository, "models", "--json", *options).stdout.splitlines()
    assert all(json.loads(line)["sources"] for line in as_json)


def test_models_are_listed_without_torch_and_without_the_hubs_client(repository):
    program = (
        "import sys; from edsr_cli.cli.app import application;"
        "application()(['models'], standalone_mode=False);"
        "sys.exit(bool({'torch', 'huggingface_hub', 'PIL'} & set(sys.modules)))"
    )
    subprocess.run([sys.executable, "-c", program], cwd=repository, check=True, capture_output=True)


def test_a_fetched_model_is_listed(online):
    assert re.search(r"tiny +2 +\S+ MB +none stated +no", online.run("models").stdout)
    online.fetch()
    assert re.search(r"tiny +2 +\S+ MB +none stated +x2", online.run("models").stdout)


@pytest.mark.skipif(os.name == "nt", reason="about terminals of POSIX")
@pytest.mark.parametrize("columns", [80, 50])
def test_a_narrow_terminal_cuts_no_name(repository, tmp_path, columns):
    import pty

    master, slave = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "edsr_cli", "models", "--cache-dir", str(tmp_path)],
        cwd=repository,
        stdout=slave,
        env=os.environ | {"COLUMNS": str(columns), "TERM": "xterm", "NO_COLOR": "1"},
    )
    os.close(slave)
    shown = b""
    with contextlib.suppress(OSError):  # Linux says EIO when the other end is closed
        while piece := os.read(master, 65536):
            shown += piece
    os.close(master)
    assert process.wait() == 0
    text = re.sub(r"\x1b\[[0-9;]*m", "", shown.decode())
    lines = text.splitlines()
    assert max(map(len, lines)) <= columns and "…" not in text
    first = {line.split()[0] for line in lines if line[1:2].strip()}
    assert first - {"model"} == set(registry.names())

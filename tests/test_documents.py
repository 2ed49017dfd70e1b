"""What the documents say is true: their commands run, their links lead somewhere.

Every `sh` and `python` block is run, those of a page from top to bottom in one folder, where small
pictures have the names that the commands use. A comment right above a block that cannot be run says
why: `<!-- not run: needs the network -->`. `<!-- slow -->` leaves a block to `pytest -m slow`.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests import forking
from tests.conftest import REPOSITORY

PAGES = sorted(
    str(path.relative_to(REPOSITORY))
    for pattern in ("*.md", "docs/*.md", "weights/*.md", "examples/*.md", "benchmarks/**/*.md")
    for path in REPOSITORY.glob(pattern)
)

NOT_RUN = re.compile(r"<!-- not run: (needs|takes|goes) .+ -->")
MARKS = ("<!-- slow -->", "<!-- test-command -->")  # the latter is run by .ci/run

DEADLINE = 600.0  # seconds; far more than a block takes on a busy machine

unix = pytest.mark.skipif(os.name == "nt", reason="blocks are for a Unix shell")


@dataclass(frozen=True)
class Block:
    """A fenced block of a page.

    Attributes:
        place: page and line.
        language: what stands behind the fence.
        text: what is in it.
        mark: the comment right above it, or "".
    """

    place: str
    language: str
    text: str
    mark: str

    @property
    def is_run(self) -> bool:
        return self.language in ("sh", "python") and not self.mark


def text_of(page: str) -> str:
    return (REPOSITORY / page).read_text("utf-8")


def blocks(page: str) -> list[Block]:
    """The fenced blocks of a page, in their order."""
    found, lines = [], text_of(page).splitlines()
    opened = None
    for number, line in enumerate(lines):
        if not line.startswith("```"):
            continue
        if opened is None:
            opened = number
            continue
        above = lines[opened - 1] if opened else ""
        found.append(
            Block(
                f"{page}:{opened + 1}",
                lines[opened][3:].strip(),
                "\n".join(lines[opened + 1 : number]) + "\n",
                above if above.startswith("<!--") else "",
            )
        )
        opened = None
    assert opened is None, f"{page}:{opened}: the block has no end"
    return found


ALL = [block for page in PAGES for block in blocks(page)]


def edsr_commands(block: Block) -> list[list[str]]:
    """The arguments of each `edsr` in a block of shell; variables that hold one are put in."""
    found = []
    variables: dict[str, str] = {}
    for line in block.text.replace("\\\n", " ").splitlines():
        if set_to := re.match(r'(\w+)="(edsr .*)"$', line):
            variables[set_to[1]] = set_to[2]
            continue
        for name, value in variables.items():
            line = line.replace(f"${name} ", f"{value} ")
        words = shlex.split(line, comments=True)
        if words and words[0] == "edsr":
            found.append(words[1:])
    return found


# Blocks


def test_every_block_is_run_or_says_why_not():
    for block in ALL:
        assert block.language in ("sh", "python", ""), f"{block.place}: {block.language}?"
        if block.language:
            assert not block.mark or block.mark in MARKS or NOT_RUN.fullmatch(block.mark), (
                f"{block.place}: {block.mark}?"
            )
        else:
            assert not re.match(r"\s*(edsr|pip|python3?) ", block.text), (
                f"{block.place}: commands stand in blocks of sh"
            )


@pytest.mark.parametrize(
    "block", [pytest.param(each, id=each.place) for each in ALL if NOT_RUN.fullmatch(each.mark)]
)
def test_commands_that_are_not_run_can_be_parsed(block):
    import typer.main

    from edsr_cli.cli.app import application

    group = typer.main.get_command(application())
    for name, *arguments in edsr_commands(block):
        with group.make_context("edsr", [name, *arguments]) as context:
            command = group.get_command(context, name)
            with command.make_context(name, arguments, parent=context):
                pass  # wrong ones are an error by now


@pytest.fixture(scope="module")
def edsr() -> str:
    """The text of a script that is `edsr`."""
    caller = shlex.join([sys.executable, "-SE", forking.__file__, "call", forking.server()])
    return f'#!/bin/sh\nexec {caller} -m edsr_cli "$@"\n'


def paint(path: Path, size: tuple[int, int], number: int) -> None:
    """Write a part of a photograph; another one for each number."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with Image.open(REPOSITORY / "examples" / "cat.png") as cat:
        left, top, (width, height) = 8 * number, 20, size
        cat.convert("RGB").crop((left, top, left + width, top + height)).save(path, quality=72)


@pytest.fixture
def folder(tmp_path: Path, edsr: str) -> Path:
    """A folder with all pictures that commands in the documents name, and with `edsr`."""
    for number, name in enumerate(
        [
            *("photo.jpg", "other.jpg", "huge.tif", "scan.tif", "film.gif", "scans/page.tif"),
            *("photos/one.jpg", "photos/trip/two.png", "photos/thumbs/one.jpg"),
            *(f"Set5/HR/{name}.png" for name in ("baby", "bird")),
            *(f"Set14/HR/{name}.png" for name in ("baboon", "zebra")),
        ]
    ):
        paint(tmp_path / name, (36, 24), number)
    paint(tmp_path / "small.png", (36, 24), 0)
    for number, name in enumerate(["large.png", "other-program.png"]):
        paint(tmp_path / name, (144, 96), number)
    logo = np.zeros((16, 24, 4), np.uint8)
    logo[4:12, 4:20, 3] = 255
    Image.fromarray(logo).save(tmp_path / "logo.png")
    (tmp_path / "examples").mkdir()
    shutil.copy(REPOSITORY / "examples" / "cat.png", tmp_path / "examples")
    programs = tmp_path / ".venv" / "bin"
    programs.mkdir(parents=True)
    (programs / "edsr").write_text(edsr)
    (programs / "edsr").chmod(0o755)
    return tmp_path


def published_weights(path: Path) -> None:
    """Write the bundled weights as a file that EDSR-PyTorch would have written."""
    import torch
    from safetensors.torch import load_file

    tensors = load_file(REPOSITORY / "weights" / "edsr-free-x4.safetensors")
    torch.save({name: tensor.float() for name, tensor in tensors.items()}, path)


def run(block: Block, folder: Path, *command: str) -> None:
    """Run a block; it must succeed."""
    programs = str(folder / ".venv" / "bin")
    start = forking.run if command[0] == sys.executable else subprocess.run
    done = start(
        [*command, block.text],
        cwd=folder,
        env=os.environ
        | {"PATH": programs + os.pathsep + os.environ["PATH"], "PYTHONPATH": str(REPOSITORY)}
        | {"HF_HUB_OFFLINE": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=DEADLINE,
    )
    assert done.returncode == 0, f"{block.place}:\n{block.text}\n{done.stdout}"


def pages_with(language: str) -> list[str]:
    return [
        page for page in PAGES if any(b.is_run and b.language == language for b in blocks(page))
    ]


@unix
@pytest.mark.parametrize("page", pages_with("sh"))
def test_shell_blocks(page, folder):
    if page == "docs/weights.md":
        published_weights(folder / "weights.pt")
    if page == "examples/README.md":  # its own folder; `*.png` elsewhere need not take them
        for name in ("astronaut.png", "cat.png"):
            shutil.copy(REPOSITORY / "examples" / name, folder)
    for block in blocks(page):
        if block.language == "sh" and block.is_run:
            run(block, folder, "bash", "-euo", "pipefail", "-c")


@unix
@pytest.mark.slow
@pytest.mark.parametrize(
    "block", [pytest.param(each, id=each.place) for each in ALL if each.mark == "<!-- slow -->"]
)
def test_slow_shell_blocks(block, folder):
    for number, path in enumerate(sorted((folder / "photos").rglob("*.*"))):
        paint(path, (112, 112), number)  # nothing can be learned from smaller ones
    run(block, folder, "bash", "-euo", "pipefail", "-c")


@unix
@pytest.mark.parametrize("page", pages_with("python"))
def test_python_blocks(page, folder):
    """Blocks of one page go on from each other."""
    parts = [each for each in blocks(page) if each.language == "python" and each.is_run]
    whole = Block(page, "python", "\n".join(each.text for each in parts), "")
    run(whole, folder, sys.executable, "-c")


# Links


def prose(page: str) -> str:
    """A page without what is code."""
    text = re.sub(r"^```.*?^```$", "", text_of(page), flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"`[^`\n]*`", "", text)


def anchors(page: str) -> set[str]:
    """What can stand behind "#": the headings of a page, as forges name them."""
    text = re.sub(r"^```.*?^```$", "", text_of(page), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", each.lower()).replace(" ", "-") for each in headings}


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)\s]*)\)", prose(page)):
        if re.match(r"https://[\w.-]+/", target):
            continue
        path, _, anchor = target.partition("#")
        file = (REPOSITORY / page).parent / path if path else REPOSITORY / page
        assert file.exists(), f"{page}: {target}"
        assert REPOSITORY in file.resolve().parents, f"{page}: {target} is outside"
        if anchor:
            name = str(file.resolve().relative_to(REPOSITORY))
            assert anchor in anchors(name), f"{page}: {target}: {sorted(anchors(name))}"


def test_the_readme_leads_to_every_document():
    links = set(re.findall(r"\]\(([^)#]*)", prose("README.md")))
    documents = {page for page in PAGES if page.startswith("docs/") or page.count("/") == 0}
    assert documents - links == {"README.md"}


# What the pages are


def test_the_readme_is_short():
    assert len(text_of("README.md").split()) < 1500


def test_the_newest_version_is_told_of():
    from edsr_cli import __version__

    (newest, *_) = re.findall(r"^## .*$", text_of("CHANGELOG.md"), re.MULTILINE)
    assert __version__ in newest
    assert f"| {__version__.rpartition('.')[0]} | yes |" in text_of("SECURITY.md")


def test_every_room_is_described():
    rooms = {path.parent.name for path in (REPOSITORY / "edsr_cli").glob("*/__init__.py")}
    described = set(
        re.findall(r"^\| `edsr_cli/(\w+)` \|", text_of("CONTRIBUTING.md"), re.MULTILINE)
    )
    assert rooms <= described

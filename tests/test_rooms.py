"""Who may import whom: the walls of the house, and where torch and Pillow may come in."""

import ast
import re
from pathlib import Path

import pytest

import edsr_cli
from tests.conftest import REPOSITORY

PACKAGE = Path(edsr_cli.__file__).parent

ROOMS = {
    "errors": ("text",),
    "text": (),
    "progress": (),
    "files": ("errors", "text"),
    "stores": ("errors", "text", "files"),
    "pixels": ("errors",),
    "model": (),
    "images": ("errors", "text", "files", "pixels"),
    "options": ("errors", "images"),
    "checkpoints": ("errors", "text", "files", "model"),
    "inference": ("errors", "files", "pixels", "model", "checkpoints"),
    "restoration": ("errors", "pixels", "images", "options", "checkpoints", "inference"),
    "datasets": ("errors", "files", "pixels", "images"),
    "degradations": ("errors", "files", "pixels", "model", "images", "datasets"),
    "evaluation": (
        "errors", "text", "files", "pixels", "images", "inference", "restoration", "datasets",
        "degradations",
    ),
    "training": (
        "errors", "progress", "files", "pixels", "model", "images", "options", "checkpoints",
        "inference", "datasets", "degradations", "evaluation", "report",
    ),
    "jobs": (
        "errors", "text", "files", "stores", "pixels", "images", "options", "checkpoints",
        "inference", "restoration",
    ),
    "folders": (
        "errors", "text", "files", "stores", "images", "checkpoints", "restoration", "jobs",
    ),
    "report": ("errors", "text", "files", "stores", "pixels", "images", "jobs", "folders"),
    "api": (
        "errors", "text", "progress", "files", "stores", "pixels", "images", "options",
        "checkpoints", "inference", "restoration", "datasets", "degradations", "evaluation",
        "training", "jobs", "folders", "report",
    ),
    "cli": (
        "errors", "text", "progress", "options", "checkpoints", "restoration", "evaluation",
        "training", "jobs", "folders", "report", "api",
    ),
    "": ("errors", "api"),  # edsr_cli/__init__.py
    "__main__": ("cli",),
}  # fmt: skip
"""What each room may import, besides itself and the package's version."""

TORCH = (
    "checkpoints/files.py",  # reading torch's own files
    "checkpoints/probe.py",  # a trial needs a network that runs
    "degradations/",
    "inference/engines/torch/",
    "model/networks.py",
    "model/tail.py",
    "training/",
)
PILLOW = (
    "images/",
    "api/pictures.py",  # takes and gives its images
    "degradations/kernel.py",  # a blur kernel is numbers in a file, not colours
)


def imports(path):
    """Modules that a module imports anywhere in it, and whether only for the type checker."""
    tree = ast.parse(path.read_text("utf-8"))
    for_types = {
        id(node)
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and ast.unparse(block.test) == "TYPE_CHECKING"
        for node in ast.walk(block)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module == "edsr_cli":
            names = [f"edsr_cli.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names = [node.module]
        else:
            continue
        yield from ((name, id(node) in for_types) for name in names)


def room_of(path):
    first = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    return "" if first == "__init__" else first


MODULES = sorted(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("room", sorted({room_of(path) for path in MODULES}))
def test_a_room_imports_only_what_it_may(room):
    allowed = {*ROOMS[room], room, "__version__"}
    found = {
        (str(path.relative_to(PACKAGE)), name)
        for path in MODULES
        if room_of(path) == room
        for name, _ in imports(path)
        if name.startswith("edsr_cli.") and name.split(".")[1] not in allowed
    }
    assert not found


def test_the_list_of_rooms_in_the_documents_is_in_order_and_complete():
    """Nothing imports what stands above it there."""
    text = (REPOSITORY / "CONTRIBUTING.md").read_text("utf-8")
    listed = re.findall(r"`edsr_cli/(\w+)(?:\.py)?`(?=.*\|$)", text, re.MULTILINE)
    listed = [room for room in listed if room in ROOMS]
    assert sorted(listed) == sorted(set(ROOMS) - {"", "__main__"})
    for place, room in enumerate(listed):
        assert not set(ROOMS[room]) & set(listed[:place]), room


def test_there_is_no_circle():
    done = []

    def enter(room, above):
        assert room not in above, " -> ".join([*above, room])
        if room not in done:
            for other in ROOMS[room]:
                enter(other, [*above, room])
            done.append(room)

    for room in ROOMS:
        enter(room, [])


@pytest.mark.parametrize("room", sorted({room_of(path) for path in MODULES}))
def test_no_two_public_classes_of_a_room_have_one_name(room):
    found = [
        node.name
        for path in MODULES
        if room_of(path) == room
        for node in ast.parse(path.read_text("utf-8")).body
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    ]
    assert sorted(found) == sorted(set(found))


@pytest.mark.parametrize(
    ("library", "places"), [("torch", TORCH), ("PIL", PILLOW)], ids=["torch", "Pillow"]
)
def test_libraries_come_in_where_they_should(library, places):
    found = {
        path.relative_to(PACKAGE).as_posix()
        for path in MODULES
        for name, for_types in imports(path)
        if name.split(".")[0] == library and not for_types
    }
    assert {place for place in found if not place.startswith(places)} == set()
    assert all(any(place.startswith(allowed) for place in found) for allowed in places)

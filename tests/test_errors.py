import ast
import builtins
import copy
import pickle
from pathlib import Path

import pytest

import edsr_cli
from edsr_cli.errors import EdsrError, FileError, Kind, PictureError, ThreadError, WeightsError


def test_the_parts_are_put_together_once() -> None:
    error = PictureError("it is empty.", "Copy it again.", about="a.png", kind=Kind.UNREADABLE)
    assert str(error) == "a.png: it is empty. Copy it again."
    assert error.message == "a.png: it is empty." and error.what == "it is empty."
    assert str(EdsrError("It is over.")) == "It is over."
    assert EdsrError("it is over.", about=Path("a")).about == "a"
    assert str(EdsrError("it is over.", about=Path("a\nb\x1b"))) == r"a\nb\x1b: it is over."


def test_a_class_tells_the_kind_unless_the_disk_is_full() -> None:
    assert EdsrError("x").kind is None and FileError("x", kind=Kind.NAME).kind is Kind.NAME
    assert WeightsError("x", kind=Kind.NAME).kind is Kind.WEIGHTS
    assert WeightsError("x", kind=Kind.DISK_FULL).kind is Kind.DISK_FULL


@pytest.mark.parametrize("again", [copy.copy, lambda error: pickle.loads(pickle.dumps(error))])
def test_errors_can_be_sent_elsewhere(again) -> None:
    error = again(FileError("it is full.", "Make room.", about="a", kind=Kind.DISK_FULL))
    assert str(error) == "a: it is full. Make room." and error.kind is Kind.DISK_FULL


def test_an_error_that_takes_nothing_can_be_sent_elsewhere() -> None:
    assert str(pickle.loads(pickle.dumps(ThreadError()))) == str(ThreadError())


@pytest.mark.parametrize("named", ["in front", "inside"])
def test_what_an_error_is_about_is_data(named: str) -> None:
    """Its words neither begin with a name and a colon nor have a bare path in them: `about` has
    them, and `display_name` those of a second file.
    """
    package = Path(edsr_cli.__file__).parent
    is_wrong = {"in front": _begins_with_a_name, "inside": _has_a_path}[named]
    wrong = [
        f"{path.relative_to(package)}:{node.lineno}"
        for path in package.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and (node.func.id == "error" or node.func.id.endswith("Error"))
        and node.func.id not in vars(builtins)
        and node.args
        and any(is_wrong(text) for text in node.args)
    ]
    assert not wrong


def _begins_with_a_name(text: ast.expr) -> bool:
    match text:
        case ast.JoinedStr(values=[ast.FormattedValue(conversion=-1), ast.Constant() as tail, *_]):
            return str(tail.value).startswith(": ")
        case ast.JoinedStr(values=[ast.Constant() as head, *_]):
            return _begins_with_a_name(head)
        case ast.Constant(value=str(whole)):
            return whole.startswith(("standard input: ", "standard output: "))
    return False


def _has_a_path(text: ast.expr) -> bool:
    return any(
        isinstance(node, ast.FormattedValue)
        and ast.unparse(node.value).endswith(("path", "folder"))
        for node in ast.walk(text)
    )

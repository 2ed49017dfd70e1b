"""Which output folder each input folder gets."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edsr_cli.errors import UsageError
from edsr_cli.files.names import display_name
from edsr_cli.jobs.inputs import address_error
from edsr_cli.jobs.naming import identity


@dataclass(frozen=True)
class Root:
    """An input folder.

    Attributes:
        path: the folder, as the user gave it.
        folder: the output folder, which has the manifest.
        prefix: the folder below `folder` that mirrors the input folder; "" for `folder` itself.
    """

    path: Path
    folder: Path
    prefix: str = ""


def assign_folders(
    inputs: Sequence[str], output: str | None, label: str, recursive: bool = True
) -> list[Root]:
    """Give every input folder its output folder; nothing is written.

    Args:
        inputs: folders.
        output: a folder; with several inputs, it gets a folder for each, of the same name. None
            for a folder `{input}_{label}` beside each input.
        label: the size of outputs, such as "x4"; see `Target`.
        recursive: whether the folders are taken with what is below them.

    Raises:
        UsageError: an input is no folder, two inputs overlap or would share an output folder, or
            an input lies in an output folder.
    """
    paths = [Path(name) for name in inputs]
    for name, path in zip(inputs, paths, strict=True):
        if error := address_error(name):
            raise error
        _check_input(path)
    if output is None:
        roots = [Root(path, _beside(path, label)) for path in paths]
    elif len(paths) == 1:
        roots = [Root(paths[0], Path(output))]
    else:
        roots = [Root(path, Path(output), _name(path)) for path in paths]
    _refuse_overlaps(roots, recursive)
    return roots


def _check_input(path: Path) -> None:
    name = display_name(path)
    if path.is_dir():
        return
    if os.path.lexists(path):
        raise UsageError("this is not a folder.", "For single files: edsr upscale.", about=name)
    raise UsageError("there is no such folder.", "Check the name.", about=name)


def _name(path: Path) -> str:
    """The folder's own name, also where it was given as "." or ".."."""
    name = Path(os.path.abspath(path)).name  # noqa: PTH100 - resolve() would follow links
    if not name:
        raise UsageError(
            "this folder has no name.", "Choose one with -o.", about=display_name(path)
        )
    return name


def _beside(path: Path, label: str) -> Path:
    name = f"{_name(path)}_{label}"
    if path.name in ("", ".."):  # "." has no name either
        return Path(os.path.abspath(path)).parent / name  # noqa: PTH100
    return path.parent / name


def _refuse_overlaps(roots: list[Root], recursive: bool) -> None:
    mirrors: dict[str, Root] = {}
    for root in roots:
        mirror = identity(root.folder / root.prefix)
        if mirror in mirrors:
            raise UsageError(
                f"{display_name(mirrors[mirror].path)} and {display_name(root.path)} would share "
                f"the output folder {display_name(root.folder / root.prefix)}.",
                "Do them in two runs with different -o folders.",
            )
        mirrors[mirror] = root
    for root in roots:
        for other in roots:
            if _inside(root.path, other.folder):
                raise UsageError(
                    f"The input folder {display_name(root.path)} lies in the output folder "
                    f"{display_name(other.folder)}.",
                    "Give another output folder with -o.",
                )
            if root is not other and recursive and _inside(root.path, other.path):
                raise UsageError(
                    f"{display_name(root.path)} lies in {display_name(other.path)}, which is an "
                    "input too.",
                    "Leave one out, or add --no-recursive.",
                )


def _inside(path: Path, folder: Path) -> bool:
    """Whether a path is a folder, or lies below it."""
    inner, outer = identity(path), identity(folder)
    return inner == outer or inner.startswith(outer.rstrip(os.sep) + os.sep)

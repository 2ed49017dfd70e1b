"""Which output folder each input folder gets."""

import os
from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct

from edsr_cli.errors import UsageError
from edsr_cli.files.names import display_name
from edsr_cli.jobs.inputs import address_error
from edsr_cli.jobs.naming import identity
from edsr_cli.jobs.staging import Staging
from edsr_cli.stores.addresses import check_address, is_address, is_web, shown
from edsr_cli.stores.lists import UrlList, is_list
from edsr_cli.stores.store import Store
from edsr_cli.text import one_line


class Root(Struct, frozen=True):
    """An input folder.

    Attributes:
        path: the folder, as the user gave it; of one in a store, what stands for it here.
        folder: the output folder, which has the manifest; the same holds.
        prefix: the folder below `folder` that mirrors the input folder; "" for `folder` itself.
        origin: the input folder in a store, or a list of addresses.
        goal: the output folder in a store.
        staging: where objects are kept meanwhile; there is one if there is an origin or a goal.
    """

    path: Path
    folder: Path
    prefix: str = ""
    origin: Store | UrlList | None = None
    goal: Store | None = None
    staging: Staging | None = None

    @property
    def input_name(self) -> str:
        """The input folder for people."""
        return self.origin.shown if self.origin else one_line(str(self.path))

    @property
    def output_name(self) -> str:
        """The folder for its outputs for people."""
        if self.goal is not None:
            return self.goal.folder(self.prefix).shown
        return one_line(str(self.folder / self.prefix))


def assign_folders(
    inputs: Sequence[str],
    output: str | None,
    label: str,
    recursive: bool = True,
    staging: Staging | None = None,
) -> list[Root]:
    """Give every input folder its output folder; nothing is written.

    Args:
        inputs: folders, here or in stores, or files with lists of addresses.
        output: a folder; with several inputs, it gets a folder for each, of the same name. None
            for a folder `{input}_{label}` beside each input.
        label: the size of outputs, such as "x4"; see `Target`.
        recursive: whether the folders are taken with what is below them.
        staging: where objects of stores are kept meanwhile.

    Raises:
        UsageError: an input is no folder, two inputs overlap or would share an output folder, or
            an input lies in an output folder.
        StoreError: an input in a store cannot be listed.
    """
    found = [open_input(name, staging) for name in inputs]
    if output is None:
        for _, origin in found:
            if origin is not None:
                raise UsageError(
                    "it must be said where its outputs go.", "Say it with -o.", about=origin.shown
                )
        roots = [Root(path, _beside(path, label)) for path, _ in found]
    else:
        folder, goal = open_output(output, staging)
        roots = [
            Root(path, folder, _name(path) if len(found) > 1 else "", origin, goal, staging)
            for path, origin in found
        ]
    _refuse_overlaps(roots, recursive)
    return roots


def open_input(name: str, staging: Staging | None) -> tuple[Path, Store | UrlList | None]:
    """An input as `Root` has it.

    Raises:
        UsageError: it is no folder.
        StoreError: it cannot be listed.
    """
    if staging is None or not (is_address(name) or is_list(name)):
        if error := address_error(name):
            raise error
        path = Path(name)
        _check_input(path)
        return path, None
    if is_list(name):
        return Path(name), UrlList.read(Path(name))
    check_address(name)
    if is_web(name):
        raise UsageError(
            "there are no folders on the web.",
            "Write the addresses of pictures into a file, one a line, such as pictures.txt, and "
            "give that.",
            about=shown(name),
        )
    store = Store.at(name)
    if next(iter(store.entries()), None) is None:
        raise UsageError("there is nothing in it.", "Check the address.", about=store.shown)
    return staging.place(store.address), store


def open_output(name: str, staging: Staging | None) -> tuple[Path, Store | None]:
    """An output folder as `Root` has it.

    Raises:
        UsageError: nothing can be written there.
    """
    if staging is None or not is_address(name):
        if error := address_error(name):
            raise error
        return Path(name), None
    check_address(name, writing=True)
    store = Store.at(name)
    return staging.place(store.address), store


def _check_input(path: Path) -> None:
    name = display_name(path)
    if os.path.isdir(path):
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
                f"{mirrors[mirror].input_name} and {root.input_name} would share the output "
                f"folder {root.output_name}.",
                "Do them in two runs with different -o folders.",
            )
        mirrors[mirror] = root
    for root in roots:
        for other in roots:
            if _inside(root.path, other.folder):
                raise UsageError(
                    f"The input folder {root.input_name} lies in the output folder "
                    f"{other.output_name}.",
                    "Give another output folder with -o.",
                )
            if root is not other and recursive and _inside(root.path, other.path):
                raise UsageError(
                    f"{root.input_name} lies in {other.input_name}, which is an input too.",
                    "Leave one out, or add --no-recursive.",
                )


def _inside(path: Path, folder: Path) -> bool:
    """Whether a path is a folder, or lies below it."""
    inner, outer = identity(path), identity(folder)
    return inner == outer or inner.startswith(outer.rstrip(os.sep) + os.sep)

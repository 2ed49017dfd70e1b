"""Objects of stores that are files on this machine for a while: where, and how they come and go."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from msgspec import Struct
from msgspec.structs import replace

from edsr_cli.errors import Kind, PictureError, UsageError
from edsr_cli.jobs.ledger import Ledger
from edsr_cli.jobs.task import Task
from edsr_cli.jobs.work import Work
from edsr_cli.stores.addresses import check_address, is_address, last_part, scheme_of, shown
from edsr_cli.stores.ranged import BLOCK, ranged
from edsr_cli.stores.store import Blob

_SMALL = 2 * BLOCK  # bytes; objects that are fetched whole


class Staging(Struct, frozen=True):
    """A scratch folder in which addresses have places of their own.

    Attributes:
        folder: the folder.
    """

    folder: Path

    def source(self, address: str, name: str) -> Path:
        """Where an input is kept: under its own name, apart from all others."""
        digest = hashlib.blake2b(address.encode("utf-8", "surrogatepass"), digest_size=12)
        return self.folder / "read" / digest.hexdigest() / name

    def place(self, address: str) -> Path:
        """Where an output, or a folder of them, is kept; folders within each other stay so."""
        _, _, path = address.partition("://")
        parts = [part for part in path.split("/") if part not in ("", ".", "..")]
        return self.folder / "made" / str(scheme_of(address)) / Path(*parts)

    def stand_ins(
        self, inputs: Sequence[str], output: str | None
    ) -> tuple[list[str], str | None, Callable[[Task], Task]]:
        """Files in the place of addresses, and what gives a task of them its objects.

        Args:
            inputs: files, and addresses of objects.
            output: a file, a folder, "-", or an address that stands for one of these.

        Raises:
            UsageError: an address names no object.
        """
        origins: dict[Path, Blob] = {}
        files = []
        for name in inputs:
            if not is_address(name):
                files.append(name)
                continue
            check_address(name)
            if not last_part(name):
                what = "this is no address of a picture."
                raise UsageError(what, "For all in it: edsr batch.", about=shown(name))
            path = self.source(name, last_part(name))
            origins[path] = Blob(name)
            files.append(str(path))
        goal: tuple[str, Path] | None = None
        if output is not None and is_address(output):
            check_address(output, writing=True)
            folder = output.endswith("/") or not last_part(output)
            goal = output.rstrip("/"), self.place(output)
            output = f"{goal[1]}/" if folder else str(goal[1])

        def bind(task: Task) -> Task:
            if task.source in origins:
                task = replace(task, origin=origins[task.source])
            if goal is not None and task.destination is not None:
                below = task.destination.relative_to(goal[1]).as_posix()
                address = goal[0] if below == "." else f"{goal[0]}/{below}"
                task = replace(task, goal=Blob(address))
            return task

        return files, output, bind

    @contextmanager
    def naming(self, output: str | None, address: str | None) -> Iterator[None]:
        """Have what is wrong with an output in the block be said of its address.

        Args:
            output: what stands for it here, by `stand_ins`.
            address: what was asked for.
        """
        try:
            yield
        except UsageError as error:
            if output is None or address is None or not is_address(address):
                raise
            place, name = output.rstrip("/"), shown(address.rstrip("/"))
            what, hint, about = (
                text.replace(place, name) for text in (error.what, error.hint, error.about)
            )
            raise UsageError(what, hint, about=about) from None


def fetch(work: Work) -> None:
    """Make a file of an input that lies in a store, until the work ends."""
    path, origin = work.task.source, work.task.origin
    if path is None or origin is None:
        return

    def remove() -> None:
        path.unlink(missing_ok=True)
        with suppress(OSError):  # others are in its folder
            path.parent.rmdir()

    work.opened.callback(remove)
    origin.fetch(path)
    work.whole = True


def fetch_and(inspect: Callable[[BinaryIO | None], None], work: Work, *, header: bool) -> None:
    """Fetch an input and inspect it, or inspect it where it is.

    Args:
        inspect: reads the header, of a file that it is given or else of the input's own.
        work: the input, whose state is known.
        header: whether nothing else will be read. Then only what is read of an object is fetched,
            unless its format, or what is wrong with it, makes that much.
    """
    origin = work.task.origin
    several = work.options.frame or work.options.frames  # which are counted
    if header and origin is not None and not several and work.source.size > _SMALL:
        work.whole = False
        try:
            with ranged(origin, work.source.size) as file:
                inspect(file)
            return
        except PictureError as error:
            if error.kind is Kind.TOO_LARGE:
                raise
    fetch(work)
    inspect(None)


def deliver(work: Work, ledger: Ledger, goal: Blob) -> None:
    """Put an output into its store, and let the ledger know what that says of it.

    Raises:
        StoreError: it cannot be put there; nothing is to be seen of it.
    """
    task, path = work.task, work.task.destination
    assert path is not None
    try:
        result = goal.put(path, replace=work.options.overwrite)
    finally:
        path.unlink(missing_ok=True)
    ledger.delivered(task, work.source, work.verdict, result)

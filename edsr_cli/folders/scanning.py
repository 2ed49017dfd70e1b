"""What is in the input folders, one folder at a time: nothing is opened, and little is held."""

import hashlib
import os
import time
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import StrEnum
from functools import cache, cached_property, partial
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from edsr_cli.errors import EdsrError
from edsr_cli.files.names import display_name
from edsr_cli.files.reasons import kind_of
from edsr_cli.files.state import FileState
from edsr_cli.files.walk import Listing
from edsr_cli.folders.globs import Choice
from edsr_cli.folders.roots import Root
from edsr_cli.folders.shards import WHOLE, Shard, manifest_shard
from edsr_cli.images import READ_SUFFIXES, OutputFormat
from edsr_cli.jobs.naming import Namer, ending, identity, same_format
from edsr_cli.jobs.record import Record, Status
from edsr_cli.jobs.task import Task

UNREAD_SUFFIXES = frozenset(
    (
        ".3fr", ".ari", ".arw", ".bpg", ".cin", ".cr2", ".cr3", ".crw", ".dcr", ".dds", ".djvu",
        ".dng", ".dpx", ".emf", ".eps", ".erf", ".exr", ".fff", ".fits", ".gpr", ".hdp", ".hdr",
        ".heic", ".heics", ".heif", ".heifs", ".hif", ".icns", ".ico", ".iiq", ".jxl", ".jxr",
        ".kdc", ".kra", ".mef", ".mos", ".mrw", ".nef", ".nrw", ".ora", ".orf", ".pef", ".pict",
        ".psb", ".raf", ".raw", ".rw2", ".rwl", ".sr2", ".srf", ".srw", ".svg", ".svgz", ".wdp",
        ".wmf", ".x3f", ".xbm", ".xcf", ".xpm",
    )
) - READ_SUFFIXES  # fmt: skip
"""Endings of pictures that cannot be read: their owner should be told that they were left out.
With an optional part some of them can."""


class Ignored(StrEnum):
    """Why something in an input folder is no task; the values are for people."""

    OTHER = "not pictures"
    UNREAD = "pictures of formats that cannot be read"
    HIDDEN = "hidden"
    EXCLUDED = "left out by --include or --exclude"
    OUTPUTS = "folders of outputs"
    REPEATED = "links to folders that are taken anyway"
    SUBFOLDER = "folders below (--no-recursive)"
    SHARD = "of other shards"
    VANISHED = "gone before they were read"  # while watching; otherwise that is a failure


class BatchTask(Task, frozen=True, kw_only=True):
    """One picture to upscale.

    Attributes:
        source, destination: never standard input or output.
        name: the input's path below its input folder, with "/" between the parts. Of several
            input folders that share an output folder, their names come first.
        folder: the output folder that the destination is in, which has the manifest.
    """

    source: Path
    destination: Path
    name: str
    folder: Path

    @property
    def label(self) -> str:
        return self.name

    @property
    def output_name(self) -> str:
        """The output's path below the output folder, with "/" between the parts."""
        return self.destination.relative_to(self.folder).as_posix()


class Passed(Struct, frozen=True):
    """Something that is no task, and why."""

    path: Path
    why: Ignored


class Unlisted(Struct, frozen=True):
    """A folder that cannot be listed."""

    path: Path
    error: OSError | EdsrError

    def record(self) -> Record:
        """It counts as a failure: nobody knows what is in it."""
        error, source = self.error, str(self.path)
        if isinstance(error, EdsrError):
            source, reason = error.about, str(error)
        else:
            name = display_name(self.path)
            reason = f"{name}: it cannot be listed ({error.strerror}). Check its permissions."
        kind = kind_of(error, reading=True)
        return Record(source, "", Status.FAILED, kind, reason, ended=time.time())


Item = BatchTask | Passed | Unlisted

Source = Iterator[Item | None]
"""Where tasks come from; it may go on for ever.

It is read by one thread, a little ahead of the work. While there is nothing for now it gives None,
at least once a second, so that the reader can see whether it is to stop.
"""


class Scanner:
    """Finds the pictures in input folders.

    A file is taken if its name has the ending of a format that can be read; nothing is opened.
    Hidden files and folders are left out, and so is every output folder. Links to files count as
    files. A link to a folder is followed if the folder lies elsewhere; no folder is entered twice,
    so that links cannot lead round in circles.

    Args:
        roots: the input folders.
        choice: the files to take.
        output_format: the format to write, for the ending of the outputs' names; None for that of
            each input.
        recursive: whether to take what is in folders below.
        namer: makes up names; None for the names of the inputs. With it, headers are read where
            names tell sizes.
        shard: the part of all pictures to take.
    """

    def __init__(
        self,
        roots: Sequence[Root],
        choice: Choice,
        output_format: OutputFormat | None,
        *,
        recursive: bool = True,
        namer: Namer | None = None,
        shard: Shard = WHOLE,
    ) -> None:
        self._roots, self._choice, self._recursive = tuple(roots), choice, recursive
        self._format, self._namer, self._shard = output_format, namer, shard
        self._outputs = {identity(root.folder) for root in roots}
        self._insides = tuple(identity(root.path).rstrip(os.sep) + os.sep for root in roots)

    def walk(self) -> Iterator[Item]:
        """Everything in the input folders, folder by folder, each in the order of its names."""
        for found in self._folders():
            if isinstance(found, _Folder):
                yield from self._items(found)
            else:
                yield found

    def count(self) -> Iterator[int]:
        """The numbers of tasks in each of the folders that `walk` goes through.

        It takes a quarter of the time, since nothing is made of the names.
        """
        for found in self._folders():
            if isinstance(found, _Folder):
                yield sum(self._left_out(found, name) is None for name in found.listing.files)

    def _folders(self) -> "Iterator[_Folder | Passed | Unlisted]":
        """All folders, each before those in it, and what is left out instead of being entered."""
        entered: set[tuple[int, int]] = set()
        for root in self._roots:
            waiting = [root.path]
            while waiting:
                path = waiting.pop()
                try:
                    folder = self._enter(root, path, entered)
                except (OSError, EdsrError) as error:
                    yield Unlisted(path, error)
                    continue
                yield folder
                if isinstance(folder, Passed):
                    continue
                inside = []
                for name in folder.listing.folders:
                    why = self._why_not_enter(root, path / name, folder.listing)
                    if why is None:
                        inside.append(path / name)
                    else:
                        yield Passed(path / name, why)
                waiting += reversed(inside)

    def _enter(self, root: Root, path: Path, entered: set[tuple[int, int]]) -> "_Folder | Passed":
        """List a folder, unless it is an output folder or was listed before.

        Raises:
            OSError, StoreError: it cannot be listed.
        """
        states: dict[str, FileState] = {}
        if root.origin is None:
            status = path.stat()
            if (key := (status.st_dev, status.st_ino)) in entered:
                return Passed(path, Ignored.REPEATED)
            entered.add(key)
            listing = Listing.read(path)
        else:
            listing = _list(root, path, states)
        # In stores, where nothing can be appended to, manifests are folders.
        names = listing.files if root.origin is None else listing.folders
        if path != root.path and any(map(manifest_shard, names)):  # of whatever run
            return Passed(path, Ignored.OUTPUTS)
        return _Folder(root, path, listing, states)

    def _items(self, folder: "_Folder") -> Iterator[Item]:
        """The items of the files in one folder."""
        root, path, files = folder.root, folder.path, folder.listing.files
        hidden = folder.listing.hidden
        pictures = [name for name in files if _suffix(name) in READ_SUFFIXES and name not in hidden]
        outputs = name_outputs(pictures, folder.listing.folders, partial(self._name, path))
        target = root.folder / folder.output
        for name in files:
            why = self._left_out(folder, name)
            if why is not None:
                yield Passed(path / name, why)
                continue
            source, task_name = path / name, folder.task_name(name)
            output_format = self._format or same_format(source)
            task = BatchTask(
                output_format,
                source=source,
                destination=target / outputs[name],
                name=task_name,
                folder=root.folder,
            )
            yield _in_stores(root, task, folder.states)

    def _left_out(self, folder: "_Folder", name: str) -> Ignored | None:
        """Why a file is no task; None if it is one."""
        if name in folder.listing.hidden:
            return Ignored.HIDDEN
        if not self._choice.takes_file(folder.below + name):
            return Ignored.EXCLUDED
        suffix = _suffix(name)
        if suffix not in READ_SUFFIXES:
            return Ignored.UNREAD if suffix in UNREAD_SUFFIXES else Ignored.OTHER
        return None if self._shard.has(folder.task_name(name)) else Ignored.SHARD

    def _why_not_enter(self, root: Root, folder: Path, listing: Listing) -> Ignored | None:
        if folder.name in listing.hidden:
            return Ignored.HIDDEN
        if not self._choice.enters_folder(folder.relative_to(root.path).as_posix()):
            return Ignored.EXCLUDED
        if identity(folder) in self._outputs:
            return Ignored.OUTPUTS
        if not self._recursive:
            return Ignored.SUBFOLDER
        if folder.name in listing.links and (identity(folder) + os.sep).startswith(self._insides):
            return Ignored.REPEATED
        return None

    def _name(self, folder: Path, stem: str, file: str) -> str:
        """The name of the output of a picture in a folder."""
        if self._format is not None and self._namer is None:
            return f"{stem}{self._format.suffixes[0]}"
        source = folder / file
        same = self._format is None
        form = self._format or same_format(source)
        ext = ending(source, form) if same else form.suffixes[0]
        return f"{stem}{ext}" if self._namer is None else self._namer.name(stem, source, ext)


class _Folder(Struct, frozen=True, dict=True):
    """A folder that is listed.

    Attributes:
        root: the input folder that it is in, or is.
        path: where it is.
        listing: what is in it.
        states: of the objects in it, if it lies in a store.
    """

    root: Root
    path: Path
    listing: Listing
    states: dict[str, FileState]

    @cached_property
    def below(self) -> str:
        """What comes before names in it in paths below the input folder."""
        below = _below(self.path, self.root)
        return f"{below}/" if below else ""

    @cached_property
    def output(self) -> str:
        """What comes before them in paths below the output folder."""
        return f"{self.root.prefix}/{self.below}" if self.root.prefix else self.below

    def task_name(self, name: str) -> str:
        """The name of the task for a file in it."""
        return self.output + name


def _below(path: Path, root: Root) -> str:
    """A path below an input folder, with "/" between the parts; "" for the folder itself."""
    below = path.relative_to(root.path).as_posix()
    return "" if below == "." else below


def _list(root: Root, folder: Path, states: dict[str, FileState]) -> Listing:
    """What is in a folder of a store; the states of its objects are put into `states`.

    Raises:
        StoreError: it cannot be listed.
    """
    assert root.origin is not None
    folders = []
    for entry in root.origin.folder(_below(folder, root)).entries():
        if entry.state is None:
            folders.append(entry.name)
        else:
            states[entry.name] = entry.state
    hidden = frozenset(name for name in (*states, *folders) if name.startswith("."))
    return Listing(tuple(sorted(states)), tuple(sorted(folders)), hidden, frozenset())


def _in_stores(root: Root, task: BatchTask, states: dict[str, FileState]) -> BatchTask:
    """A task with the objects that its input and output are, if they are any."""
    if root.origin is not None and root.staging is not None:
        name = task.source.name
        origin = root.origin.blob(_below(task.source, root), states[name])
        task = replace(task, source=root.staging.source(origin.address, name), origin=origin)
    if root.goal is not None:
        task = replace(task, goal=root.goal.blob(task.output_name))
    return task


def name_outputs(
    files: Iterable[str], folders: Iterable[str], call: Callable[[str, str], str]
) -> dict[str, str]:
    """Names of the outputs of the pictures in one folder: no two are the same.

    An output has the picture's name with another ending: a.jpg becomes a.png. Pictures that would
    become the same (a.jpg beside a.gif), or what a folder there is called, all keep their whole
    names: a.jpg.png and a.gif.png. Those that even then differ in nothing but case, which some
    file systems ignore, get eight digits made from the name as well.

    The names depend on what is in the folder, not on its order, nor on what is chosen from it.

    Args:
        files: the pictures' names.
        folders: names of the folders beside them, which will be there in the output too.
        call: gives the name of an output for a stem, by which it is told from others, and the
            picture's name.
    """
    call = cache(call)  # which may have to open the picture
    levels = dict.fromkeys(files, 0)
    reserved = {_folded(name) for name in folders}
    while True:
        writers: dict[str, list[str]] = {}
        for name, level in levels.items():
            writers.setdefault(_folded(call(_stem(name, level), name)), []).append(name)
        crowded = [
            name
            for output, names in writers.items()
            if len(names) > 1 or output in reserved
            for name in names
            if levels[name] == min(2, *(levels[other] for other in names)) < 2
        ]
        if not crowded:
            return {name: call(_stem(name, level), name) for name, level in levels.items()}
        for name in crowded:
            levels[name] += 1


def _stem(name: str, level: int) -> str:
    if level == 0:
        return os.path.splitext(name)[0]  # noqa: PTH122 - a path takes ten times as long
    if level == 1:
        return name
    digits = hashlib.sha256(os.fsencode(name)).hexdigest()[:8]
    return f"{name}.{digits}"


def _suffix(name: str) -> str:
    """The ending of a name, with its dot, in small letters."""
    return os.path.splitext(name)[1].lower()  # noqa: PTH122 - a path takes ten times as long


def _folded(name: str) -> str:
    """Equal for names that are one file where case, or the form of accents, is ignored."""
    if name.isascii():
        return name.lower()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())

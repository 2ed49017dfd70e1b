"""What became of the pictures of an output folder, from its manifests: whoever made them, and when.

Nothing is locked or written, and no model is loaded, so it may be asked while runs are at work.
"""

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from msgspec import Struct, field

from edsr_cli.errors import EdsrError, ExitCode, Kind, UsageError
from edsr_cli.files.names import display_name
from edsr_cli.folders.globs import Choice
from edsr_cli.folders.ledger import is_result, latest
from edsr_cli.folders.manifest import Made, Manifest
from edsr_cli.folders.output import Outputs, fetch_manifests, is_locked, manifests
from edsr_cli.folders.roots import Root, open_input, open_output
from edsr_cli.folders.scanning import BatchTask, Item, Scanner, Unlisted
from edsr_cli.folders.shards import WHOLE, Shard
from edsr_cli.folders.summary import Summary
from edsr_cli.images import format_for
from edsr_cli.jobs.naming import Namer, is_same
from edsr_cli.jobs.record import Record, Status
from edsr_cli.jobs.staging import Staging
from edsr_cli.stores.addresses import is_address
from edsr_cli.stores.store import Store
from edsr_cli.text import one_line


class Part(Struct):
    """What one manifest says.

    Attributes:
        shard: the part of all pictures that it is about.
        state: "at work", "ended", "stopped" with the reason, or "broken off", for people; in a
            store "at work, or broken off".
        since: when that was last known, in seconds since 1970; 0 for unknown.
        done, failed: pictures of which its line is the last word.
        run: what its last run was asked for; empty if it does not say.
        recipe: what its outputs are made with; empty if it does not say.
    """

    shard: Shard
    state: str = "broken off"
    since: float = 0.0
    done: int = 0
    failed: int = 0
    run: dict[str, Any] = field(default_factory=dict)
    recipe: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        name = "without shards" if self.shard == WHOLE else f"shard {self.shard}"
        when = time.strftime(" %Y-%m-%d %H:%M", time.localtime(self.since)) if self.since else ""
        return f"{name}: {self.done:,} done, {self.failed:,} failed; {self.state}{when}"


class _Word(Struct, frozen=True):
    """The last word of a manifest about an input."""

    part: int
    time: float
    made: Made | None
    kind: str = ""
    reason: str = ""


class FolderStatus:
    """What became of the pictures of an output folder.

    Args:
        name: the output folder, or its address.
        staging: where manifests of stores are kept meanwhile.

    Attributes:
        folder: the output folder; of one in a store, what stands for it here.
        goal: it, in a store.
        parts: what each manifest says; complete when `records` has been read to the end.

    Raises:
        UsageError: there is no manifest in it.
        LedgerError, StoreError: a manifest cannot be read.
    """

    def __init__(self, name: str | Path, staging: Staging | None = None) -> None:
        folder, self.goal = open_output(str(name), staging)
        self.folder, self._staging = folder, staging
        self._outputs = Outputs(folder, self.goal)
        if self.goal is not None:
            folder.mkdir(parents=True, exist_ok=True)
            fetch_manifests(self.goal, folder)
        shards = manifests(folder)
        if not shards:
            raise UsageError(
                "this is no folder that edsr batch has written to.",
                "Give --status an output folder.",
                about=self.goal.shown if self.goal else display_name(folder),
            )
        self.parts = [Part(shard) for shard in shards]
        self._words: dict[str, list[_Word]] = {}
        for number, part in enumerate(self.parts):
            self._read(number, part)

    @property
    def roots(self) -> list[Root]:
        """The input folders, as the last run of each part had them."""
        named = {
            (str(path), str(prefix)): None
            for part in self.parts
            for path, prefix in part.run.get("inputs", ())
        }
        return [self._root(path, prefix) for path, prefix in named]

    def _root(self, name: str, prefix: str) -> Root:
        """An input folder; one that cannot be found from here is a folder that is not there."""
        if not is_address(name):
            name = os.path.normpath(self.folder / name)
        path, origin = Path(name), None
        with suppress(EdsrError):
            path, origin = open_input(name, self._staging)
        return Root(path, self.folder, prefix, origin, self.goal, self._staging)

    @property
    def settings(self) -> dict[str, str]:
        """What outputs are made with, by the last recipe, for a report."""
        recipes = [part.recipe for part in self.parts if part.recipe]
        last = recipes[-1] if recipes else {}
        return {
            name: one_line(str(value))
            for name, value in last.items()
            if name not in ("event", "recipe")
        }

    def records(self) -> Iterator[Record]:
        """A record for each picture: done, failed, or planned where the output is missing.

        Pictures that no run has begun with are among the planned ones if the input folders, as the
        last run knew them, can be found from here. Folders that cannot be listed have failed.
        """
        roots = self.roots
        places = {root.prefix: root for root in roots}
        for name, words in self._words.items():
            yield self._record(name, words, places)
        for item in self._items(roots):
            if isinstance(item, Unlisted):
                yield item.record()
            elif isinstance(item, BatchTask) and item.name not in self._words:
                reason = "no run has come to it yet"
                yield self._planned(item.source_name, item.destination_name, reason)

    def _read(self, number: int, part: Part) -> None:
        manifest = Manifest(self.folder / part.shard.manifest, writable=False)
        try:
            for values in manifest.lines():
                moment = values.get("time")
                moment = moment if isinstance(moment, int | float) else 0.0
                event = values["event"]
                if event == "made":
                    self._hear(values, _Word(number, moment, Made.from_line(values)))
                elif event == "failed" and "input" in values:
                    reason, kind = str(values.get("reason")), str(values.get("kind"))
                    self._hear(values, _Word(number, moment, None, kind, reason))
                elif event == "recipe":
                    part.recipe = values
                elif event == "run" and {"inputs", "format"} <= values.keys():
                    # There are no locks in stores.
                    state = "at work, or broken off" if self.goal else "broken off"
                    part.run, part.state = values, state
                elif event == "ended":
                    stopped = values.get("stopped")
                    part.state = f"stopped ({stopped})" if stopped else "ended"
                part.since = max(part.since, moment)
        finally:
            manifest.close()
        if is_locked(self.folder / part.shard.lock):
            part.state = "at work"

    def _hear(self, values: dict[str, Any], word: _Word) -> None:
        """Keep the last word of each part."""
        words = self._words.setdefault(str(values["input"]), [])
        words[:] = [other for other in words if other.part != word.part]
        words.append(word)

    def _record(self, name: str, words: Sequence[_Word], places: dict[str, Root]) -> Record:
        made = [word.made for word in words if word.made is not None]
        found = self._outputs.state(made[0].output) if made else None
        best = latest(found, made)
        last = max(words, key=lambda word: word.time)
        source = _source(name, places)
        fits = found is not None and best is not None and is_result(found, best)
        if last.made is None and (best is None or not fits or last.time > best.time):
            self.parts[last.part].failed += 1
            kind = Kind(last.kind) if last.kind in {each.value for each in Kind} else None
            return Record(
                source,
                "" if best is None else self._outputs.name(best.output),
                Status.FAILED,
                kind or Kind.UNEXPECTED,
                last.reason,
                ended=last.time,
                exit_code=ExitCode.SOME_FAILED,
            )
        assert best is not None
        output = self._outputs.name(best.output)
        if found is None:
            return self._planned(source, output, "its output is not there")
        word = next(word for word in words if word.made is best)
        self.parts[word.part].done += 1
        notes = () if fits else ("the output has been changed since it was made",)
        return Record(
            source,
            output,
            Status.DONE,
            input_bytes=best.source.size,
            output_bytes=found.size,
            notes=notes,
            ended=best.time,
        )

    def _planned(self, source: str, output: str, note: str) -> Record:
        return Record(source, output, Status.PLANNED, notes=(note,), ended=time.time())

    def _items(self, roots: Sequence[Root]) -> Iterator[Item]:
        """What is in the input folders, as far as they can be found from here."""
        runs = [part.run for part in self.parts if part.run]
        roots = [root for root in roots if root.origin or os.path.isdir(root.path)]
        if not runs or not roots:
            return
        run = runs[-1]
        choice = Choice(run.get("include", ()), run.get("exclude", ()))
        name = run["format"]
        output_format = None if is_same(name) else format_for(None, name)
        namer = Namer.from_dict(run["namer"]) if run.get("namer") else None
        recursive = bool(run.get("recursive", True))
        scanner = Scanner(roots, choice, output_format, recursive=recursive, namer=namer)
        yield from scanner.walk()


def _source(name: str, places: dict[str, Root]) -> str:
    """The path of an input, by the name of its task; the name itself where nobody knows."""
    first, _, rest = name.partition("/")
    root, below = (places[""], name) if "" in places else (places.get(first), rest)
    if root is None or not below:
        return name
    return root.origin.blob(below).shown if root.origin else str(root.path / below)


def run_line(
    roots: Sequence[Root], folder: Path, *, shard: Shard, settings: dict[str, Any]
) -> dict[str, Any]:
    """What a manifest is told at the beginning of a run, by which `FolderStatus` finds the inputs.

    Args:
        roots: the input folders.
        folder: the output folder whose manifest it is; inputs are named from there, since other
            machines may have both under another name.
        shard: the part of all pictures that is made.
        settings: "include", "exclude", "recursive", "format", and "namer" where outputs are not
            called as inputs are.
    """
    inputs = [[_place(root), root.prefix] for root in roots if root.folder == folder]
    return {"inputs": inputs, "shard": str(shard), **settings, "time": round(time.time(), 3)}


def _place(root: Root) -> str:
    """What an input folder is called in a manifest; without what is secret in an address."""
    if isinstance(root.origin, Store):
        return root.origin.shown
    if root.goal is None:
        with suppress(ValueError):  # on another drive of Windows
            return Path(os.path.relpath(root.path, root.folder)).as_posix()
    return str(root.path.absolute())


def tell(folders: Sequence[FolderStatus], listeners: Sequence[Any]) -> Summary:
    """Tell listeners of a run what became of all pictures, and add it up."""
    summary = Summary()
    for status in folders:
        for record in status.records():
            summary.add(record)
            for listener in listeners:
                listener.ended(record)
    for listener in listeners:
        listener.finished(summary)
    return summary

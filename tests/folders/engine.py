"""A batch as the command makes it, with the network that repeats pixels."""

import hashlib
import threading
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edsr_cli.folders.globs import Choice
from edsr_cli.folders.recipe import recipe_of
from edsr_cli.folders.roots import assign_folders
from edsr_cli.folders.run import Batch
from edsr_cli.folders.scanning import Scanner
from edsr_cli.folders.shards import WHOLE
from edsr_cli.folders.status import run_line
from edsr_cli.images import format_for
from edsr_cli.inference import Upscaler
from edsr_cli.jobs.record import Record
from edsr_cli.jobs.threads import Limits, Threaded
from edsr_cli.jobs.worker import Worker
from edsr_cli.options.pictures import Outputs
from tests.jobs.nearest import NAME, nearest_weights, read_back, repeated

NAMES = [f"{i}.png" for i in range(8)]
LIMITS = Limits(workers=2, decoded_bytes=1 << 20, upscaled_bytes=1 << 22)


class Collect:
    """A listener that remembers everything."""

    def __init__(self):
        self.records: list[Record] = []
        self.states = []
        self.summaries = []

    def ended(self, record):
        self.records.append(record)

    def tick(self, state):
        self.states.append((state.summary.ended, state.fed, state.total, state.counted))

    def finished(self, summary):
        self.summaries.append(summary)

    def by_name(self, folder):
        """Records by the input's path below a folder."""
        return {
            Path(record.input).relative_to(folder).as_posix(): record for record in self.records
        }


class StopAfter(Collect):
    """Asks for a stop when so many pictures have ended."""

    def __init__(self, batch, count):
        super().__init__()
        self.batch, self.count = batch, count

    def ended(self, record):
        super().ended(record)
        if len(self.records) == self.count:
            self.batch.ask_to_stop()


class Engine:
    """Makes batches over `source`; the network is built once."""

    def __init__(self, source: Path, devices=("cpu",), scale=2):
        weights = nearest_weights(scale)
        self.upscalers = [Upscaler(weights, scale, device, "fp32") for device in devices]
        self.source, self.scale = source, scale

    def parts(
        self, output=None, form="png", inputs=None, include=(), exclude=(), recursive=True,
        limits=LIMITS, checksum=False, fail_fast=False, shard=WHOLE, namer=None, **settings,
    ):  # fmt: skip
        """A batch, and the scanner of its inputs."""
        roots = assign_folders(
            [str(path) for path in inputs or [self.source]],
            None if output is None else str(output),
            f"x{self.scale}",
            recursive,
        )
        output_format = format_for(None, form)
        worker = Worker(model=NAME, upscalers=self.upscalers, options=Outputs(**settings))
        asked = {"include": include, "exclude": exclude, "recursive": recursive, "format": form}
        asked |= {} if namer is None else {"namer": namer.to_dict()}
        batch = Batch(
            worker=worker, folders=[root.folder for root in roots],
            recipe=recipe_of(worker, output_format), limits=limits, checksum=checksum,
            fail_fast=fail_fast, shard=shard,
            run_line=lambda folder: run_line(roots, folder, shard=shard, settings=asked),
        )  # fmt: skip
        choice = Choice(include, exclude)
        scanner = Scanner(
            roots, choice, output_format, recursive=recursive, namer=namer, shard=shard
        )
        return batch, scanner

    def run(self, *listeners, plan=False, **options):
        """Do a whole batch; gives what was collected."""
        batch, scanner = self.parts(**options)
        collect = Collect()
        if plan:
            batch.plan(scanner.walk(), [collect, *listeners])
        else:
            batch.run(scanner.walk(), [collect, *listeners], scanner.count())
        [collect.summary] = collect.summaries
        return collect


def statuses(run: Collect) -> list[tuple[str, str, str | None]]:
    """Name, status and kind of every picture that has ended, in the order of the names."""
    return sorted(
        (Path(record.input).name, record.status.value, record.kind and record.kind.value)
        for record in run.records
    )


def no_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make it an error to read or upscale a picture."""
    monkeypatch.setattr(Upscaler, "upscale_into", None)
    monkeypatch.setattr(Worker, "decode", None)


def no_more_than_until_the_stop(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the network wait with all further pictures until the run is told to begin none."""
    upscale, stop, begun, told = (
        Upscaler.upscale_into,
        Threaded._begin_nothing,
        [],
        threading.Event(),
    )

    def wait(*arguments, **options):
        begun.append(1)
        assert len(begun) <= count or told.wait(60)
        return upscale(*arguments, **options)

    monkeypatch.setattr(Upscaler, "upscale_into", wait)
    monkeypatch.setattr(Threaded, "_begin_nothing", lambda self: (stop(self), told.set()))


def paint(path: Path, height: int = 6, width: int = 9, seed: int = 0) -> np.ndarray:
    """Write a small picture; gives its pixels."""
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return pixels


def paint_all(folder: Path, names: Iterable[str]) -> dict[str, np.ndarray]:
    """Write different pictures; gives their pixels by name."""
    return {name: paint(folder / name, seed=seed) for seed, name in enumerate(names)}


def is_upscaled(output: Path, pixels: np.ndarray, scale: int = 2) -> bool:
    """Whether a file holds what the network makes of some pixels."""
    return np.array_equal(np.asarray(read_back(output)), repeated(pixels, scale))


def contents(folder: Path) -> dict[str, str]:
    """Digests of all files in a folder, the manifest and its lock left out."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file() and not path.name.startswith(".edsr-manifest")
    }


def whole(output, pixels):
    """Check that all outputs there are complete; gives their names."""
    assert not list(output.rglob("*.tmp"))
    names = sorted(contents(output))
    assert all(is_upscaled(output / name, pixels[name]) for name in names)
    return names

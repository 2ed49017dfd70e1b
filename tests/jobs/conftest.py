"""What tests of jobs use."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from edsr_cli.errors import ExitCode
from edsr_cli.images import bands
from edsr_cli.inference import Progress, Upscaler
from edsr_cli.jobs import reading
from edsr_cli.jobs.estimates import plan
from edsr_cli.jobs.naming import assign_outputs
from edsr_cli.jobs.record import Record, Status
from edsr_cli.jobs.task import Task
from edsr_cli.jobs.worker import Worker
from edsr_cli.options.pictures import Outputs
from tests.jobs.nearest import NAME, by_factor, nearest_weights

PIXELS = np.random.default_rng(0).integers(0, 256, (6, 9, 3), np.uint8)
"""What is in the picture `photo`."""


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Pictures in tests are so small that threads would only wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def upscaler() -> Upscaler:
    return Upscaler(nearest_weights(), 4, "cpu", "fp32")


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    Image.fromarray(PIXELS).save(path)
    return path


def by_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Treat every picture as large, and decode a few rows of it at a time."""
    monkeypatch.setattr(reading, "is_large", lambda *arguments: True)
    monkeypatch.setattr(bands, "_BAND_BYTES", 1024)
    monkeypatch.setattr(bands, "_SMALL", 0)


class Job:
    """One task, and who does it."""

    def __init__(self, task: Task, upscaler: Upscaler, model: str = NAME, **options: Any) -> None:
        self.task = task
        self.worker = Worker(model=model, upscalers=[upscaler], options=Outputs(**options))

    def run(self, progress: Progress | None = None) -> Record:
        return self.worker.complete(self.task, progress)

    def plan(self) -> Record:
        return plan(self.worker, self.task, forgiving=True)


@pytest.fixture
def job(upscaler: Upscaler, photo: Path) -> Callable[..., Job]:
    """Make a job; by default `photo` to a file beside it."""

    def make(
        source: Path | str = photo,
        destination: Path | str | None = None,
        form: str | None = None,
        **settings: Any,
    ) -> Job:
        output = None if destination is None else str(destination)
        [task] = assign_outputs([str(source)], output, by_factor(), form)
        return Job(task, upscaler, **settings)

    return make


def failed(result: Record, words: str, code: ExitCode = ExitCode.SOME_FAILED) -> None:
    """Check a result that is a failure, and that its message is one good line."""
    assert result.status is Status.FAILED
    assert result.exit_code is code
    assert result.reason is not None
    assert words in result.reason and "unexpected" not in result.reason
    assert "\n" not in result.reason and result.reason.endswith(".")
    json.dumps(result.to_dict())


def listing(folder: Path) -> list[str]:
    """The names of everything in a folder, without those of the folders that it is in."""
    return sorted(path.name for path in folder.rglob("*"))

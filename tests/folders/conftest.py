"""What tests of batches use."""

import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.folders.engine import NAMES, Engine, paint_all
from tests.jobs.conftest import one_thread as one_thread


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    """A batch engine over the empty folder `in`."""
    (tmp_path / "in").mkdir()
    return Engine(tmp_path / "in")


@pytest.fixture
def source(engine: Engine) -> Path:
    """The engine's folder of inputs."""
    return engine.source


@pytest.fixture
def threads_end() -> Iterator[None]:
    """Check that a test leaves no thread behind."""
    before = set(threading.enumerate())
    yield
    assert set(threading.enumerate()) <= before


@pytest.fixture
def pixels(engine: Engine) -> dict[str, np.ndarray]:
    """Eight pictures in the engine's folder, by their names."""
    return paint_all(engine.source, NAMES)


@pytest.fixture
def output(engine: Engine) -> Path:
    """Where their upscaled versions come to be."""
    return engine.source.parent / "in_x2"

"""Small pictures to learn from."""

import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from edsr_cli.training import run as run_module
from edsr_cli.training.loading import load_photos
from edsr_cli.training.photos import Photos
from edsr_cli.training.run import Run
from tests.training.runs import make


def picture(seed: int, height: int, width: int) -> NDArray[np.uint8]:
    """Waves of random directions: smooth, and different everywhere."""
    random = np.random.default_rng(seed)
    rows, columns = np.mgrid[:height, :width]
    waves = [
        np.sin(random.uniform(0.05, 0.6) * rows + random.uniform(0.05, 0.6) * columns + phase)
        for phase in random.uniform(0, 6, 3)
    ]
    return np.round(127.5 + 100 * np.stack(waves, 2)).astype(np.uint8)


@pytest.fixture
def plots() -> None:
    """Plots are drawn in this test; see `without_plots`."""
    pytest.importorskip("matplotlib")


@pytest.fixture(autouse=True)
def without_plots(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Trainings find no matplotlib, as in many installations, but in tests that ask for `plots`.

    To draw a plot takes longer than all else that a short training does.
    """
    if "plots" not in request.fixturenames:
        monkeypatch.setitem(sys.modules, "matplotlib.figure", None)


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four pictures of different sizes, one of them in a folder below."""
    path = tmp_path_factory.mktemp("photos")
    (path / "below").mkdir()
    names = ["a.png", "b.png", "below/c.png", "d.bmp"]
    for seed, (name, size) in enumerate(
        zip(names, [(50, 61), (48, 48), (75, 49), (64, 97)], strict=True)
    ):
        Image.fromarray(picture(seed, *size)).save(path / name)
    return path


@pytest.fixture(scope="session")
def photos(folder: Path) -> Photos:
    """The pictures of `folder` with LR versions for all scales."""
    return load_photos([folder], (2, 3, 4), least=48)


@pytest.fixture(scope="session")
def whole(photos: Photos, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run that was not stopped, with a line in the record every 3 updates."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run_module, "_LOG_EVERY", 3)
        run = make(tmp_path_factory.mktemp("whole"), photos)
        for _ in run.steps():
            pass
        run.save_weights("test", "CC0-1.0", "made for tests")
    return run

"""Transparent pictures through the whole job, with a network that repeats pixels and a real one."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edsr_cli.checkpoints.loader import load_network
from edsr_cli.images.alpha import DROPPED, UNCOVERED, WAYS_OUT
from edsr_cli.inference import Upscaler
from edsr_cli.jobs.naming import assign_outputs
from edsr_cli.jobs.reading import inspect
from edsr_cli.jobs.record import Status
from tests.jobs.conftest import Job
from tests.jobs.nearest import by_factor, read_back, repeated

RING = np.hypot(*np.mgrid[-19:21, -20:24])
SOFT = (np.clip(12.5 - RING, 0, 1) * 255).round().astype(np.uint8)
"""A disc with a soft edge."""

CORE = RING < 9


def draw(path: Path, inside: int, outside: int, alpha: np.ndarray = SOFT) -> Path:
    """A disc of one grey, on another that is transparent."""
    grey = np.where(alpha > 0, inside, outside).astype(np.uint8)
    Image.fromarray(np.dstack([grey, grey, grey, alpha])).save(path)
    return path


def visible(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """The colours of what is visible of a picture, and its alpha."""
    image = np.asarray(read_back(path).convert("RGBA"))  # libraries leave out what is opaque
    return image[image[..., 3] > 0][:, :3], image[..., 3]


@pytest.mark.parametrize("scale", [2, 4])
@pytest.mark.parametrize("inside", [255, 0])
def test_no_fringe_by_a_real_network(scale, inside, tmp_path):
    """A white disc on transparent black stays white up to its edge, and a black one black."""
    source = draw(tmp_path / "disc.png", inside, 255 - inside)
    upscaler = Upscaler(load_network("edsr-free", scale).checkpoint, scale, "cpu", "fp32")
    [task] = assign_outputs([str(source)], None, by_factor(scale), None)
    assert Job(task, upscaler, "free", alpha="keep").run().status is Status.DONE
    colours, alpha = visible(tmp_path / f"disc_x{scale}.png")
    assert np.abs(colours.astype(int) - inside).max() <= 2
    # Not so without the help: what is hidden shines through.
    bare = upscaler.upscale(np.asarray(read_back(source).convert("RGB")), dtype="uint8").pixels
    assert np.abs(bare[alpha > 0].astype(int) - inside).max() > 50


def test_keep(job, tmp_path):
    source = draw(tmp_path / "disc.png", 255, 0)
    result = job(source, alpha="keep").run()
    assert result.status is Status.DONE and result.notes == ()
    colours, alpha = visible(tmp_path / "disc_x4.png")
    assert (colours == 255).all()
    assert (alpha[repeated(np.dstack([CORE] * 3))[..., 0]] == 255).all()
    assert (alpha[repeated(np.dstack([RING > 14.5] * 3))[..., 0]] == 0).all()
    # It is the same disc, larger.
    back = Image.fromarray(alpha).resize(SOFT.shape[::-1], Image.Resampling.BOX)
    off = np.abs(np.asarray(back).astype(int) - SOFT)
    assert off.max() < 40 and off.mean() < 2


@pytest.mark.parametrize("form", ["png", "webp", "tiff", "avif"])
def test_opaque_is_exactly_opaque(job, tmp_path, form):
    source = draw(tmp_path / "disc.png", 90, 0, np.full(SOFT.shape, 255, np.uint8))
    result = job(source, form=form, alpha="keep").run()
    assert result.status is Status.DONE and result.notes == ()
    [output] = tmp_path.glob("disc_x4.*")
    colours, alpha = visible(output)
    assert (alpha == 255).all() and np.abs(colours.astype(int) - 90).max() <= 1


def test_a_picture_without_alpha_gets_none(job, tmp_path, photo):
    assert job(alpha="keep").run().status is Status.DONE
    assert read_back(tmp_path / "photo_x4.png").mode == "RGB"


@pytest.mark.parametrize("colour", ["#ffffff", "#ff8000"])
def test_a_colour(job, tmp_path, colour):
    source = draw(tmp_path / "disc.png", 30, 200)
    result = job(source, form="jpeg", alpha=colour).run()
    assert result.status is Status.DONE and result.notes == ()
    assert job(source, alpha=colour).run().status is Status.DONE
    image = read_back(tmp_path / "disc_x4.png")
    ground = Image.new("RGBA", SOFT.shape[::-1], colour)
    by_hand = np.asarray(Image.alpha_composite(ground, read_back(source)).convert("RGB"))
    assert image.mode == "RGB"
    assert np.abs(np.asarray(image).astype(int) - repeated(by_hand)).max() <= 1


def test_drop_warns_only_of_what_is_uncovered(job, tmp_path):
    hidden = draw(tmp_path / "hidden.png", 0, 0)
    assert job(hidden).run().notes == (f"{UNCOVERED}; {WAYS_OUT}",)
    assert np.asarray(read_back(tmp_path / "hidden_x4.png")).max() == 0
    hard = np.where(RING < 12, 255, 0).astype(np.uint8)
    assert job(draw(tmp_path / "shown.png", 0, 255, hard)).run().notes == (DROPPED,)
    opaque = np.full(SOFT.shape, 255, np.uint8)
    assert job(draw(tmp_path / "opaque.png", 0, 0, opaque)).run().notes == ()


def test_pixels_are_counted_with_alpha(job, tmp_path):
    """A batch decides by this how many pictures may wait."""
    source = draw(tmp_path / "disc.png", 0, 0)
    for alpha, channels in (("drop", 3), ("#ffffff", 3), ("keep", 4)):
        made = job(source, alpha=alpha)
        inspected = inspect(made.task, made.worker.options)
        assert inspected.pixel_bytes == SOFT.size * channels

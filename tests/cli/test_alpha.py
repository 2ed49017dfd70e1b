"""--alpha of `edsr upscale` and `edsr batch`."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edsr_cli.images.alpha import UNCOVERED, WAYS_OUT
from tests.cli.conftest import listing, usage
from tests.jobs.nearest import read_back

LOGO = Image.new("RGBA", (12, 8))
LOGO.paste((0, 0, 0, 255), (3, 2, 9, 6))
"""Black, on what is transparent and black, too."""


@pytest.fixture
def logo():
    LOGO.save("logo.png")
    return "logo.png"


def test_dropped_with_a_remark(upscale, logo):
    run = upscale(logo, "--json")
    assert run.code == 0 and f"logo.png: {UNCOVERED}; {WAYS_OUT}" in run.lines
    assert json.loads(run.out)["notes"] == [f"{UNCOVERED}; {WAYS_OUT}"]
    assert read_back(Path("logo_x4.png")).getextrema() == ((0, 0),) * 3


def test_kept(upscale, logo):
    for form in ("png", "webp", "tiff", "avif"):
        run = upscale(logo, "--alpha", "keep", "-f", form, "-o", f"out.{form}")
        assert run.code == 0 and len(run.lines) == 1, run.err
        image = read_back(Path(f"out.{form}"))
        alpha = np.asarray(image)[..., 3]
        assert image.mode == "RGBA" and image.size == (48, 32)
        assert (alpha[12:20, 16:32] == 255).all() and (alpha[:4] == 0).all()
    run = upscale(logo, "--alpha", "keep", "-o", "-")
    assert run.code == 0 and run.out == Path("out.png").read_bytes()


def test_on_a_colour(upscale, logo):
    run = upscale(logo, "--alpha", "white", "-f", "jpg")
    assert run.code == 0 and len(run.lines) == 1
    assert read_back(Path("logo_x4.jpg")).getpixel((1, 1)) == (255, 255, 255)
    assert upscale(logo, "--alpha", "#ff8000", "-o", "b.png").code == 0
    image = read_back(Path("b.png"))
    assert image.mode == "RGB" and image.getpixel((1, 1)) == (255, 128, 0)
    assert image.getpixel((24, 16)) == (0, 0, 0)


@pytest.mark.parametrize("form", ["jpeg", "bmp"])
@pytest.mark.parametrize("command", ["upscale", "batch"])
def test_formats_without_alpha_are_refused_first(upscale, batch, logo, form, command):
    run = (
        upscale(logo, "--alpha", "keep", "-f", form)
        if command == "upscale"
        else batch("in", "--alpha", "keep", "-f", form)
    )
    usage(run, f"{form.upper()} cannot hold the alpha channel")
    assert "PNG, WebP, TIFF, AVIF" in run.err and "--alpha white" in run.err
    assert listing(Path()) == ["in", "logo.png", "photo.png"]


@pytest.mark.parametrize("value", ["", "maybe", "#12", "#11223344"])
def test_what_is_no_setting(upscale, logo, value):
    run = upscale(logo, "--alpha", value)
    assert run.code == 2 and "--alpha" in run.err and "drop, keep" in run.err


def test_a_batch_makes_pictures_again_that_had_another_setting(batch):
    LOGO.save("in/logo.png")
    plain = batch("in", "--json")
    assert json.loads(plain.out)["notes"] == [f"{UNCOVERED}; {WAYS_OUT}"]
    kept = batch("in", "--alpha", "keep", "--json")
    assert json.loads(kept.out)["status"] == "done"
    assert read_back(Path("in_x4/logo.png")).mode == "RGBA"
    for value in ("keep", "KEEP"):
        assert json.loads(batch("in", "--alpha", value, "--json").out)["status"] == "skipped"
    white = batch("in", "--alpha", "white", "--json")
    assert json.loads(white.out)["status"] == "done"
    # The same colour by another name.
    assert json.loads(batch("in", "--alpha", "#FFF", "--json").out)["status"] == "skipped"

"""All frames of a file, from file to file, through networks that repeat pixels."""

import io

import numpy as np
import pytest
from msgspec.structs import replace
from PIL import Image

from edsr_cli.errors import UsageError
from edsr_cli.images import format_for, open_picture
from edsr_cli.jobs import estimates
from edsr_cli.jobs.record import Status
from edsr_cli.jobs.spec import WorkerSpec
from edsr_cli.jobs.task import Task
from edsr_cli.options.pictures import Outputs
from tests.images.test_frames import FILES, pictures
from tests.jobs.nearest import repeated, save_nearest


@pytest.fixture
def run(tmp_path):
    model = save_nearest(tmp_path / "x2.safetensors", 2)

    def go(content, name, plan=False, progress=None, resume=None, **options):
        source = tmp_path / "in"
        source.write_bytes(content)
        destination = tmp_path / name
        options = Outputs(
            model=model, device="cpu", precision="fp32", frames="all", overwrite=True, **options
        )
        worker = replace(WorkerSpec(options=options, devices=("cpu",)).open(), resume=resume)
        task = Task(source, destination, format_for(destination))
        record = estimates.plan(worker, task) if plan else worker.complete(task, progress)
        return destination, record

    return go


@pytest.mark.parametrize("form", ["GIF", "WebP", "APNG"])
@pytest.mark.parametrize("name", ["out.gif", "out.webp", "out.png", "out.tif"])
def test_every_animation_becomes_every_other(run, form, name):
    seen = []
    path, record = run(FILES[form], name, progress=lambda *done: seen.append(done))
    assert record.status is Status.DONE and record.notes[0] == "all 3 frames are made larger"
    assert record.output_bytes == path.stat().st_size
    with open_picture(path) as opened:
        for found, expected in zip(opened.frames(), pictures(), strict=True):
            assert (found.pixels == repeated(expected, 2)).all()
            assert found.milliseconds == (None if name == "out.tif" else 80)
    assert seen == sorted(seen) and seen[-1][0] == seen[-1][1]


def test_pages_have_sizes_of_their_own(run):
    sizes = [(20, 12), (7, 30), (1, 1)]
    first, *more = (Image.new("RGB", size, (9, 80, n)) for n, size in enumerate(sizes))
    file = io.BytesIO()
    first.save(file, "TIFF", save_all=True, append_images=more)
    path, record = run(file.getvalue(), "out.tif")
    assert record.status is Status.DONE and record.notes == ("all 3 pages are made larger",)
    with Image.open(path) as image:
        for number, (width, height) in enumerate(sizes):
            image.seek(number)
            assert image.size == (2 * width, 2 * height)
            assert image.getpixel((0, 0)) == (9, 80, number)
    path, record = run(file.getvalue(), "out.gif")
    assert record.status is Status.FAILED and not path.exists()
    assert "GIF cannot hold its 3 pages" in record.reason


def test_transparency_is_kept_or_laid_on_a_colour(run):
    pixels = [np.full((6, 8, 4), (200, 10, 10, 255), np.uint8) for _ in range(2)]
    pixels[0][2, 3], pixels[1][4, 4] = 0, 0
    first, second = map(Image.fromarray, pixels)
    file = io.BytesIO()
    first.save(file, "GIF", save_all=True, append_images=[second], disposal=2, duration=50)
    for name in ("out.webp", "out.png", "out.gif"):
        path, record = run(file.getvalue(), name, alpha="keep")
        assert record.status is Status.DONE
        with open_picture(path) as opened:
            for number, found in enumerate(opened.frames(keep_alpha=True)):
                hole = np.argwhere(found.alpha < 128)
                assert len(hole) and (abs(hole - 2 * np.array([(2, 3), (4, 4)][number])) < 4).all()
    path, _ = run(file.getvalue(), "out.webp", alpha="white")
    with open_picture(path) as opened:
        for number, found in enumerate(opened.frames(keep_alpha=True)):
            assert found.alpha is None
            row, column = [(2, 3), (4, 4)][number]
            assert (found.pixels[2 * row, 2 * column] == 255).all()


def test_one_frame_is_a_picture(run):
    file = io.BytesIO()
    Image.fromarray(pictures()[0]).save(file, "PNG")
    for name in ("out.png", "out.gif", "out.tif"):
        path, record = run(file.getvalue(), name)
        assert record.status is Status.DONE and record.notes == ()
        with open_picture(path) as opened:
            assert (opened.read().pixels == repeated(pictures()[0], 2)).all()


def test_a_dry_run_counts_them(run):
    path, record = run(FILES["GIF"], "out.gif", plan=True)
    assert record.status is Status.PLANNED and not path.exists()
    assert record.notes == ("all 3 frames are made larger",)
    file = io.BytesIO()
    Image.fromarray(pictures()[0]).save(file, "GIF")
    single = run(file.getvalue(), "out.gif", plan=True)[1]
    assert record.plan["multiply_adds"] == 3 * single.plan["multiply_adds"]


def test_all_frames_together_are_limited(run):
    path, record = run(FILES["WebP"], "out.webp", max_pixels=3 * 20 * 12 - 1)
    assert record.status is Status.FAILED and not path.exists()
    assert "720 pixels in 3 frames or pages" in record.reason
    assert run(FILES["WebP"], "out.webp", max_pixels=720)[1].status is Status.DONE


def test_a_cover_is_left_out_with_a_remark(run):
    cover, *shown = map(Image.fromarray, pictures())
    file = io.BytesIO()
    cover.save(file, "PNG", save_all=True, append_images=shown, default_image=True)
    path, record = run(file.getvalue(), "out.gif")
    assert record.notes == (
        "all 2 frames are made larger",
        "left out: its cover, which is shown where animations are not",
    )
    with open_picture(path) as opened:
        assert opened.info.frames == 2


def test_rows_of_several_are_not_kept(run, caplog):
    assert run(FILES["GIF"], "out.gif", plan=True, resume=True)[1].status is Status.PLANNED
    assert "no rows are kept for --resume: it has 3 frames or pages" in caplog.text


def test_one_frame_and_all_exclude_each_other():
    with pytest.raises(UsageError, match="--frame and --frames exclude"):
        Outputs(frame=2, frames="all")

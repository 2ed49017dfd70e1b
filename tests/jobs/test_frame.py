"""`--frame`: another frame or page than the first."""

import numpy as np
import pytest
from PIL import Image

from edsr_cli.api.pictures import PictureUpscaler
from edsr_cli.errors import PictureError
from edsr_cli.jobs import reading
from edsr_cli.jobs.record import Status
from tests.jobs.nearest import read_back, repeated

SIZES = ((6, 9), (8, 5), (7, 7))
PAGES = [np.random.default_rng(n).integers(0, 256, (*SIZES[n], 3), np.uint8) for n in range(3)]


@pytest.fixture
def pages(tmp_path):
    first, *more = map(Image.fromarray, PAGES)
    first.save(tmp_path / "pages.tif", save_all=True, append_images=more)
    return tmp_path / "pages.tif"


@pytest.mark.parametrize("large", [False, True])
@pytest.mark.parametrize("number", [1, 2, 3])
def test_each_page(job, pages, tmp_path, monkeypatch, number, large):
    monkeypatch.setattr(reading, "is_large", lambda *arguments: large)
    record = job(pages, tmp_path / "page.png", frame=number).run()
    assert record.status is Status.DONE and record.notes == ()
    height, width = SIZES[number - 1]
    assert record.input_size == (width, height) and record.output_size == (4 * width, 4 * height)
    page = np.asarray(read_back(tmp_path / "page.png"))
    assert (page == repeated(PAGES[number - 1])).all()


def test_without_it_a_remark_names_it(job, pages, tmp_path):
    assert "--frame" in job(pages, tmp_path / "page.png").run().notes[0]


def test_there_is_no_such_page(job, pages, tmp_path):
    output = tmp_path / "page.png"
    for record in (job(pages, output, frame=4).run(), job(pages, output, frame=4).plan()):
        assert record.status is Status.FAILED and "no frame or page 4" in record.reason
    assert not output.exists()


def test_in_python(upscaler, pages):
    model = PictureUpscaler(upscaler)
    assert (np.asarray(model(pages, frame=3)) == repeated(PAGES[2])).all()
    with pytest.raises(PictureError, match="no frame or page 9"):
        model(pages, frame=9)

"""Pictures to an exact size, through networks that repeat pixels."""

import numpy as np
import pytest
from PIL import Image

from edsr_cli.errors import DeviceMemoryError, UsageError
from edsr_cli.images.provenance import scale_of, stated_record
from edsr_cli.inference import Upscaler
from edsr_cli.inference.planning import smallest_plan
from edsr_cli.jobs import enlarging, estimates
from edsr_cli.jobs.inputs import without_own
from edsr_cli.jobs.naming import Namer, assign_outputs
from edsr_cli.jobs.record import Status
from edsr_cli.jobs.spec import WorkerSpec
from edsr_cli.jobs.target import target_of
from edsr_cli.options.pictures import Outputs
from edsr_cli.pixels.resample import reduced
from edsr_cli.pixels.windows import ArrayWindow
from tests.jobs.conftest import PIXELS
from tests.jobs.nearest import read_back, repeated, save_nearest

TARGETS = [
    *({"scale": f} for f in (0.2, 0.5, 1, 1.1, 1.5, 2, 2.5, 3, 3.7, 4, 5, 6, 7.3, 8, 9, 12, 16)),
    *({"width": w} for w in (1, 5, 9, 10, 36, 37, 100, 144)),
    *({"height": h} for h in (1, 6, 7, 50, 96)),
    *({"max_side": s} for s in (8, 9, 11, 33)),
    *({"fit": box} for box in ("40x40", "20x9", "3x100")),
    *({"megapixels": m} for m in (0.0001, 0.002, 0.008)),
    *({"print": p, "dpi": d} for p, d in (("2x1cm", 100), ("1x1in", 72), ("8x12mm", 150))),
]
assert len(TARGETS) >= 40


def wide16(pixels):
    """What the next step gets: 16 bits."""
    return np.multiply(pixels, 257, dtype=np.uint16)


@pytest.fixture
def run(photo, tmp_path):
    """Upscale `photo`, or another, with a network that repeats pixels; gives task and record."""
    models = {}

    def go(network=4, source=photo, name=None, form=None, output=None, plan=False, **options):
        model = models.get(network) or save_nearest(tmp_path / f"x{network}.safetensors", network)
        models[network] = model
        options = Outputs(model=model, device="cpu", precision="fp32", name=name, **options)
        worker = WorkerSpec(options=options, devices=("cpu",)).open()
        namer = Namer(worker.target, name, worker.model)
        [task] = assign_outputs([str(source)], output, namer, form)
        return task, (estimates.plan(worker, task) if plan else worker.complete(task))

    return go


def test_forty_targets_are_exact(run):
    for target in TARGETS:
        wanted = target_of(Outputs(**target), 4).size(9, 6)
        task, record = run(overwrite=True, **target)
        assert record.reason is None and record.output_size == wanted, target
        assert read_back(task.destination).size == wanted
        assert min(wanted) >= 1
        planned = run(overwrite=True, plan=True, **target)[1]
        assert planned.status is Status.PLANNED and planned.output_size == wanted
        values = planned.plan | {"transposed": record.plan["transposed"]}
        assert values == record.plan


@pytest.mark.parametrize(
    ("network", "target", "factor"),
    [
        (4, {"scale": 2.5}, 4), (2, {"scale": 1.5}, 2), (2, {"scale": 3}, 4), (3, {"scale": 8}, 9),
        (4, {"width": 100}, 16), (3, {"megapixels": 0.002}, 9),
    ],
)  # fmt: skip
def test_pixels_are_those_of_the_networks_reduced_once(run, network, target, factor):
    task, record = run(network, **target)
    large = wide16(repeated(PIXELS, factor))
    expected = reduced(large, *record.output_size, np.uint8)
    np.testing.assert_array_equal(np.asarray(read_back(task.destination)), expected)


def test_a_product_of_two_scales_needs_no_reduction(run):
    task, _ = run(2, scale=4)
    np.testing.assert_array_equal(np.asarray(read_back(task.destination)), repeated(PIXELS, 4))


def test_what_is_smaller_is_only_reduced(run, monkeypatch):
    monkeypatch.setattr(Upscaler, "upscale_into", None)
    monkeypatch.setattr(Upscaler, "upscale_into", None)
    task, record = run(width=6)
    assert any("only reduced" in note for note in record.notes) and record.model == ""
    np.testing.assert_array_equal(np.asarray(read_back(task.destination)), reduced(PIXELS, 6, 4))
    assert "reduced x0.6667" in stated_record(task.destination)
    task, record = run(max_side=9)
    assert any("stays as it is" in note for note in record.notes)
    np.testing.assert_array_equal(np.asarray(read_back(task.destination)), PIXELS)


def test_too_much_is_refused_with_what_to_do(run):
    record = run(width=1000)[1]
    assert record.status is Status.FAILED
    assert "can enlarge 16 times" in record.reason and "Ask for less" in record.reason
    with pytest.raises(UsageError, match="5 times is more than the 4 times that the model can"):
        run(2, scale=5)


def test_a_plan_that_is_not_by_rows_gives_the_same(run, monkeypatch):
    """Panels, or columns for rows, where rows of full width do not fit."""
    pixels = {}
    for way in ("rows", "whole", "tile"):
        if way == "whole":
            monkeypatch.setattr(enlarging, "_by_rows", lambda *_: None)
        task, record = run(scale=2.5, overwrite=True, tile=4 if way == "tile" else "auto")
        assert (record.plan["panels"] > 1) == (way == "tile")
        assert record.plan["transposed"] == (way == "whole")
        pixels[way] = np.asarray(read_back(task.destination))
    np.testing.assert_array_equal(pixels["rows"], pixels["whole"])
    np.testing.assert_array_equal(pixels["rows"], pixels["tile"])


def test_rows_that_do_not_fit_are_not_planned(upscaler, monkeypatch):
    """Neither where there is no such plan, nor where it would take far longer."""
    options = Outputs(scale=2.5)
    enlargement = target_of(options, 4).enlargement(90, 60, (4,))
    [usual] = enlarging.make_plans(enlargement, [upscaler], options)
    assert usual.rows_only
    plan = upscaler.plan

    def slow(height, width, *rest, rows_only=False):
        if not rows_only:
            return plan(height, width, *rest)
        return smallest_plan(height, width, upscaler.footprint(), rows_only=True)

    def none(height, width, *rest, rows_only=False):
        if rows_only:
            raise DeviceMemoryError("no")
        return plan(height, width, *rest)

    monkeypatch.setattr(enlarging, "SLOW", 2)
    for instead in (slow, none):
        monkeypatch.setattr(upscaler, "plan", instead)
        [found] = enlarging.make_plans(enlargement, [upscaler], options)
        assert not found.rows_only


def test_progress_is_that_of_all_networks(upscaler):
    seen = []
    options = Outputs(scale=16)
    enlargement = target_of(options, 4).enlargement(9, 6, (4,))
    enlarging.enlarge(
        ArrayWindow(PIXELS),
        ArrayWindow(np.empty((96, 144, 3), np.uint8)),
        enlargement,
        [upscaler] * 2,
        options,
        progress=lambda *each: seen.append(each),
    )
    assert seen == sorted(seen)
    assert {total for _, total in seen} == {54 * 17} and seen[-1][0] == 54 * 17


def test_alpha_has_the_exact_size(run, tmp_path):
    source = tmp_path / "logo.png"
    alpha = np.zeros((6, 9), np.uint8)
    alpha[:, 4:] = 255
    Image.fromarray(np.dstack([PIXELS, alpha])).save(source)
    for target in ({"scale": 2.5}, {"scale": 8}, {"width": 5}):
        task, record = run(source=source, alpha="keep", overwrite=True, **target)
        found = read_back(task.destination)
        assert found.mode == "RGBA" and found.size == record.output_size
        edge = np.asarray(found)[..., 3]
        assert edge[0, 0] == 0 and edge[-1, -1] == 255


# Names.


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ({"scale": 2.5}, "photo_x2.5.png"),
        ({"width": 20}, "photo_20x13.png"),
        ({"max_side": 20, "form": "jpeg"}, "photo_20x13.jpg"),
        ({"name": "{stem}_{scale}x{ext}", "scale": 2}, "photo_2x.png"),
        ({"name": "{stem}_{scale}x{ext}", "width": 12}, "photo_1.33x.png"),
        ({"name": "{model}-{width}-{height}{ext}", "scale": 2}, "nearest-18-12.png"),
        ({"name": "{{{stem}}}{ext}", "scale": 2, "form": "webp"}, "{photo}.webp"),
    ],
)
def test_names(run, options, wanted):
    task, record = run(**options)
    assert record.reason is None and task.destination.name == wanted


def test_names_of_the_same_format(run, photo, tmp_path):
    for name, wanted in (("A.JPG", "A_x2.JPG"), ("b.jpeg", "b_x2.jpeg"), ("c.ppm", "c_x2.png")):
        Image.open(photo).save(tmp_path / name)
        task, record = run(source=tmp_path / name, form="same", scale=2)
        assert record.reason is None and task.destination.name == wanted
        assert read_back(task.destination).format == ("PNG" if name == "c.ppm" else "JPEG")


def test_own_outputs_of_every_size_are_known(run, photo, tmp_path):
    names = [str(photo)]
    for form in ("png", "jpeg", "bmp"):
        for options in ({"scale": 2.5}, {"width": 20}, {"scale": 0.5}):
            names.append(str(run(form=form, **options)[0].destination))
    assert without_own(names) == (names[:1], names[1:])
    Image.new("RGB", (20, 13)).save(tmp_path / "photo_20x13.webp")  # somebody else's
    other = str(tmp_path / "photo_20x13.webp")
    assert without_own([str(photo), other]) == ([str(photo), other], [])


def test_records_state_the_scale(run):
    assert scale_of(stated_record(run(scale=2.5)[0].destination)) == 2.5
    assert scale_of(stated_record(run(width=20)[0].destination)) == 2.2222

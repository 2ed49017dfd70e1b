"""Evaluation with a network that repeats pixels, so that its pictures are known."""

import numpy as np
import pytest
from PIL import Image

from edsr_cli.datasets.benchmark import find_benchmark
from edsr_cli.errors import DeviceMemoryError, ExitCode
from edsr_cli.evaluation import evaluate as module
from edsr_cli.evaluation.evaluate import Settings, evaluate, evaluate_picture
from edsr_cli.evaluation.scores import Scores, mean, measure
from edsr_cli.inference import Upscaler
from edsr_cli.pixels import resize
from tests.jobs.conftest import one_thread as one_thread
from tests.jobs.nearest import NAME, nearest_weights, read_back, repeated

LR = np.random.default_rng(0).integers(0, 256, (12, 14, 3), np.uint8)
HR = np.random.default_rng(1).integers(0, 256, (25, 29, 3), np.uint8)  # to be cropped to 24 x 28


@pytest.fixture
def upscaler():
    return Upscaler(nearest_weights(2), 2, "cpu", "fp32")


@pytest.fixture
def folder(tmp_path):
    """A data set of three equal pictures."""
    for name in ("a", "b", "c"):
        for path, pixels in ((f"HR/{name}.png", HR), (f"LR_bicubic/X2/{name}x2.png", LR)):
            (tmp_path / "set" / path).parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(tmp_path / "set" / path)
    return tmp_path / "set"


def run(folder, upscaler, **settings):
    return list(evaluate(find_benchmark(str(folder)), upscaler, Settings(NAME, **settings)))


def test_scores_are_those_of_the_networks_picture_and_of_bicubic(folder, upscaler):
    results = run(folder, upscaler)
    assert [result.picture for result in results] == ["a", "b", "c"]
    for result in results:
        assert result.error is None and result.exit_code == ExitCode.DONE
        assert result.scores == measure(repeated(LR, 2), HR[:24, :28], 2)
        assert result.bicubic == measure(resize.upscale(LR, 2), HR[:24, :28], 2)
        assert (result.lr, result.border, result.saved) == ("given", 2, None)
        assert result.seconds > 0


def test_a_border_of_ones_own(folder, upscaler):
    result = run(folder, upscaler, border=5)[0]
    assert result.border == 5
    assert result.scores == measure(repeated(LR, 2), HR[:24, :28], 5)


def test_lr_is_made_if_there_is_none(folder, upscaler):
    result = run(folder / "LR_bicubic/X2", upscaler, border=0)[0]
    assert result.lr == "made"
    sr = repeated(resize.downscale(LR, 2), 2)
    assert result.scores == measure(sr, LR, 0)


@pytest.mark.parametrize("ensemble", [False, True])
def test_the_ensemble_and_the_tile_reach_the_network(folder, upscaler, monkeypatch, ensemble):
    asked = []
    whole = upscaler.upscale

    def upscale(pixels, *arguments):
        asked.append(arguments[:2])
        return whole(pixels, *arguments)

    monkeypatch.setattr(upscaler, "upscale", upscale)
    run(folder, upscaler, ensemble=ensemble, tile=5)
    assert asked == [(ensemble, 5)] * 3


def test_a_bad_picture_does_not_end_the_others(folder, upscaler):
    (folder / "HR/b.png").write_bytes(b"\x89PNG but no more")
    results = run(folder, upscaler)
    assert [result.error is None for result in results] == [True, False, True]
    bad = results[1]
    assert bad.error.startswith(str(folder / "HR" / "b.png") + ": ")
    assert bad.scores is None and bad.bicubic is None and bad.exit_code == ExitCode.SOME_FAILED
    assert "psnr_y" not in bad.to_dict()


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (DeviceMemoryError("Memory ran out.", "Wait."), 4, "Memory ran out. Wait."),
        (RuntimeError("a\nb"), 1, "unexpected RuntimeError: a b"),
    ],
)
def test_failures_of_the_network(folder, upscaler, monkeypatch, error, code, words):
    def fail(*arguments):
        raise error

    monkeypatch.setattr(upscaler, "upscale", fail)
    for result in run(folder, upscaler):
        assert result.exit_code == code
        assert result.error == f"{folder / 'HR' / result.picture}.png: {words}"


def test_too_small_pictures_are_refused_before_the_work(folder, upscaler, monkeypatch):
    monkeypatch.setattr(upscaler, "upscale", None)
    for result in run(folder, upscaler, border=7):
        assert "28 x 24 pixels are too few to compare" in result.error
        assert "25 x 25 are needed" in result.error


def test_the_limit_on_pixels(folder, upscaler):
    fitting, exceeding = (run(folder, upscaler, max_pixels=25 * 29 - i)[0] for i in (0, 1))
    assert fitting.error is None and "more than the limit of 724 pixels" in exceeding.error


def test_pictures_are_saved(folder, upscaler, tmp_path):
    results = run(folder, upscaler, save=tmp_path / "out")
    for result in results:
        path = tmp_path / "out/set/X2" / f"{result.picture}.png"
        assert result.saved == str(path)
        assert np.array_equal(np.asarray(read_back(path)), repeated(LR, 2))


def test_saved_pictures_stay_unless_they_may_be_replaced(folder, upscaler, tmp_path, monkeypatch):
    old = tmp_path / "out/set/X2/b.png"
    old.parent.mkdir(parents=True)
    old.write_bytes(b"old")
    errors = [result.error for result in run(folder, upscaler, save=tmp_path / "out")]
    assert errors[0] is None and "exists already" in errors[1] and errors[2] is None
    assert old.read_bytes() == b"old"
    results = run(folder, upscaler, save=tmp_path / "out", overwrite=True)
    assert all(result.error is None for result in results)
    assert read_back(old).size == (28, 24)


def test_progress_is_asked_for_each_picture_and_fed(folder, upscaler):
    told = []

    class Shown:
        def __init__(self, pair):
            self.name = pair.name

        def __enter__(self):
            return lambda done, total: told.append((self.name, done / total))

        def __exit__(self, *error):
            told.append((self.name, "end"))

    benchmark = find_benchmark(str(folder))
    for result in evaluate(benchmark, upscaler, Settings(NAME), Shown):
        assert told[-2:] == [(result.picture, 1), (result.picture, "end")]


def test_one_picture_is_in_memory_at_a_time(folder, upscaler, monkeypatch):
    loaded = []
    monkeypatch.setattr(
        module, "load_pair", lambda pair, limit: loaded.append(pair.name) or pytest.fail("enough")
    )
    results = evaluate(find_benchmark(str(folder)), upscaler, Settings(NAME))
    assert loaded == []
    with pytest.raises(pytest.fail.Exception):
        next(results)
    assert loaded == ["a"]


def test_equal_pictures_are_null_in_json(folder, upscaler):
    Image.fromarray(repeated(LR, 2)).save(folder / "HR/a.png")
    benchmark = find_benchmark(str(folder))
    result = evaluate_picture(benchmark, benchmark.pairs(2)[0], upscaler, Settings(NAME))
    assert result.scores.psnr_y == float("inf")
    values = result.to_dict()
    assert values["psnr_y"] is None and values["ssim_y"] == 1
    assert values["bicubic_psnr_y"] == pytest.approx(result.bicubic.psnr_y, abs=1e-6)


def test_means_are_of_decibels():
    assert mean([Scores(30, 0.5, 20, 0.1), Scores(40, 0.7, 10, 0.2)]) == Scores(
        35, pytest.approx(0.6), 15, pytest.approx(0.15)
    )

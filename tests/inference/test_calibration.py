import json
import time

import pytest

from edsr_cli.inference import Upscaler, calibration
from edsr_cli.inference.calibration import speed_of
from edsr_cli.text import about
from tests.jobs.nearest import nearest_weights


@pytest.fixture(scope="module")
def upscaler():
    return Upscaler(nearest_weights(), 4, "cpu", "fp32")


@pytest.fixture
def measured(monkeypatch):
    """What was measured, in order: 1, 2 and so on."""
    figures = []

    def measure(_):
        figures.append(len(figures) + 1.0)
        return figures[-1], True

    monkeypatch.setattr(calibration, "_measure", measure)
    return figures


def test_a_figure_is_what_a_picture_takes(upscaler, monkeypatch):
    """With a clock that knows the work: a second for a million multiply-adds."""
    now, before = [0.0], Upscaler.upscale

    def upscale(self, pixels):
        now[0] += pixels.shape[0] * pixels.shape[1] * self.work_per_pixel() / 1e6
        return before(self, pixels)

    monkeypatch.setattr(Upscaler, "upscale", upscale)
    monkeypatch.setattr(calibration.time, "perf_counter", lambda: now[0])
    assert speed_of(upscaler, None) == pytest.approx(1e6)


def test_it_is_measured_once_for_each_kind_of_work(upscaler, measured, tmp_path, monkeypatch):
    file = tmp_path / "new" / "speeds.json"
    assert [speed_of(upscaler, file) for _ in range(3)] == [1.0, 1.0, 1.0]
    other = Upscaler(nearest_weights(2), 2, "cpu", "fp32")
    assert [speed_of(other, file), speed_of(upscaler, file), speed_of(other, file)] == [2, 1, 2]
    now = time.time()
    monkeypatch.setattr(calibration.time, "time", lambda: now + 8 * 86400)
    assert speed_of(upscaler, file) == 3.0
    assert len(json.loads(file.read_text())) == 1
    assert [path.name for path in file.parent.iterdir()] == ["speeds.json"]


@pytest.mark.parametrize(("own", "noted"), [(1.0, True), (0.1, False)])
def test_what_a_busy_processor_made_is_not_noted(upscaler, tmp_path, monkeypatch, own, noted):
    now, file = [0.0], tmp_path / "speeds.json"
    monkeypatch.setattr(Upscaler, "upscale", lambda *_: now.append(now.pop() + 1.0))
    monkeypatch.setattr(calibration.time, "perf_counter", lambda: now[0])
    monkeypatch.setattr(calibration.time, "process_time", lambda: own * now[0])
    assert speed_of(upscaler, file) > 0 and file.exists() == noted


@pytest.mark.parametrize(
    "content",
    ["words", "[" * 100000, "[1]", "{}", '{"a": 1}', "NAME[0, 1]", "NAME[-1, 1]", "NAME[NaN, 1]",
     'NAME["x", 1]', "NAME[5]", "NAME[Infinity, NOW]", "NAME[5, 1e99]", "\udcff"],
)  # fmt: skip
def test_a_file_that_makes_no_sense_is_made_anew(upscaler, measured, tmp_path, content):
    file = tmp_path / "speeds.json"
    name = json.dumps(calibration._name(upscaler))
    if content.startswith("NAME"):
        content = f"{{{name}: {content[4:]}}}".replace("NOW", str(time.time()))
    file.write_bytes(content.encode("utf-8", "surrogateescape"))
    assert [speed_of(upscaler, file) for _ in range(2)] == [1.0, 1.0]


def test_a_place_that_cannot_be_written_to_does_no_harm(upscaler, measured, tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "speeds.json").mkdir()
    for place in (tmp_path / "file" / "speeds.json", tmp_path / "speeds.json"):
        assert speed_of(upscaler, place) == measured[-1]
    assert len(measured) == 2


def test_no_more_than_some_figures_are_kept(upscaler, measured, tmp_path):
    file = tmp_path / "speeds.json"
    now = time.time()
    file.write_text(json.dumps({str(number): [5.0, now - number] for number in range(80)}))
    speed_of(upscaler, file)
    kept = json.loads(file.read_text())
    assert len(kept) == 50 and "0" in kept and "79" not in kept
    assert calibration._name(upscaler) in kept


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.2, "less than 1 s"), (1.2, "about 1 s"), (9.9, "about 10 s"), (33, "about 35 s"),
        (57.4, "about 55 s"), (58, "about 1 min"), (179, "about 3 min"), (27 * 60, "about 25 min"),
        (58 * 60, "about 1.0 h"), (5400, "about 1.5 h"), (36000, "about 10 h"),
        (9 * 86400, "about 9 days"),
    ],
)  # fmt: skip
def test_times_in_words(seconds, words):
    assert about(seconds) == words

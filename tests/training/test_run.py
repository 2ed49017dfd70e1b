import itertools
import json
import math
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from msgspec.structs import replace

from edsr_cli.checkpoints.checkpoint import read_canonical
from edsr_cli.errors import UsageError
from edsr_cli.report.training_page import Training
from edsr_cli.training import page as page_module
from edsr_cli.training import run as run_module
from edsr_cli.training.photos import Photos
from edsr_cli.training.recipe import Recipe
from edsr_cli.training.run import Run, RunFolder
from edsr_cli.training.trainer import DivergedError
from tests.files.leftovers import abandoned
from tests.report.examples import Page
from tests.training.runs import CONFIG, RECIPE, make

ABOUT = {
    "update": 1, "updates": 2, "seconds": 1.0, "fraction": 0.5, "rows": [], "parts": [],
    "facts": {},
}  # fmt: skip


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """A line in the record every 3 updates."""
    monkeypatch.setattr(run_module, "_LOG_EVERY", 3)


def curve(run: Run) -> list[str]:
    """The record without the times."""
    lines = [line.split(",") for line in run.folder.log.read_text().splitlines()]
    return [",".join(line[:1] + line[2:]) for line in lines]


def test_the_record_has_a_line_for_all_that_was_due(whole: Run) -> None:
    rows = whole.log.rows()
    assert [row.update for row in rows] == [0, 3, 6, 8, 9, 12, 15, 16, 18, 21, 23]
    assert [row.update for row in rows if row.psnr] == [0, 8, 16, 23]
    assert all(set(row.psnr) == {2, 3} for row in rows if row.psnr)


@pytest.mark.parametrize(
    "stop", [1, 10, *(pytest.param(n, marks=pytest.mark.slow) for n in (8, 22))]
)
def test_a_resumed_run_gives_the_same_record_and_weights(
    whole: Run, photos: Photos, tmp_path: Path, stop: int
) -> None:
    first = make(tmp_path, photos)
    for _ in itertools.islice(first.steps(), stop):
        pass
    first.save()
    second = make(tmp_path, photos, resume=True)
    for _ in second.steps():
        pass
    assert curve(second) == curve(whole)
    second.save_weights("test", "CC0-1.0", "made for tests")
    mine, theirs = (read_canonical(r.folder.weights) for r in (second, whole))
    assert mine.tensors.keys() == theirs.tensors.keys()
    assert all(np.array_equal(mine.tensors[key], theirs.tensors[key]) for key in theirs.tensors)
    starts = [json.loads(each.metadata["training"])["start"] for each in (mine, theirs)]
    assert starts == ["random weights", "random weights"]


def test_a_killed_run_goes_on_from_its_last_state(
    whole: Run, photos: Photos, tmp_path: Path
) -> None:
    killed = make(tmp_path, photos)
    for _ in itertools.islice(killed.steps(), 14):
        pass  # the state was saved after update 8; lines for 9 and 12 came after it
    assert killed.log.rows()[-1].update == 12
    second = make(tmp_path, photos, resume=True)
    assert second.trainer.update == 8
    for _ in second.steps():
        pass
    assert curve(second) == curve(whole)


def test_the_weights_say_how_they_came_about(whole: Run) -> None:
    checkpoint = read_canonical(whole.folder.weights)
    assert checkpoint.config == CONFIG
    assert checkpoint.metadata["licence"] == "CC0-1.0"
    facts = json.loads(checkpoint.metadata["training"])
    assert Recipe.from_dict(facts["recipe"]) == RECIPE
    assert facts["updates"] == 23
    assert facts["data"]["pictures"] == 3
    assert facts["start"] == "random weights"
    last = whole.log.rows()[-1].psnr
    assert facts["validation_psnr_y"] == {f"x{s}": pytest.approx(v) for s, v in last.items()}


def test_what_comes_out_is_measured_even_where_a_line_was_due(
    photos: Photos, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edsr_cli.training.run._LOG_EVERY", 3)
    run = make(tmp_path, photos, replace(RECIPE, updates=12, ema=0.0, validate_every=100))
    for _ in run.steps():
        pass
    rows = run.log.rows()
    assert [row.update for row in rows] == [0, 3, 6, 9, 12]
    assert [bool(row.psnr) for row in rows] == [True, False, False, False, True]
    assert rows[-1].loss > 0
    assert run.psnr != pytest.approx(rows[0].psnr, abs=1e-4)
    assert rows[-1].psnr == pytest.approx(run.psnr, abs=1e-4)


def test_what_was_measured_before_takes_no_time_from_the_updates(
    photos: Photos, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or a slow machine, with a short limit, would make none at all."""

    def slowly(*_: object) -> dict[int, float]:
        time.sleep(0.3)
        return {2: 30.0}

    monkeypatch.setattr(run_module, "validate", slowly)
    run = make(tmp_path, photos, replace(RECIPE, max_seconds=0.2))
    assert len(list(run.steps())) >= 1
    assert run.log.rows()[0].seconds < 0.2


def test_nothing_is_validated_without_pictures(photos: Photos, tmp_path: Path) -> None:
    run = make(tmp_path, photos)
    run.pairs = {}
    for _ in run.steps():
        pass
    assert all(not row.psnr for row in run.log.rows()[1:])


def test_a_run_is_not_lost_by_accident(whole: Run, photos: Photos) -> None:
    with pytest.raises(UsageError, match=r"--resume.*--overwrite"):
        make(whole.folder.path, photos)


def test_there_must_be_something_to_resume(photos: Photos, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no training to resume"):
        make(tmp_path, photos, resume=True)


def test_another_recipe_cannot_be_resumed(whole: Run, photos: Photos) -> None:
    other = replace(RECIPE, learning_rate=2e-3, seed=1)
    with pytest.raises(UsageError, match=r"other values: learning_rate, seed\."):
        make(whole.folder.path, photos, other, resume=True)


def test_other_pictures_cannot_be_resumed(whole: Run, photos: Photos) -> None:
    fewer = replace(photos, photos=photos.photos[1:])
    with pytest.raises(UsageError, match=r"other values: data\."):
        make(whole.folder.path, fewer, resume=True)


# A training that diverges.


def test_a_diverged_state_never_replaces_a_good_one(photos: Photos, tmp_path: Path) -> None:
    """Saving by time comes between two records, so that nobody has looked at the loss."""
    run = make(tmp_path, photos)
    steps = run.steps()
    for _ in itertools.islice(steps, 8):
        pass
    next(steps)
    good = run.folder.state.read_bytes()
    with torch.no_grad():
        next(run.trainer.network.parameters()).mul_(math.inf)
    with pytest.raises(DivergedError, match=r"update 9 .*state\.pt stays as it was before"):
        run.save()
    assert run.folder.state.read_bytes() == good
    assert make(tmp_path, photos, resume=True).trainer.update == 8


def test_a_loss_without_hope_does_not_replace_a_good_state_either(
    photos: Photos, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run = make(tmp_path, photos)
    for _ in itertools.islice(run.steps(), 9):
        pass
    good = run.folder.state.read_bytes()
    with torch.no_grad():
        for weight in run.trainer.network.parameters():
            weight.mul_(30)
    assert 1e4 < run.trainer.loss_ahead() < math.inf
    run.save()
    assert run.folder.state.read_bytes() == good
    assert "The training seems to diverge" in caplog.text


@pytest.mark.parametrize("rate", [1e15, 1e30])
def test_a_rate_that_ruins_everything_leaves_no_state(
    photos: Photos, tmp_path: Path, rate: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_module, "_SAVE_SECONDS", -1.0)  # after every update
    run = make(tmp_path, photos, replace(RECIPE, learning_rate=rate, updates=3))
    with pytest.raises(DivergedError, match="diverged"):
        for _ in run.steps():
            pass
    assert not run.folder.state.exists()


def test_a_network_whose_pictures_are_no_numbers_has_diverged(
    photos: Photos, tmp_path: Path
) -> None:
    """A validation may be the first to see it: the loss is that of the weights before."""
    run = make(tmp_path, photos, replace(RECIPE, learning_rate=1e30, ema=0.0, validate_every=1))
    with pytest.raises(DivergedError, match=r"by update 1 its weights are useless\. Start again"):
        next(run.steps())


def test_looking_ahead_changes_nothing(whole: Run, photos: Photos, tmp_path: Path) -> None:
    run = make(tmp_path, photos)
    for step in run.steps():
        if step.update == 5:
            before = run.trainer.loss_ahead()
            assert before == run.trainer.loss_ahead()
    assert curve(run) == curve(whole)


# Its page.


def page(run: Run) -> Page:
    return Page(run.folder.page.read_text("utf-8"))


def times(page: Page) -> list[str]:
    """The versions of the first part that is seen."""
    labels = [str(each["data-label"]) for each in page.all("figure") if "data-label" in each]
    return labels[: labels.index("original") + 1]


def test_the_page_shows_how_it_went(whole: Run) -> None:
    made = page(whole)
    assert {"done", "23", "updates of 23", "100 %", "PSNR x2", "PSNR x3"} <= set(made.texts)
    assert times(made) == [
        "bicubic", "update 0", "update 8", "update 16", "update 23", "original"
    ]  # fmt: skip
    assert len(made.all("section")) == 2  # a part for each scale


def test_a_resumed_run_keeps_what_was_seen(whole: Run, photos: Photos, tmp_path: Path) -> None:
    killed = make(tmp_path, photos)
    for _ in itertools.islice(killed.steps(), 14):
        pass
    assert "running" in page(killed).texts
    killed.stop()
    assert "stopped" in page(killed).texts
    second = make(tmp_path, photos, resume=True)
    assert "running" in page(second).texts
    assert times(page(second)) == ["bicubic", "update 0", "update 8", "original"]
    for _ in second.steps():
        pass
    sources = [[each["src"] for each in page(run).all("img")] for run in (second, whole)]
    assert sources[0] == sources[1] and len(sources[0]) == 12


def test_a_run_that_fails_says_so(photos: Photos, tmp_path: Path) -> None:
    run = make(tmp_path, photos, replace(RECIPE, learning_rate=1e30, updates=3))
    with pytest.raises(DivergedError):
        for _ in run.steps():
            pass
    assert any("diverged" in text for text in page(run).texts) and "failed" in page(run).texts


def test_a_page_that_cannot_be_written_ends_nothing(
    photos: Photos, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run = make(tmp_path, photos)
    run.folder.page.write_bytes(b"mine")
    for _ in run.steps():
        pass
    assert run.folder.page.read_bytes() == b"mine" and run.folder.state.exists()
    assert caplog.text.count("page.html: the file exists already") == 1


def test_the_page_is_written_as_often_as_its_share_of_time_allows(
    photos: Photos, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, written = [0.0], []

    def write(path: Path, training: Training) -> None:
        written.append((clock[0], training.every))
        clock[0] += 0.5 if len(written) == 1 else 0.01

    monkeypatch.setattr(page_module, "write_training", write)
    monkeypatch.setattr(page_module.time, "monotonic", lambda: clock[0])
    shown = page_module.RunPage(tmp_path / "page.html", {})
    while clock[0] < 200:
        if shown.is_due:
            shown.write("running", "", **ABOUT)
        clock[0] += 1
    first, *others = np.diff([at for at, _ in written])
    assert 100 <= first < 102  # it took half a second
    assert others and all(15 <= gap < 17 for gap in others)
    assert [every for _, every in written[:3]] == [15, 100, 15]  # as the page is told


# Files of others.


@pytest.mark.parametrize("name", ["log.csv", "plot.png", "page.html", "weights.safetensors"])
def test_somebody_elses_file_is_not_replaced(
    whole: Run, photos: Photos, tmp_path: Path, name: str
) -> None:
    path = tmp_path / name
    path.write_bytes(b"what I have measured,1,2,3\n")
    if name == "weights.safetensors":
        (tmp_path / "state.pt").write_bytes(whole.folder.state.read_bytes())
    with pytest.raises(UsageError, match=rf"{name}: no training has written this file"):
        make(tmp_path, photos, resume=name == "weights.safetensors")
    assert path.read_bytes() == b"what I have measured,1,2,3\n"
    RunFolder(tmp_path).check(resume=False, overwrite=True)


def test_what_a_training_has_left_is_replaced(whole: Run, photos: Photos, tmp_path: Path) -> None:
    for name in ("log.csv", "plot.png", "page.html"):
        source = whole.folder.path / name
        if source.exists():  # the plot takes matplotlib
            (tmp_path / name).write_bytes(source.read_bytes())
    make(tmp_path, photos)
    for name in ("log.csv", "plot.png", "page.html"):
        (tmp_path / name).write_bytes(b"")  # nothing to lose
    RunFolder(tmp_path).check(resume=False, overwrite=False)


@pytest.mark.usefixtures("plots")
def test_a_plot_that_appears_meanwhile_stays(
    photos: Photos, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run = make(tmp_path, photos)
    (tmp_path / "plot.png").write_bytes(b"mine")
    for _ in run.steps():
        pass
    assert (tmp_path / "plot.png").read_bytes() == b"mine"
    assert "plot.png: the file exists already" in caplog.text and run.folder.state.exists()


def test_what_a_killed_training_was_writing_goes(tmp_path: Path) -> None:
    abandoned(tmp_path)
    with RunFolder(tmp_path).held():
        assert [path.suffix for path in tmp_path.iterdir()] == [".lock"]


def test_one_training_at_a_time(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "new" / "run")
    with (
        folder.held(),
        pytest.raises(UsageError, match=r"Another training is at work in .*run"),
        RunFolder(folder.path).held(),
    ):
        pytest.fail("two hold it")
    with pytest.raises(KeyError), folder.held():
        raise KeyError
    with folder.held():
        folder.clear()


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for name in ("file/run", "x" * 300):
        folder = RunFolder(tmp_path / name)
        folder.check(resume=False, overwrite=False)
        with pytest.raises(UsageError, match="cannot be written to"), folder.held():
            pytest.fail("there is no such folder")

import itertools
import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from edsr_cli.checkpoints.canonical import read_canonical
from edsr_cli.errors import UsageError, WeightsError
from edsr_cli.networks import NetworkConfig
from edsr_cli.training import run as run_module
from edsr_cli.training.initial import random_network
from edsr_cli.training.patches import Sampler
from edsr_cli.training.photos import Photos
from edsr_cli.training.recipe import Recipe
from edsr_cli.training.run import Run, RunFolder, Subject
from edsr_cli.training.trainer import Trainer
from edsr_cli.training.validation import hold_out, pairs_of

CPU = torch.device("cpu")
CONFIG = NetworkConfig("mdsr", (2, 3), 2, 4)
RECIPE = Recipe(
    batch_size=2, patch_size=8, updates=23, learning_rate=1e-3, ema=0.9, validate_every=8
)


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """A line in the record every 3 updates."""
    monkeypatch.setattr(run_module, "_LOG_EVERY", 3)


def make(folder: Path, photos: Photos, recipe: Recipe = RECIPE, resume: bool = False) -> Run:
    target = RunFolder(folder)
    target.check(resume, overwrite=False)
    learn, held = hold_out(photos, 1)
    sampler = Sampler(learn, CONFIG.scales, recipe.batch_size, recipe.patch_size, recipe.seed, CPU)
    trainer = Trainer(random_network(CONFIG, recipe.seed), recipe, sampler, CPU)
    pairs = {scale: pairs_of(held, scale) for scale in CONFIG.scales}
    start = "" if resume else "random weights"
    subject = Subject(CONFIG, recipe, learn.summary(), None, start)
    run = Run(target, subject, trainer, pairs)
    if resume:
        run.resume()
    else:
        run.start()
    return run


def curve(run: Run) -> list[str]:
    """The record without the times."""
    lines = [line.split(",") for line in run.folder.log.read_text().splitlines()]
    return [",".join(line[:1] + line[2:]) for line in lines]


@pytest.fixture(scope="module")
def whole(photos: Photos, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run that was not stopped."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run_module, "_LOG_EVERY", 3)
        run = make(tmp_path_factory.mktemp("whole"), photos)
        for _ in run.steps():
            pass
        run.save_weights("test", "CC0-1.0", "made for tests")
    return run


def test_the_record_has_a_line_for_all_that_was_due(whole: Run) -> None:
    rows = whole.log.rows()
    assert [row.update for row in rows] == [0, 3, 6, 8, 9, 12, 15, 16, 18, 21, 23]
    assert [row.update for row in rows if row.psnr] == [0, 8, 16, 23]
    assert all(set(row.psnr) == {2, 3} for row in rows if row.psnr)


@pytest.mark.parametrize("stop", [1, 8, 10, 22])
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
    assert all(
        torch.equal(mine.state_dict[key], theirs.state_dict[key]) for key in theirs.state_dict
    )
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


@pytest.mark.parametrize("content", [b"", b"nothing", b"PK\x03\x04", None])
def test_a_damaged_state_is_said(
    whole: Run, photos: Photos, tmp_path: Path, content: bytes | None
) -> None:
    state = whole.folder.state.read_bytes()
    (tmp_path / "state.pt").write_bytes(state[: len(state) // 2] if content is None else content)
    with pytest.raises(WeightsError, match=r"state\.pt cannot be read.*--overwrite"):
        make(tmp_path, photos, resume=True)


def test_another_file_is_not_a_state(photos: Photos, tmp_path: Path) -> None:
    torch.save({"version": 0}, tmp_path / "state.pt")
    with pytest.raises(WeightsError, match="not the state of a training"):
        make(tmp_path, photos, resume=True)


def test_a_state_cannot_run_code(photos: Photos, tmp_path: Path) -> None:
    class Harmful:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (Path.touch, (str(tmp_path / "run"),))

    torch.save({"version": 2, "subject": Harmful()}, tmp_path / "state.pt")
    with pytest.raises(WeightsError, match="cannot be read"):
        make(tmp_path, photos, resume=True)
    assert not (tmp_path / "run").exists()


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
    with (
        pytest.raises(UsageError, match="cannot be written to"),
        RunFolder(tmp_path / "file/run").held(),
    ):
        pytest.fail("there is no such folder")

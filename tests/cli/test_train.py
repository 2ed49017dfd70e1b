"""`edsr train` as a user meets it."""

import json
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from edsr_cli.checkpoints.checkpoint import read_canonical
from edsr_cli.cli.interruption import StoppedError
from edsr_cli.degradations.spec import PHOTO
from edsr_cli.model.config import edsr_baseline
from edsr_cli.training.log import Log
from edsr_cli.training.run import RunFolder
from edsr_cli.training.trainer import Trainer
from tests.cli.conftest import DEADLINE, Run, finish, listing, start
from tests.jobs.nearest import read_back
from tests.training.conftest import picture
from tests.training.conftest import plots as plots
from tests.training.conftest import without_plots as without_plots

QUICK = ("--patch", 8, "--batch", 1, "--hold-out", 1)


@pytest.fixture
def pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three pictures in a folder, in the current folder, where there is nothing else."""
    monkeypatch.chdir(tmp_path)
    folder = Path("pictures")
    folder.mkdir()
    for seed in range(3):
        Image.fromarray(picture(seed, 40, 52)).save(folder / f"{seed}.png")
    return folder


@pytest.mark.usefixtures("plots")
def test_a_folder_becomes_weights_that_upscale(edsr: Callable[..., Run], pictures: Path) -> None:
    (pictures / "bad.jpg").write_text("not a picture")
    adam = ("--betas", "0.9,0.99", "--epsilon", 1e-7)
    options = ("-s", 2, "--updates", 3, *adam, *QUICK, "--name", "mine")
    run = edsr("train", pictures, "-o", "run", *options)
    assert run.code == 0, run.err
    assert run.out == b""
    assert "bad.jpg" in run.err
    assert "3 pictures" in run.err and "1 skipped" in run.err
    assert set(listing(Path("run"))) >= {
        *("log.csv", "plot.png", "state.pt", "weights.safetensors")
    }
    checkpoint = read_canonical(Path("run/weights.safetensors"))
    assert checkpoint.config == edsr_baseline(2)
    assert (checkpoint.metadata["name"], checkpoint.metadata["licence"]) == ("mine", "none stated")
    facts = json.loads(checkpoint.metadata["training"])
    assert facts["updates"] == 3
    assert (facts["recipe"]["betas"], facts["recipe"]["epsilon"]) == ([0.9, 0.99], 1e-7)
    assert facts["data"] | {"digest": ""} == {
        "pictures": 2, "megapixels": 0.0, "skipped": 1, "held_out": 1, "digest": ""
    }  # fmt: skip
    again = edsr("upscale", pictures / "0.png", "-m", "run/weights.safetensors", "-o", "sr.png")
    assert again.code == 0, again.err
    assert read_back(Path("sr.png")).size == (104, 80)


def test_x4_starts_from_given_weights(
    edsr: Callable[..., Run], pictures: Path, repository: Path
) -> None:
    options = ("-s", 4, "--init", "edsr-free", "--init-scale", 2, "--updates", 1, "--lr", 1e-12)
    run = edsr("train", pictures, "-o", "run", *options, *QUICK)
    assert run.code == 0, run.err
    checkpoint = read_canonical(Path("run/weights.safetensors"))
    weights = checkpoint.tensors
    source = read_canonical(repository / "weights/edsr-free-x2.safetensors")
    # What a range that is spread anew would change is left out.
    for key in ("body.7.body.2.weight", "tail.0.0.weight", "tail.1.bias"):
        assert np.allclose(weights[key], source.tensors[key], atol=1e-9), key
    assert json.loads(checkpoint.metadata["training"])["start"] == "edsr-free x2"


def test_x3_starts_from_a_file_with_x2(edsr: Callable[..., Run], pictures: Path) -> None:
    options = ("--updates", 1, "--lr", 1e-12, *QUICK)
    assert edsr("train", pictures, "-o", "x2", "-s", 2, *options).code == 0
    start_from = ("--init", "x2/weights.safetensors")
    run = edsr("train", pictures, "-o", "x3", "-s", 3, *start_from, "--seed", 1, *options)
    assert run.code == 0, run.err
    x2, x3 = (read_canonical(Path(name, "weights.safetensors")).tensors for name in ("x2", "x3"))
    assert np.allclose(x3["body.7.body.2.weight"], x2["body.7.body.2.weight"], atol=1e-9)


def test_a_run_goes_on_without_the_file_it_started_from(
    edsr: Callable[..., Run], pictures: Path, repository: Path
) -> None:
    first = Path("first.safetensors")
    first.write_bytes((repository / "weights/edsr-free-x2.safetensors").read_bytes())
    options = ("train", pictures, "-o", "run", "-s", 2, "--updates", 1, "--init", first, *QUICK)
    assert edsr(*options).code == 0
    first.unlink()
    whole = read_canonical(Path("run/weights.safetensors"))
    run = edsr(*options, "--resume")
    assert run.code == 0, run.err
    again = read_canonical(Path("run/weights.safetensors"))
    for key, tensor in whole.tensors.items():
        assert np.array_equal(again.tensors[key], tensor), key
    start = json.loads(whole.metadata["training"])["start"]
    assert json.loads(again.metadata["training"])["start"] == start != ""
    run = edsr(*options, "--init", "edsr-free", "--resume")
    assert run.code == 2
    assert "begun with other values: init" in run.err


def test_mdsr_starts_from_all_scales_of_a_model(
    edsr: Callable[..., Run], pictures: Path, repository: Path
) -> None:
    options = ("-p", "mdsr-baseline", "--init", "edsr-free", "--updates", 1, "--lr", 1e-12)
    run = edsr("train", pictures, "-o", "run", *options, *QUICK)
    assert run.code == 0, run.err
    assert "With new weights in: pre_process." in run.err
    checkpoint = read_canonical(Path("run/weights.safetensors"))
    assert checkpoint.config.scales == (2, 3, 4)
    assert json.loads(checkpoint.metadata["training"])["start"] == "edsr-free x2, x3, x4"
    given = {
        scale: read_canonical(repository / f"weights/edsr-free-x{scale}.safetensors").tensors
        for scale in (2, 3, 4)
    }
    for key, scale, source in [
        ("body.3.body.0.weight", 2, "body.3.body.0.weight"),
        ("upsample.0.0.weight", 2, "tail.0.0.weight"),
        ("upsample.1.0.weight", 3, "tail.0.0.weight"),
        ("upsample.2.2.weight", 4, "tail.0.2.weight"),
        ("tail.0.bias", 2, "tail.1.bias"),
    ]:
        assert np.allclose(checkpoint.tensors[key], given[scale][source], atol=1e-9), key


def test_a_stopped_training_goes_on_as_if_it_had_not(
    edsr: Callable[..., Run], pictures: Path
) -> None:
    options = ("train", pictures, "-s", 2, "--updates", 400, "--validate-every", 10, *QUICK)
    process = start(*options, "-o", "stopped")
    _wait_for_updates(Path("stopped/log.csv"), 20)
    process.send_signal(signal.SIGINT)
    stopped = finish(process)
    assert stopped.code == 130, stopped.err
    assert "--resume goes on" in stopped.err
    done = Log(Path("stopped/log.csv"), (2,)).rows()[-1].update
    assert 20 <= done < 400
    goal = ("train", pictures, "-s", 2, "--validate-every", 10, *QUICK)
    again = edsr(*goal, "--updates", 401, "-o", "stopped", "--resume")
    assert again.code == 2
    assert "other values: updates" in again.err
    assert not list(Path("stopped").glob("*.tmp"))


def _wait_for_updates(path: Path, count: int) -> None:
    log, deadline = Log(path, (2,)), time.monotonic() + DEADLINE
    while not any(row.update >= count for row in log.rows()):
        assert time.monotonic() < deadline, "the training does not get on"
        time.sleep(0.05)


@pytest.mark.slow
def test_resuming_a_stopped_training_gives_the_same_curve(pictures: Path) -> None:
    goal = ("train", pictures, "-s", 2, "--updates", 30, "--validate-every", 10, *QUICK)
    whole = finish(start(*goal, "-o", "whole"))
    assert whole.code == 0, whole.err
    process = start(*goal, "-o", "stopped")
    _wait_for_updates(Path("stopped/log.csv"), 20)
    process.kill()
    process.communicate()
    resumed = finish(start(*goal, "-o", "stopped", "--resume"))
    assert resumed.code == 0, resumed.err
    curves = [
        [(row.update, row.loss, row.psnr) for row in Log(Path(name, "log.csv"), (2,)).rows()[1:]]
        for name in ("whole", "stopped")
    ]
    assert curves[0] == curves[1]


def test_a_graph_is_no_part_of_what_is_resumed(
    edsr: Callable[..., Run], pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    class Noting(Trainer):
        def __init__(self, *arguments: object, graph: bool) -> None:
            asked.append(graph)
            super().__init__(*arguments, graph=graph)

    monkeypatch.setattr("edsr_cli.training.start.Trainer", Noting)
    options = ("train", pictures, "-o", "run", "-s", 2, "--updates", 1, *QUICK)
    assert edsr(*options, "--no-cuda-graph").code == 0
    run = edsr(*options, "--resume")
    assert run.code == 0, run.err
    assert asked == [False, True]


def facts_of(path: str) -> dict[str, Any]:
    return json.loads(read_canonical(Path(path)).metadata["training"])


def test_degraded_patches(edsr: Callable[..., Run], pictures: Path) -> None:
    options = ("train", pictures, "-s", 2, "--updates", 2, "--patch", 4, "--batch", 1)
    losses = set()
    for name, spec in (("clean", "clean"), ("jpeg", "jpeg:5"), ("again", "jpeg:5")):
        run = edsr(*options, "-o", name, "--degrade", spec, "--hold-out", 1)
        assert run.code == 0, run.err
        losses.add(Log(Path(name) / "log.csv", [2]).rows()[-1].loss)
        assert facts_of(f"{name}/weights.safetensors")["recipe"]["degradation"] == spec
    assert len(losses) == 2  # compression changes it, the same compression does not


def test_photo_is_written_out_in_the_metadata(edsr: Callable[..., Run], pictures: Path) -> None:
    run = edsr("train", pictures, "-o", "run", "-s", 2, "--updates", 1, "--degrade", "photo",
               "--patch", 4, "--batch", 2, "--hold-out", 1)  # fmt: skip
    assert run.code == 0, run.err
    assert facts_of("run/weights.safetensors")["recipe"]["degradation"] == str(PHOTO)


def test_a_patch_with_its_margin_must_fit(edsr: Callable[..., Run], pictures: Path) -> None:
    run = edsr("train", pictures, "-o", "run", "-s", 2, "--degrade", "photo", *QUICK)
    assert run.code == 2 and "at least 48 pixels" in run.err


def test_a_degradation_cannot_change_on_the_way(edsr: Callable[..., Run], pictures: Path) -> None:
    options = ("train", pictures, "-o", "run", "-s", 2, "--updates", 1, "--patch", 4)
    assert edsr(*options, "--degrade", "jpeg:50").code == 0
    run = edsr(*options, "--degrade", "jpeg:40", "--resume")
    assert run.code == 2 and "degradation" in run.err


def test_unknown_lr_pictures_are_learnt_from(edsr: Callable[..., Run], pictures: Path) -> None:
    for index, file in enumerate(sorted(pictures.iterdir())):
        hr = Path(f"DIV2K/DIV2K_train_HR/000{index}.png")
        small = Path(f"DIV2K/DIV2K_train_LR_unknown/X2/000{index}x2.png")
        hr.parent.mkdir(parents=True, exist_ok=True)
        small.parent.mkdir(parents=True, exist_ok=True)
        with Image.open(file) as image:
            image.save(hr)
            image.resize((image.width // 2, image.height // 2), Image.Resampling.BOX).save(small)
    run = edsr(
        "train", "DIV2K", "-o", "run", "-s", 2, "--updates", 1, "--degrade", "unknown", *QUICK
    )
    assert run.code == 0, run.err
    assert facts_of("run/weights.safetensors")["recipe"]["degradation"] == "unknown:given"
    run = edsr("train", pictures, "-o", "other", "-s", 2, "--degrade", "unknown", *QUICK)
    assert run.code == 2 and "LR_unknown" in run.err


def test_a_kernel(edsr: Callable[..., Run], pictures: Path) -> None:
    np.save("k.npy", np.ones((4, 4)))
    run = edsr("train", pictures, "-o", "run", "-s", 2, "--updates", 1, "--degrade",
               "unknown:k.npy", *QUICK)  # fmt: skip
    assert run.code == 0, run.err
    assert facts_of("run/weights.safetensors")["recipe"]["degradation"].startswith("unknown:x2 ")


def test_pictures_of_jpeg_origin_may_be_shrunk(edsr: Callable[..., Run], pictures: Path) -> None:
    Image.fromarray(picture(7, 80, 80)).save(pictures / "large.jpg", quality=60)
    run = edsr("train", pictures, "-o", "run", "-s", 2, "--updates", 1, "--shrink", 2, *QUICK)
    assert run.code == 0, run.err
    data = facts_of("run/weights.safetensors")["data"]
    assert data["shrink"] == 2
    pixels = 3 * 40 * 52 + 40 * 40 - 40 * 52  # one is held out
    assert data["megapixels"] in (round(pixels / 1e6, 2), round(3 * 40 * 52 / 1e6, 2))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("-s", 2, "--degrade", "jepg:50"), "'jepg:50' is not a step"),
        (("-s", 2, "--degrade", "unknown:nowhere.npy"), "nowhere.npy"),
        (("-s", 2, "--updates", 0), "--updates"),
        (("-p", "mdsr", "-s", 2), "Leave out --scale"),
        ((), "Give --scale"),
        (("-s", 2, "--resume"), "no training to resume"),
        (("-s", 2, "--resume", "--overwrite"), "exclude each other"),
        (("-s", 2, "--max-time", "soon"), "not a duration"),
        (("-s", 2, "--patch", 64), "less than a patch"),
        (("-s", 2, "--patch", 8, "--init", "nothing"), "no model and no file"),
    ],
)
def test_wrong_usage_leaves_no_weights(
    edsr: Callable[..., Run], pictures: Path, options: tuple[object, ...], message: str
) -> None:
    run = edsr("train", pictures, "-o", "run", *options)
    assert run.code in (2, 3)
    assert message in run.err
    assert not Path("run").exists()


def test_a_finished_run_is_not_replaced_unasked(edsr: Callable[..., Run], pictures: Path) -> None:
    options = ("train", pictures, "-o", "run", "-s", 2, "--updates", 1, *QUICK)
    assert edsr(*options).code == 0
    before = Path("run/weights.safetensors").read_bytes()
    assert edsr(*options).code == 2
    assert Path("run/weights.safetensors").read_bytes() == before
    assert edsr(*options, "--seed", 1, "--overwrite").code == 0
    assert Path("run/weights.safetensors").read_bytes() != before


def test_a_batch_too_large_for_memory_is_said(
    edsr: Callable[..., Run], pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_memory(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr("edsr_cli.training.trainer.Trainer._step", no_memory)
    run = edsr("train", pictures, "-o", "run", "-s", 2, "--updates", 1, *QUICK)
    assert run.code == 4
    assert "smaller --batch or --patch" in run.err


def test_two_trainings_in_one_folder(edsr: Callable[..., Run], pictures: Path) -> None:
    with RunFolder(Path("run")).held():
        run = edsr("train", pictures, "-o", "run", "-s", 2, "--updates", 1, *QUICK)
    assert run.code == 2
    assert "Another training is at work in run." in run.err
    assert [path.suffix for path in Path("run").iterdir()] in ([], [".lock"])


def test_of_few_pictures_most_are_learnt_from_and_that_is_said(
    edsr: Callable[..., Run], pictures: Path
) -> None:
    options = ("-s", 2, "--updates", 1, "--patch", 8, "--batch", 1)
    run = edsr("train", pictures, "-o", "three", *options)
    assert run.code == 0, run.err
    assert "Learning from 3; none is held out, so no PSNR is measured" in run.err
    assert "bicubic" not in run.err
    Image.fromarray(picture(3, 40, 52)).save(pictures / "3.png")
    run = edsr("train", pictures, "-o", "four", *options)
    assert run.code == 0, run.err
    assert "Learning from 3; PSNR is measured on 1 held out: 2.png." in run.err
    shutil.copytree(pictures, "same-names")
    run = edsr("train", pictures, "same-names", "-o", "eight", *options, "--hold-out", 1)
    assert run.code == 0, run.err
    assert "Learning from 7; PSNR is measured on 1 held out: 0.png." in run.err
    assert facts_of("four/weights.safetensors")["data"]["held_out"] == 1
    run = edsr("train", pictures, "-o", "given", *options, "--validate", pictures)
    assert "Learning from 4; PSNR is measured on pictures." in run.err


def test_a_network_worse_than_bicubic_interpolation_is_warned_of(
    edsr: Callable[..., Run], pictures: Path
) -> None:
    options = ("-s", 2, "--updates", 1, *QUICK)
    run = edsr("train", pictures, "-o", "bad", *options)
    assert run.code == 0 and Path("bad/weights.safetensors").exists()
    assert "warning: x2 has " in run.err and "less than bicubic interpolation" in run.err
    for file in pictures.iterdir():  # so simple that the network that is begun with is better
        Image.fromarray(smooth()).save(file)
    run = edsr("train", pictures, "-o", "good", *options, "--init", "edsr-free", "--lr", 1e-12)
    assert run.code == 0 and "warning" not in run.err, run.err


def smooth() -> np.ndarray[Any, Any]:
    """A slope with an edge, on which edsr-free is better than bicubic interpolation."""
    rows, columns = np.mgrid[:64, :64]
    grey = np.where(rows + 2 * columns > 90, 200, 40).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=2)


def test_ctrl_c_in_the_first_validation_saves_the_state(
    edsr: Callable[..., Run], pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*_: object) -> None:
        raise StoppedError(signal.SIGINT)

    options = ("train", pictures, "-o", "run", "-s", 2, "--updates", 2, *QUICK)
    with monkeypatch.context() as patch:
        patch.setattr("edsr_cli.training.run.validate", stopped)
        run = edsr(*options)
    assert run.code == 130 and "Stopped after update 0; " in run.err
    assert Path("run/state.pt").exists() and not Path("run/weights.safetensors").exists()
    run = edsr(*options, "--resume")
    assert run.code == 0 and "Going on after update 0." in run.err
    assert "Update 0: validation PSNR" in run.err
    edsr(*options, "-o", "whole")
    one, other = (read_canonical(Path(n, "weights.safetensors")) for n in ("run", "whole"))
    for key, tensor in other.tensors.items():
        assert np.array_equal(one.tensors[key], tensor), key

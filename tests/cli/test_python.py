"""What a command does can be done in Python, with the same options by name."""

import inspect
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import typer
from PIL import Image

import edsr_cli
from edsr_cli.checkpoints.checkpoint import read_canonical
from edsr_cli.cli.app import application
from edsr_cli.errors import PictureError, UsageError
from tests.cli.conftest import listing, records
from tests.jobs.nearest import repeated
from tests.training.conftest import picture
from tests.training.conftest import without_plots as without_plots

ON_TERMINALS_ONLY = {"json", "open", "preview", "quiet", "verbose", "short"}
IN_PYTHON_ONLY = {"progress", "each"}


@pytest.mark.parametrize("name", ["upscale", "batch", "compare", "evaluate", "train"])
def test_every_option_is_a_keyword(name):
    params = typer.main.get_command(application()).commands[name].params
    options = {param.name for param in params} - ON_TERMINALS_ONLY
    keywords = set(inspect.signature(getattr(edsr_cli, name)).parameters) - IN_PYTHON_ONLY
    assert options == keywords
    text = getattr(edsr_cli, name).__doc__
    for part in (
        "Args:",
        "Returns:",
        "Raises:",
        "Example:",
        *(f"    {each}: " for each in keywords),
    ):
        assert part in text


def without_times(values):
    return {k: v for k, v in values.items() if "seconds" not in k and k not in ("stages", "ended")}


def test_upscale(upscale, photo, model):
    """Pictures, results and messages of files are those of the command."""
    Path("bad.png").write_text("no picture")
    run = upscale(photo, "bad.png", "-o", "command", "--compression", 9, "--json")
    seen, told = [], []
    results = edsr_cli.upscale(
        [photo, "bad.png"],
        "python",
        model=model,
        device="cpu",
        compression=9,
        each=seen.append,
        progress=lambda *what: told.append(what),
    )
    assert results == seen and [result.status for result in results] == ["done", "failed"]
    made = [without_times(json.loads(json.dumps(result.to_dict()))) for result in results]
    wanted = [without_times(record) for record in records(run)]
    assert [m | {"output": ""} for m in made] == [w | {"output": ""} for w in wanted]
    assert Path("python/photo_x4.png").read_bytes() == Path("command/photo_x4.png").read_bytes()
    assert told[-1] == ("1 of 2: photo.png", 54, 54)
    with pytest.raises(UsageError, match="is a folder"):
        edsr_cli.upscale("python", model=model)


def test_a_plan(photo, model, monkeypatch):
    monkeypatch.setattr("edsr_cli.jobs.estimates.speed_of", lambda *_: 1e9)
    [result] = edsr_cli.upscale(photo, dry_run=True, model=model, device="cpu")
    assert result.status == "planned" and result.output_size == (36, 24)
    assert "seconds" in result.plan and listing(Path()) == ["photo.png"]


def test_batch(batch, model):
    for number in range(3):
        Image.fromarray(picture(number, 20, 24)).save(f"in/{number}.png")
    Path("in/bad.png").write_text("no picture")
    run = batch("in", "-o", "command", "-f", "bmp", "--exclude", "0*", "--json")
    seen, told = [], []
    call = {"model": model, "device": "cpu", "format": "bmp", "exclude": "0*"}
    summary = edsr_cli.batch(
        "in", "python", **call, each=seen.append, progress=lambda *what: told.append(what)
    )
    assert (summary.done, summary.failed) == (2, 1) and run.code == 1
    made = [without_times(json.loads(json.dumps(record.to_dict()))) for record in seen]
    wanted = [without_times(record) for record in records(run)]
    by_name = {record["input"]: record | {"output": ""} for record in wanted}
    assert {m["input"]: m | {"output": ""} for m in made} == by_name
    for name in ("1.bmp", "2.bmp"):
        assert Path("python", name).read_bytes() == Path("command", name).read_bytes()
    assert told[-1] == ("pictures", 3, 3)
    # The same call does the rest, and another makes all of it again.
    assert edsr_cli.batch("in", "python", **call).skipped == 2
    assert edsr_cli.batch("in", "python", **call, overwrite=True).done == 2


def test_evaluate(edsr, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a", "b"):
        for folder, size in (("HR", (48, 40)), ("LR_bicubic/X2", (24, 20))):
            Path("Set5", folder).mkdir(parents=True, exist_ok=True)
            file = f"{name}.png" if folder == "HR" else f"{name}x2.png"
            image = Image.fromarray(picture(ord(name), 40, 48))
            image.resize(size, Image.Resampling.BICUBIC).save(Path("Set5", folder, file))
    run = edsr("evaluate", "Set5", "-s", 2, "-d", "cpu", "--border", 3, "--json")
    seen = []
    [summary] = edsr_cli.evaluate("Set5", scale=2, device="cpu", border=3, each=seen.append)
    assert [result.picture for result in seen] == ["a", "b"] and list(summary.results) == seen
    made = [each.to_dict() for each in (*seen, summary)]
    assert [without_times(json.loads(json.dumps(each))) for each in made] == [
        without_times(record) for record in records(run)
    ]


def test_train(edsr, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("in").mkdir()
    for seed in range(3):
        Image.fromarray(picture(seed, 40, 52)).save(f"in/{seed}.png")
    options = ("-s", 2, "--updates", 2, "--patch", 8, "--batch", 1, "--hold-out", 1, "-d", "cpu")
    run = edsr("train", "in", "-o", "command", *options, "--name", "mine")
    assert run.code == 0, run.err
    told = []
    trained = edsr_cli.train(
        "in",
        "python",
        scale=2,
        updates=2,
        patch=8,
        batch=1,
        hold_out=1,
        device="cpu",
        name="mine",
        progress=lambda *what: told.append(what),
    )
    one, other = (
        read_canonical(Path(name, "weights.safetensors")) for name in ("command", "python")
    )
    assert all(np.array_equal(one.tensors[key], other.tensors[key]) for key in one.tensors)
    assert trained.weights == Path("python/weights.safetensors")
    assert trained.updates == 2 and trained.psnr[2] > 0
    assert told[-1] == ("updates", 2, 2) and ("Reading pictures", 3, 3) in told
    assert edsr_cli.load(trained.weights).scale == 2
    with pytest.raises(UsageError, match="There is a training in python already"):
        edsr_cli.train("in", "python", scale=2)


def test_an_upscaler_is_what_the_command_uses(upscale, photo, model):
    assert upscale(photo, "-o", "command.png").code == 0
    with Image.open(photo) as image:
        pixels = np.asarray(image)
    assert np.array_equal(edsr_cli.load(model, device="cpu")(pixels), repeated(pixels))
    with pytest.raises(PictureError):
        edsr_cli.load(model, device="cpu")("missing.png")


@pytest.mark.parametrize(
    ("arguments", "heavier"),
    [
        (["--help"], {"rich", "pydantic"}),
        (["--version"], {"rich", "pydantic"}),
        (["upscale", "-h"], {"rich", "pydantic"}),
        (["train", "--help"], {"rich", "pydantic"}),
        (["upscale"], set()),  # Typer says what is wrong with both
        (["batch", "-x"], set()),
    ],
    ids=lambda each: " ".join(each) if isinstance(each, list) else "",
)
def test_help_waits_for_nothing(repository, arguments, heavier):
    script = (
        "import sys\nfrom edsr_cli.cli import main\n"
        f"sys.argv = ['edsr', *{arguments!r}]\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "heavy = {'torch', 'numpy', 'PIL', 'huggingface_hub', 'matplotlib'}\n"
        f"heavy |= {heavier!r}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=repository, capture_output=True, text=True, timeout=300
    )
    assert done.stderr.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    "arguments", [["models"], ["upscale", "photo.png", "--dry-run", "--restore", "0"]]
)
def test_models_and_plans_need_no_torch(repository, photo, arguments):
    script = (  # nor what Typer would read values with
        "import sys\nsys.modules['torch'] = sys.modules['pydantic'] = None\n"
        "from edsr_cli.cli import main\n"
        f"sys.argv = ['edsr', *{arguments!r}]\nmain()"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=os.environ | {"PYTHONPATH": str(repository), "EDSR_CACHE": str(Path.cwd())},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert "9 x 6 -> 36 x 24" in done.stderr or "edsr-free" in done.stdout

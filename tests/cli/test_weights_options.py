"""`edsr upscale` with a file of weights from elsewhere: --layout and what goes with it."""

import re

import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from edsr_cli.checkpoints.layouts import LAYOUTS
from edsr_cli.checkpoints.loader import load_network
from edsr_cli.cli.app import application
from edsr_cli.errors import UsageError, WeightsError
from edsr_cli.model.config import NetworkConfig
from edsr_cli.model.networks import build

COMPLETE = ["--value-range", "1", "--no-mean-shift", "--residual-scale", "1"]


@pytest.fixture
def upscale(tmp_path, monkeypatch):
    """Upscale a small picture with the weights in weights.pt; gives exit code, stderr, pixels."""
    monkeypatch.chdir(tmp_path)
    Image.radial_gradient("L").resize((12, 10)).convert("RGB").save("a.png")

    def run(*options):
        arguments = ["upscale", "a.png", "-o", "b.png", "--overwrite", "-m", "weights.pt", *options]
        result = CliRunner().invoke(application(), arguments, env={"COLUMNS": "500"})
        if isinstance(result.exception, Exception) and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == 0, result.output
        with Image.open("b.png") as picture:
            return result.stderr, picture.tobytes()

    return run


@pytest.fixture
def untrained(tmp_path):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = build(NetworkConfig("edsr", (2,), 2, 4))
    torch.save(network.state_dict(), tmp_path / "weights.pt")


def test_the_verdict_of_the_probe_is_shown(upscale, tmp_path):
    torch.save(load_network("edsr-free", 2).network.state_dict(), tmp_path / "weights.pt")
    shown, pixels = upscale()
    assert "weights.pt does not say what it was trained with. By trying: values in 0..255" in shown
    quiet, same = upscale("--layout", "official", "--residual-scale", "1")
    assert "By trying" not in quiet
    assert same == pixels


def test_what_cannot_be_told_is_an_error_that_options_decide(upscale, untrained):
    with pytest.raises(WeightsError, match="does not work in any known way") as caught:
        upscale()
    for option in ("--value-range", "--no-mean-shift", "--residual-scale"):
        assert option in caught.value.hint
    by_options = upscale(*COMPLETE)[1]
    assert by_options == upscale("--layout", "super-image")[1]
    official = upscale("--layout", "official", "--residual-scale", "1")[1]
    assert official != by_options
    assert official == upscale("--value-range", "255", "--mean-shift", "--residual-scale", "1")[1]
    assert official != upscale("--layout", "official", "--residual-scale", "0.1")[1]


@pytest.mark.parametrize(
    "options",
    [
        ["--layout", "keras"],
        ["--value-range", "65535"],
        ["--residual-scale", "0"],
        ["--layout", "official", "-m", "edsr-free"],
    ],
)
def test_nonsense_is_wrong_usage(upscale, untrained, options):
    with pytest.raises(UsageError):
        upscale(*options)


def test_help_lists_every_layout():
    shown = CliRunner().invoke(application(), ["upscale", "--help"], env={"COLUMNS": "500"}).output
    described = re.search(r"--layout.*?--value-range", shown, re.DOTALL)
    assert described
    for layout in LAYOUTS:
        assert re.search(rf"\b{layout.name}\b", described[0]), layout.name

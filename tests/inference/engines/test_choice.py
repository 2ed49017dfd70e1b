"""Which engine computes, and what happens where the best one cannot."""

import logging
import subprocess
import sys

import pytest

from edsr_cli.errors import UsageError
from edsr_cli.inference import engines, processors
from edsr_cli.inference.engines import engine_for
from edsr_cli.inference.engines.ncnn import check
from edsr_cli.inference.engines.ncnn.engine import NcnnEngine
from edsr_cli.inference.engines.torch import hardware
from edsr_cli.inference.engines.torch.engine import TorchEngine


@pytest.fixture(autouse=True)
def nothing_is_known_yet(monkeypatch, tmp_path):
    monkeypatch.delenv(engines.VARIABLE, raising=False)
    monkeypatch.setenv("EDSR_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(hardware, "may_have_gpu", lambda: False)
    engines._amiss.cache_clear()
    yield
    engines._amiss.cache_clear()


@pytest.mark.parametrize(
    ("device", "precision", "kind"),
    [
        ("cpu", "auto", NcnnEngine),
        ("auto", "fp32", NcnnEngine),
        ("cpu", "bf16", TorchEngine),
        ("cuda:1", "auto", TorchEngine),
        ("mps", "fp32", TorchEngine),
    ],
)
def test_ncnn_is_for_cpus_in_fp32(device, precision, kind):
    assert type(engine_for(device, precision)) is kind


def test_an_engine_may_be_asked_for(monkeypatch):
    assert type(engine_for("cpu", "fp32", "torch")) is TorchEngine
    assert type(engine_for("cpu", "bf16", "ncnn")) is NcnnEngine  # which says that it has no bf16
    monkeypatch.setenv(engines.VARIABLE, "torch")
    assert type(engine_for("cpu")) is TorchEngine
    assert type(engine_for("cpu", name="ncnn")) is NcnnEngine  # what is said counts for more
    monkeypatch.setenv(engines.VARIABLE, "abacus")
    with pytest.raises(UsageError, match=r"no engine 'abacus'\. Use auto, torch, ncnn"):
        engine_for("cpu")


def test_torch_computes_where_ncnn_is_wrong(monkeypatch, caplog):
    plain = check._plain
    monkeypatch.setattr(check, "_plain", lambda *arguments: plain(*arguments) + 0.1)
    with caplog.at_level(logging.WARNING, "edsr_cli"):
        for _ in range(2):
            assert type(engine_for("cpu")) is TorchEngine
    assert [record.message for record in caplog.records] == [
        "ncnn cannot be used: a pixel is off by 0.1 levels. PyTorch computes instead."
    ]
    with pytest.raises(UsageError, match=r"off by 0.1 levels\. Use --engine torch"):
        engine_for("cpu", name="ncnn")


@pytest.fixture
def tried(monkeypatch):
    """How many times ncnn was tried, and nothing was wrong."""
    times = []
    monkeypatch.setattr(check, "amiss", lambda: times.append(1) or "")
    return times


def test_what_was_right_is_tried_once_for_a_processor_and_a_library(monkeypatch, tried, tmp_path):
    monkeypatch.setattr(processors, "kind", lambda: "an abacus")
    for _ in range(2):
        assert check.amiss_here() == ""
    assert len(tried) == 1
    monkeypatch.setattr(processors, "kind", lambda: "another abacus")
    for _ in range(2):
        assert check.amiss_here() == ""
    assert len(tried) == 2
    other = tmp_path / "ncnn.so"
    other.write_bytes(b"newer")
    monkeypatch.setattr(check.library, "location", lambda: other)
    for _ in range(2):
        assert check.amiss_here() == ""
    assert len(tried) == 3
    assert len(list((tmp_path / "cache" / ".edsr").iterdir())) == 3


def test_what_was_right_is_tried_again_by_other_code(monkeypatch, tried, tmp_path):
    monkeypatch.setattr(processors, "kind", lambda: "an abacus")
    (tmp_path / "a.py").write_text("1")
    monkeypatch.setattr(check, "__file__", str(tmp_path / "check.py"))
    for text in ("1", "12"):
        (tmp_path / "a.py").write_text(text)
        assert check.amiss_here() == check.amiss_here() == ""
    assert len(tried) == 2


@pytest.mark.parametrize("cache", ["", "file", "x" * 300])
def test_without_a_place_for_notes_it_is_tried_each_time(monkeypatch, tried, tmp_path, cache):
    monkeypatch.setattr(processors, "kind", lambda: "an abacus" if cache else None)
    (tmp_path / "file").touch()
    monkeypatch.setenv("EDSR_CACHE", str(tmp_path / cache))
    for _ in range(2):
        assert check.amiss_here() == ""
    assert len(tried) == 2 and not (tmp_path / ".edsr").exists()


def test_a_cache_that_nobody_may_look_into_does_no_harm(monkeypatch, tried):
    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(processors, "kind", lambda: "an abacus")
    for name in ("stat", "is_file", "mkdir", "touch"):
        monkeypatch.setattr(check.Path, name, refuse)
    assert check.amiss_here() == "" and tried


def test_what_was_wrong_is_tried_again(monkeypatch, tmp_path):
    monkeypatch.setattr(processors, "kind", lambda: "an abacus")
    for reason in ("it is broken", ""):
        monkeypatch.setattr(check, "amiss", lambda reason=reason: reason)
        assert check.amiss_here() == reason


def test_torch_computes_where_there_is_no_ncnn(monkeypatch, caplog):
    monkeypatch.setattr(engines, "find_spec", lambda name: None)
    assert type(engine_for("cpu")) is TorchEngine and not caplog.records
    with pytest.raises(UsageError, match="take ncnn, which is not installed"):
        engine_for("vulkan")


WITHOUT = """
import sys
sys.modules["ncnn"] = None  # as if its library could not be loaded
from edsr_cli.inference.engines import engine_for
from edsr_cli.inference.engines.torch.engine import TorchEngine
assert type(engine_for("cpu")) is TorchEngine
"""


def test_torch_computes_where_ncnn_cannot_be_imported():
    done = subprocess.run([sys.executable, "-c", WITHOUT], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_process_that_upscales_with_ncnn_has_no_torch(tmp_path):
    program = (
        "import sys, numpy as np\n"
        "from PIL import Image\n"
        "Image.fromarray(np.full((5, 6, 3), 90, np.uint8)).save(sys.argv[1])\n"
        "import edsr_cli\n"
        "edsr_cli.upscale([sys.argv[1]], output=sys.argv[2], device='cpu', engine='ncnn')\n"
        "assert not {'torch', 'huggingface_hub'} & set(sys.modules)\n"
    )
    arguments = [str(tmp_path / name) for name in ("a.png", "b.png")]
    done = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "b.png").stat().st_size > 0

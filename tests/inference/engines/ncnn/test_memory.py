"""Peak memory of real processes, as for torch."""

import sys

import pytest

from edsr_cli.inference.engines import VARIABLE
from tests.inference.engines.torch.test_memory import (
    assert_only_the_pictures_grow,
    limited,
    peak_memory,
)

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs the resource module")


@pytest.fixture(autouse=True)
def ncnn_computes(monkeypatch):
    monkeypatch.setenv(VARIABLE, "ncnn")


@pytest.mark.parametrize("ensemble", [False, True])
def test_long_pictures_need_no_more_than_short_ones(ensemble):
    small = peak_memory(256, 256, ensemble)
    assert_only_the_pictures_grow(small, peak_memory(2560, 256, ensemble))


@pytest.mark.slow
@pytest.mark.parametrize("size", [(16384, 512), (512, 16384)], ids=["tall", "wide"])
def test_with_the_bundled_network(size):
    assert_only_the_pictures_grow(
        peak_memory(512, 512, bundled=True), peak_memory(*size, bundled=True)
    )


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /proc")
@pytest.mark.parametrize(("megabytes", "scale"), [(12, 2), (30, 4)])
def test_a_real_process_keeps_to_its_limit(megabytes, scale):
    used, rows, samples = limited(megabytes, scale)
    assert rows < 110 and samples > 20
    assert 0.3 * megabytes < used / 1e6 <= megabytes

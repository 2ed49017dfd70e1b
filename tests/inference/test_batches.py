"""Several pictures at once: the same as one after the other."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from edsr_cli.errors import DeviceMemoryError
from edsr_cli.inference import Precision, Upscaler
from edsr_cli.inference.streaming import Convolution
from edsr_cli.model.config import NetworkConfig
from edsr_cli.model.networks import build
from tests.exact import CASES, exact_network
from tests.inference.test_upscaler import picture


@pytest.mark.parametrize(("config", "scale"), CASES)
@settings(max_examples=5)
@given(
    count=st.integers(1, 4),
    height=st.integers(1, 30),
    width=st.integers(1, 40),
    tile=st.integers(4, 40) | st.sampled_from(["auto", "none"]),
    rows=st.sampled_from([1, 5, 32]),
    deep=st.booleans(),
    ensemble=st.booleans(),
)
def test_a_batch_gives_what_each_picture_gives_alone(
    config, scale, count, height, width, tile, rows, deep, ensemble
):
    upscaler = Upscaler(exact_network(config), scale, "cpu", "fp32")
    pictures = [picture(height, width, seed) for seed in range(count)]
    if deep:
        pictures = [pixels.astype(np.uint16) * np.uint16(257) for pixels in pictures]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("edsr_cli.inference.planning._GOOD_ROWS", rows)
        patch.setattr("edsr_cli.inference.devices.STRIP_PIXELS", {"cpu": 1})
        together = upscaler.upscale_batch(pictures, ensemble, tile)
        alone = [upscaler.upscale(pixels, ensemble, tile) for pixels in pictures]
    assert len(together) == count
    for found, wanted in zip(together, alone, strict=True):
        assert found.pixels.dtype == wanted.pixels.dtype
        assert np.array_equal(found.pixels, wanted.pixels)


def test_the_type_of_the_output_and_progress():
    upscaler = Upscaler(exact_network(CASES[0][0]), 2, "cpu", "fp32")
    seen = []
    results = upscaler.upscale_batch(
        [picture(9, 7), picture(9, 7, 1)],
        dtype="uint16",
        progress=lambda done, total: seen.append((done, total)),
    )
    assert all(result.pixels.dtype == np.uint16 for result in results)
    assert seen[-1] == (63, 63)


def test_pictures_of_a_batch_are_alike():
    upscaler = Upscaler(exact_network(CASES[0][0]), 2, "cpu", "fp32")
    for other in (picture(9, 8), picture(9, 7).astype(np.uint16)):
        with pytest.raises(ValueError, match="one shape and type"):
            upscaler.upscale_batch([picture(9, 7), other])
    with pytest.raises(ValueError, match="one shape"):
        upscaler.upscale_batch([])
    with pytest.raises(TypeError, match="must be"):
        upscaler.upscale_batch([picture(9, 7).astype(np.float32)] * 2)


def test_a_plan_for_several_takes_lower_strips():
    upscaler = Upscaler(exact_network(CASES[0][0]), 2, "cpu", "fp32", max_memory=2_000_000)
    one, four = upscaler.plan(500, 100), upscaler.plan(500, 100, count=4)
    assert 0 < four.strip_rows < one.strip_rows
    assert four.bytes <= 2_000_000


def test_how_many_go_together(monkeypatch):
    upscaler = Upscaler(exact_network(CASES[0][0]), 2, "cpu", "fp32")
    assert upscaler.batch_size(8, 8) == 1
    upscaler.device = torch.device("cuda")
    assert upscaler.batch_size(256, 256) == 8
    assert upscaler.batch_size(4000, 3000) == 1


def test_where_there_is_no_memory_for_all_each_is_done_alone(monkeypatch):
    upscaler = Upscaler(exact_network(CASES[0][0]), 2, "cpu", "fp32")
    pictures = [picture(20, 20, seed) for seed in range(3)]
    wanted = [upscaler.upscale(pixels).pixels for pixels in pictures]
    apply, failures = Convolution.apply, []

    def limited(convolution, window):
        if len(window) > 1:
            failures.append(window)
            raise torch.OutOfMemoryError("CUDA out of memory")
        return apply(convolution, window)

    monkeypatch.setattr(Convolution, "apply", limited)
    found = upscaler.upscale_batch(pictures)
    assert failures
    for one, other in zip(found, wanted, strict=True):
        assert np.array_equal(one.pixels, other)


def test_a_budget_that_is_too_small_for_several():
    upscaler = Upscaler(exact_network(CASES[0][0]), 2, "cpu", "fp32", max_memory=250_000)
    with pytest.raises(DeviceMemoryError):
        upscaler.plan(64, 64, count=64)
    assert len(upscaler.upscale_batch([picture(64, 64)] * 64)) == 64


def test_an_overflow_in_one_picture_does_not_change_the_others(caplog):
    """Each is in the number format that it would be in alone."""
    torch.manual_seed(0)
    network = build(NetworkConfig("edsr", (2,), 2, 8)).eval()
    with torch.no_grad():
        network.body[0].body[0].weight.mul_(3000)
        network.body[0].body[2].weight.div_(3000)
    upscaler = Upscaler(network, 2, "cpu", "fp32")
    upscaler.precision = Precision.FP16
    calm = np.full((12, 12, 3), (114, 111, 103), np.uint8)
    results = upscaler.upscale_batch([calm, picture(12, 12), calm])
    assert [result.precision for result in results] == [
        Precision.FP16,
        Precision.FP32,
        Precision.FP16,
    ]
    assert np.array_equal(results[0].pixels, upscaler.upscale(calm).pixels)

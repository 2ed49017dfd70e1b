"""cuDNN's fused convolutions, on a CPU: what is asked of them, and what becomes of wrong ones."""

import logging

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from edsr_cli.inference.engines.torch import fused, steady
from tests.exact import CASES, exact_network
from tests.inference.engines.torch.test_steady import upscale, upscaler_of
from tests.inference.engines.torch.test_upscaling import expected, picture

CONFIG, SCALE = CASES[0]  # two residual blocks


@pytest.fixture
def offered(monkeypatch):
    """The CPU as a device to try fused convolutions on."""
    monkeypatch.setattr(fused, "is_offered", lambda device, dtype: True)
    fused._tried.cache_clear()
    yield
    fused._tried.cache_clear()


@pytest.fixture
def calls(offered, monkeypatch):
    """A cuDNN that computes on the CPU, and the shapes of what it is given."""
    shapes = []

    def cudnn(x, weight, bias, stride, padding, dilation, groups):
        shapes.append(x.shape)
        return F.conv2d(x, weight, bias, stride, padding, dilation, groups).relu()

    monkeypatch.setattr(torch, "cudnn_convolution_relu", cudnn)
    return shapes


def is_right(upscaler, pixels, rows=5):
    return np.array_equal(
        upscale(upscaler, pixels, rows), expected(exact_network(CONFIG), SCALE, pixels)
    )


def test_strips_that_are_pushed_and_stepped_use_them(calls, caplog, monkeypatch):
    stepped = []
    step = steady.Steps._step
    monkeypatch.setattr(steady.Steps, "_step", lambda self: (stepped.append(1), step(self)))
    pixels = picture(70, 9)
    numbers = {}
    for strips in ("eager", "steps"):
        upscaler = upscaler_of(CONFIG, SCALE, strips)
        is_right(upscaler, pixels)  # whatever is tried and prepared
        before = len(calls), len(stepped)
        assert is_right(upscaler, pixels)
        numbers[strips] = len(calls) - before[0], len(stepped) - before[1]
    (eager, none), (calls_of_steps, steps) = numbers["eager"], numbers["steps"]
    assert none == 0 < steps
    # One a strip and block, but for first strips that are too low for the second block.
    assert calls_of_steps == eager >= 2 * 70 // 5 - 2
    assert not caplog.records


def test_a_picture_in_one_strip_has_zeros_put_around_it_by_the_convolution(calls):
    upscaler = upscaler_of(CONFIG, SCALE, "eager")
    pixels = picture(30, 9)
    is_right(upscaler, pixels, 30)
    calls.clear()
    assert is_right(upscaler, pixels, 30)
    assert [shape[2:] for shape in calls] == 2 * [(30, 9)]


def unbiased(x, weight, bias, stride, padding, *_):
    return F.conv2d(x, weight, None, stride, padding).relu()


def negative(x, weight, bias, stride, padding, *_):
    return F.conv2d(x, weight, bias, stride, padding)


def lower(x, weight, bias, stride, padding, *_):
    return F.conv2d(x, weight, bias, stride, padding).relu().roll(1, 2)


def undefined(x, weight, bias, stride, padding, *_):
    return F.conv2d(x, weight, bias, stride, padding).relu() * torch.nan


def above_only(x, weight, bias, stride, padding, *_):
    """Right where zeros are put to the sides only."""
    made = F.conv2d(x, weight, bias, stride, padding).relu()
    return made.roll(1, 2) if padding[0] else made


def unsupported(*_):
    raise RuntimeError("cuDNN error: CUDNN_STATUS_NOT_SUPPORTED.\nmore")


@pytest.mark.parametrize(
    ("cudnn", "reason"),
    [
        *((each, "differ by ") for each in (unbiased, negative, lower, above_only)),
        (undefined, "differ by nan"),
        (unsupported, "CUDNN_STATUS_NOT_SUPPORTED."),
        (torch.cudnn_convolution_relu, "aten::cudnn_convolution_relu"),  # torch's own, on a CPU
    ],
)
def test_what_does_not_pass_its_trial_is_not_used(offered, caplog, monkeypatch, cudnn, reason):
    monkeypatch.setattr(torch, "cudnn_convolution_relu", cudnn)
    pixels = picture(70, 9)
    with caplog.at_level(logging.WARNING):
        for _ in range(2):  # networks
            assert is_right(upscaler_of(CONFIG, SCALE), pixels)
    [record] = caplog.records
    message = record.getMessage()
    assert message.startswith("Fused convolutions (float64, 6 to 6 channels) cannot be used")
    assert reason in message and "\n" not in message and not message.endswith("..")


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("features", [4, 64])
def test_one_rounding_less_passes_the_trial(calls, monkeypatch, caplog, dtype, features):
    """A fused one rounds once; the plain way rounds before it adds the bias, too."""

    def once(x, weight, bias, *rest):
        return F.conv2d(x.float(), weight.float(), bias.float(), *rest).relu().to(dtype)

    def twice(x, weight, bias, padding):
        made = F.conv2d(x.float(), weight.float(), padding=padding).to(dtype)
        return made.add_(bias[:, None, None]).relu_()

    monkeypatch.setattr(torch, "cudnn_convolution_relu", once)
    monkeypatch.setattr(fused, "rectified", twice)
    weight = torch.zeros(features, features, 3, 3, dtype=dtype)
    assert fused.rectifying(weight) is fused.rectified_at_once
    assert not caplog.records


def test_a_trial_that_memory_runs_out_in_says_nothing(calls, monkeypatch):
    cudnn = torch.cudnn_convolution_relu

    def scarce(*_):
        raise torch.OutOfMemoryError("CUDA out of memory.")

    weight = torch.zeros(6, 6, 3, 3)
    monkeypatch.setattr(torch, "cudnn_convolution_relu", scarce)
    with pytest.raises(torch.OutOfMemoryError):
        fused.rectifying(weight)
    monkeypatch.setattr(torch, "cudnn_convolution_relu", cudnn)
    assert fused.rectifying(weight) is fused.rectified_at_once


def test_they_are_offered_where_there_are_tensor_cores(monkeypatch):
    monkeypatch.setattr(torch.version, "hip", None)
    cuda, halves = torch.device("cuda", 0), (torch.bfloat16, torch.float16)
    assert all(fused.is_offered(cuda, dtype) for dtype in halves)
    assert not fused.is_offered(cuda, torch.float32)
    for name in ("cpu", "mps"):
        assert not any(fused.is_offered(torch.device(name), dtype) for dtype in halves)
    monkeypatch.setattr(torch.version, "hip", "6.4")  # AMD's, which torch calls cuda, too
    assert not any(fused.is_offered(cuda, dtype) for dtype in halves)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize(("features", "kernel"), [(64, 3), (64, 5), (256, 3)])
def test_a_gpus_own_pass_their_trial(dtype, features, kernel, caplog):
    if torch.version.hip or torch.cuda.get_device_capability() < (8, 0):
        pytest.skip("needs an NVIDIA GPU that multiplies bf16")
    fused._tried.cache_clear()
    weight = torch.zeros(features, features, kernel, kernel, dtype=dtype, device="cuda")
    assert fused.rectifying(weight) is fused.rectified_at_once, caplog.text


def test_on_a_cpu_nothing_is_tried(monkeypatch):
    monkeypatch.setattr(fused, "_tried", None)
    for dtype in (torch.float32, torch.bfloat16):
        assert fused.rectifying(torch.zeros(6, 6, 3, 3, dtype=dtype)) is fused.rectified

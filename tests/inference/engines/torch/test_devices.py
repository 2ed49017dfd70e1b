import logging

import pytest
import torch

from edsr_cli.errors import UsageError
from edsr_cli.inference import cgroups, memory
from edsr_cli.inference.engine import Device, OutOfMemoryError, Precision
from edsr_cli.inference.engines.torch import devices, hardware
from edsr_cli.inference.engines.torch.engine import STRIP_PIXELS, TorchEngine

CPU = Device("cpu")
ENGINE = TorchEngine()


def test_auto_is_a_device_that_works():
    device = ENGINE.device("auto")
    assert device.type in STRIP_PIXELS
    assert torch.zeros(1, device=str(device)).item() == 0


@pytest.mark.parametrize("name", ["gpu", "xpu", "meta", "cpu:x", "", "cuda:-1"])
def test_unknown_devices_are_refused(name):
    with pytest.raises(UsageError) as caught:
        ENGINE.device(name)
    assert "device" in caught.value.message


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
@pytest.mark.parametrize("name", ["cuda", "cuda:0"])
def test_missing_cuda_is_explained(name):
    with pytest.raises(UsageError, match="--device cpu"):
        devices.pick_device(name)


@pytest.fixture
def two_gpus(monkeypatch):
    """Two GPUs, as torch lists them; convolutions on them fail until the test says otherwise."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: f"GPU {device.index}")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (5, 2))
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    broken = {0: RuntimeError("CUDA error: no kernel image is available\nfor execution\n" * 4),
              1: RuntimeError("CUDA error: out of memory.\nmore")}  # fmt: skip
    ones = torch.ones

    def made(*size, device):
        if device.index in broken:
            raise broken[device.index]
        return ones(*size)

    monkeypatch.setattr(torch, "ones", made)
    return broken


def test_auto_leaves_out_gpus_that_do_not_work(two_gpus, caplog):
    with caplog.at_level(logging.WARNING, "edsr_cli"):
        assert devices.pick_device("auto").type == "cpu"
    assert [record.message for record in caplog.records] == [
        "cuda:0 (GPU 0) cannot be used: this build of torch has nothing for its generation (5.2).",
        "cuda:1 (GPU 1) cannot be used: CUDA error: out of memory.",
    ]
    del two_gpus[1]
    assert devices.pick_device("auto") == torch.device("cuda", 1)
    del two_gpus[0]
    assert devices.pick_device("auto") == torch.device("cuda", 0)


def test_a_gpu_that_was_asked_for_and_does_not_work_is_an_error(two_gpus):
    with pytest.raises(UsageError) as caught:
        devices.pick_device("cuda")
    assert "cuda:0 (GPU 0) cannot be used" in caught.value.message
    assert "5.2" in caught.value.message and "--device cpu" in caught.value.hint
    assert "\n" not in str(caught.value)
    del two_gpus[0]
    assert devices.pick_device("cuda") == torch.device("cuda", 0)


def test_a_gpu_that_computes_nonsense_does_not_work(two_gpus, monkeypatch):
    two_gpus.clear()
    monkeypatch.setattr(devices.F, "conv2d", lambda x, weight: x * float("nan"))
    with pytest.raises(UsageError, match="a convolution gave nan"):
        devices.pick_device("cuda:1")


def test_precisions():
    assert ENGINE.precision("fp32", CPU) is Precision.FP32
    assert ENGINE.precision("bf16", CPU) is Precision.BF16
    assert ENGINE.precision("fp16", Device("cuda", 0)) is Precision.FP16
    with pytest.raises(UsageError, match="GPU"):
        ENGINE.precision("fp16", CPU)
    with pytest.raises(UsageError, match="int8"):
        ENGINE.precision("int8", CPU)


@pytest.mark.parametrize("avx512, amx", [(False, False), (True, False), (False, True)])
def test_auto_takes_bf16_only_where_the_cpu_multiplies_it(monkeypatch, avx512, amx):
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: avx512, raising=False)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx, raising=False)
    monkeypatch.setattr(hardware, "multiplies_bf16", lambda: None)  # only torch can tell
    expected = Precision.BF16 if avx512 or amx else Precision.FP32
    assert ENGINE.precision("auto", CPU) is expected


@pytest.mark.parametrize(("capability", "expected"), [((7, 5), "fp32"), ((8, 0), "bf16")])
def test_auto_takes_bf16_on_cuda_from_ampere_on(monkeypatch, capability, expected):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    assert ENGINE.precision("auto", Device("cuda", 0)).value == expected


def test_the_budget_keeps_to_a_containers_limit(monkeypatch):
    monkeypatch.setattr(cgroups, "memory_left", lambda: 500 << 20)
    assert ENGINE.memory(CPU) == 250 << 20
    # A full container is no reason to work in strips of one row: that would save next to nothing.
    for left in (0, 1 << 20):
        monkeypatch.setattr(cgroups, "memory_left", lambda left=left: left)
        assert ENGINE.memory(CPU) == memory.LEAST_BUDGET


def test_what_a_limit_leaves_for_tensors():
    assert ENGINE.memory_of(300, CPU) == 200
    assert ENGINE.memory_of(100 << 20, CPU) == 96 << 20
    assert ENGINE.memory_of(100, Device("mps")) == 100
    # Half is for the rows of a graph.
    assert ENGINE.memory_of(100, Device("cuda", 0)) == 50
    assert TorchEngine("eager").memory_of(100, Device("cuda", 0)) == 100


def test_budget_is_some_of_the_memory():
    import psutil

    assert 0 < ENGINE.memory(CPU) < psutil.virtual_memory().total


@pytest.mark.parametrize(
    ("error", "verdict"),
    [
        (MemoryError(), True),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"), True),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"), True),
        (RuntimeError("DefaultCPUAllocator: not enough memory: you tried"), True),
        (RuntimeError("MPS backend out of memory (MPS allocated: 1 GB)"), True),
        (RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"), True),
        (RuntimeError("CUDA error: an illegal memory access was encountered"), False),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_out_of_memory_is_told_from_other_errors(error, verdict):
    assert devices.is_out_of_memory(error) is verdict


def test_the_real_error_of_an_impossible_allocation_is_recognised():
    with pytest.raises(OutOfMemoryError), devices.own_errors():
        torch.empty(1 << 60, dtype=torch.uint8)
    with pytest.raises(RuntimeError, match="illegal"), devices.own_errors():
        raise RuntimeError("CUDA error: an illegal memory access was encountered")


@pytest.mark.parametrize("allowed", [False, True])
@pytest.mark.parametrize("precision", list(Precision))
def test_only_networks_in_fp32_forbid_tf32(precision, allowed, monkeypatch):
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = allowed
    try:
        with devices.convolutions(precision):
            inside = torch.backends.cudnn.allow_tf32
        after = torch.backends.cudnn.allow_tf32
    finally:
        torch.backends.cudnn.allow_tf32 = before
    assert inside == (allowed and precision is not Precision.FP32)
    assert after == allowed

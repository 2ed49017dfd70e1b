"""What can be said of recordings without a GPU; training/test_updater.py has what needs one."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch

from edsr_cli.inference.engines.torch import devices, graphs
from edsr_cli.inference.engines.torch.transfer import Ferry


class Stream:
    """Stands for a stream."""

    def __init__(self, *_: object) -> None:
        pass

    def wait_stream(self, other: "Stream") -> None:
        assert isinstance(other, Stream)


class Graph:
    """Stands for a graph; nothing is recorded."""

    replayed = 0

    def replay(self) -> None:
        self.replayed += 1


@pytest.fixture
def failure(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[RuntimeError]]:
    """torch.cuda without a GPU. Recording fails with the error in the list, if there is one."""
    errors: list[RuntimeError] = []

    @contextmanager
    def graph(*_: object, capture_error_mode: str) -> Iterator[None]:
        assert capture_error_mode == "thread_local"
        yield
        if errors:
            raise errors[0]

    @contextmanager
    def stream(_: Stream) -> Iterator[None]:
        yield

    for name, value in {
        "Stream": Stream, "stream": stream, "current_stream": Stream, "CUDAGraph": Graph,
        "graph": graph, "graph_pool_handle": object,
    }.items():  # fmt: skip
        monkeypatch.setattr(torch.cuda, name, value)
    yield errors


def record() -> tuple[Any, Any, torch.Tensor]:
    counter = torch.zeros(())

    def work() -> None:
        counter.add_(1)

    recorder = graphs.Recorder(torch.device("cuda", 0), "updates")
    return work, recorder(work, [counter]), counter


def test_what_is_recorded_is_replayed(failure: list[RuntimeError]) -> None:
    work, made, counter = record()
    assert made != work
    made()
    assert made.__self__.replayed == 1
    assert counter == 1  # by the recording, which on a GPU does nothing yet


def test_without_a_graph_it_runs_as_it_is(
    failure: list[RuntimeError], caplog: pytest.LogCaptureFixture
) -> None:
    failure.append(RuntimeError("CUDA error: operation not permitted\nmore"))
    with caplog.at_level(logging.WARNING):
        work, made, _ = record()
    assert made is work
    assert (
        "No CUDA graph could be made of the updates" in caplog.text
        and "operation not permitted" in caplog.text
    )


def test_too_little_memory_is_not_hidden(failure: list[RuntimeError]) -> None:
    failure.append(torch.OutOfMemoryError("CUDA out of memory."))
    with pytest.raises(torch.OutOfMemoryError):
        record()


@pytest.mark.parametrize("benchmark", [False, True])
def test_settings_are_put_back(monkeypatch: pytest.MonkeyPatch, benchmark: bool) -> None:
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", benchmark)
    entered = []

    @contextmanager
    def device(which: torch.device) -> Iterator[None]:
        entered.append((which, torch.backends.cudnn.benchmark))
        yield

    monkeypatch.setattr(torch.cuda, "device", device)
    cuda = torch.device("cuda", 1)
    with pytest.raises(KeyError), graphs.settings(cuda):
        raise KeyError
    with graphs.settings(torch.device("cpu")):
        assert torch.backends.cudnn.benchmark == benchmark
    assert entered == [(cuda, True)]
    assert torch.backends.cudnn.benchmark == benchmark


def test_streams_are_not_made_anew_for_each_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    # torch gives out 32 by turns: the 33rd is the first, which may be recording by then.
    made: list[object] = []
    monkeypatch.setattr(torch.cuda, "Stream", lambda device: made.append(device) or object())
    monkeypatch.setattr(torch.cuda, "graph_pool_handle", object)
    devices.stream.cache_clear()
    device = torch.device("cuda", 0)
    try:
        for _ in range(40):
            Ferry(device, np.dtype(np.uint8), False, ahead=True)
            graphs.Recorder(device, "strips")
    finally:
        devices.stream.cache_clear()
    assert made == [device] * 3

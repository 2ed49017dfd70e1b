"""CUDA graphs: work that is recorded once and then started as a whole.

An update of a training, or a strip of a picture, is some hundreds of small kernels. Started one by
one they take the host longer than the device; as a graph they are started together, on the tensors
that they were recorded with.
"""

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

from edsr_cli.inference.engines.torch import devices

logger = logging.getLogger(__name__)

_WARM_UP = 3  # what torch's own notes on CUDA graphs have

Work = Callable[[], None]
"""Reads and writes tensors that stay where they are, and asks the host for no value of theirs."""


_recording = threading.Lock()  # one thread at a time, as there is one stream for it


class Recorder:
    """Records work on a CUDA device. All that one records shares the memory of what is between.

    Args:
        device: where.
        what: what is recorded, for a warning.
    """

    def __init__(self, device: torch.device, what: str) -> None:
        self._what = what
        self._stream = devices.stream(device, "recording")
        self._pool = torch.cuda.graph_pool_handle()

    def __call__(self, work: Work, state: Sequence[Tensor]) -> Work:
        """Work that does the same as `work`, as one graph where that can be recorded.

        Args:
            work: is done a few times first, so that libraries choose their kernels.
            state: all that it changes and depends on; in the end it is as it was.
        """
        with _recording:
            return self._recorded(work, state)

    def _recorded(self, work: Work, state: Sequence[Tensor]) -> Work:
        present = torch.cuda.current_stream()
        self._stream.wait_stream(present)
        # If a recording fails, torch does not come back from its stream; this does.
        with torch.cuda.stream(self._stream):
            warm_up(work, state)
            graph = torch.cuda.CUDAGraph()
            try:
                # "thread_local": the thread that fills slots may wait for its events meanwhile.
                with torch.cuda.graph(
                    graph, self._pool, self._stream, capture_error_mode="thread_local"
                ):
                    work()
            except RuntimeError as error:
                if devices.is_out_of_memory(error):
                    raise
                reason = str(error).partition("\n")[0]
                logger.warning(
                    "No CUDA graph could be made of the %s (%s); they run without, slower.",
                    self._what,
                    reason,
                )
                return work
            finally:
                present.wait_stream(self._stream)
        return graph.replay


def warm_up(work: Work, state: Sequence[Tensor]) -> None:
    """Do work a few times, and put back what it has changed."""
    before = [tensor.detach().clone() for tensor in state]
    for _ in range(_WARM_UP):
        work()
    with torch.no_grad():
        for tensor, was in zip(state, before, strict=True):
            tensor.copy_(was)


@contextmanager
def settings(device: torch.device) -> Iterator[None]:
    """What updates of a training run under: the device's own streams, and cuDNN's fastest kernels.

    All batches have the same shapes, so it pays to try kernels out once.
    """
    if device.type != "cuda":
        yield
        return
    before = torch.backends.cudnn.benchmark
    torch.backends.cudnn.benchmark = True
    try:
        with devices.present(device):
            yield
    finally:
        torch.backends.cudnn.benchmark = before

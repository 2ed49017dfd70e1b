"""Strips from the middle of pictures, whose shape comes again and again.

There every node of a network gives as many rows as it gets (see `Node.step`), on tensors that stay
where they are. So what is done for a strip can be recorded as a CUDA graph, once for all pictures
with strips of that shape: a picture lends the rows that its nodes hold, and takes them back before
its last strip. What is recorded is compared with the plain `push` first, and left if it differs.
Without an NVIDIA GPU the steps run as they are.
"""

import logging
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from edsr_cli.inference.engine import Precision
from edsr_cli.inference.engines.torch import devices
from edsr_cli.inference.engines.torch.graphs import Recorder, Work
from edsr_cli.inference.engines.torch.node import Node

logger = logging.getLogger(__name__)

_OFTEN = 4  # strips of one shape from which on it pays to prepare for it: that takes about as many
_SHAPES = 8  # that are counted at a time
_KEPT = 2  # preparations that are kept while no picture has them, for as many threads
_TOLERANCE = {Precision.FP32: 0.05, Precision.BF16: 4.0, Precision.FP16: 4.0}
"""Levels that steps may differ by from the plain way, which rounds in another order (beside bf16
and fp16 head and tail perhaps to TF32, see `devices.convolutions`); a row in the wrong place is off
by tens of levels."""

Record = Callable[[Work, Sequence[Tensor]], Work]
"""Makes a graph of work; see `edsr_cli.inference.engines.torch.graphs.Recorder`."""


@dataclass(frozen=True)
class Way:
    """How strips from the middle are computed.

    Attributes:
        recorder: called for each shape, gives what records it; None to run the steps as they are.
        fused: whether cuDNN convolves and rectifies in one call.
    """

    recorder: Callable[[], Record] | None = None
    fused: bool = False


def ways(name: str, device: torch.device, precision: Precision) -> list[Way]:
    """The ways that a name of `edsr_cli.inference.engines.torch.engine.STRIPS` stands for.

    The best of them is first. There are none where every strip is pushed. cuDNN's fused kernels are
    made for the tensor cores, so they are for bf16 and fp16.
    """
    recorder = (lambda: Recorder(device, "strips")) if device.type == "cuda" else None
    graphs = Way(recorder)
    fused = [] if precision is Precision.FP32 else [Way(recorder, fused=True)]
    named = {"fused": [*fused, graphs], "graphs": [graphs], "steps": [Way()]}
    return named.get(name, [])


class Steps:
    """A network prepared for strips of one shape; for one picture at a time.

    Args:
        node: the network; its weights are shared.
        like: a strip.
        way: how.
        tolerance: by how many levels it may differ from `Node.push`.

    Raises:
        ArithmeticError: it differs by more.
        RuntimeError: torch cannot do it here.
    """

    def __init__(self, node: Node, like: Tensor, way: Way, tolerance: float) -> None:
        self._node, self._fused = node.fresh(), way.fused
        self._strip = torch.empty_like(like)
        random = torch.Generator(like.device).manual_seed(0)
        strips = [torch.empty_like(like).uniform_(0, 255, generator=random) for _ in range(2)]
        for number in range(-(-2 * node.cost.delay // like.shape[2])):
            self._node.push(strips[number % 2], False)
        before = [rows.clone() for rows in self._node.held()]
        expected = [self._node.push(strip, False) for strip in strips]
        self._rows = torch.empty_like(expected[0])
        self.take(before)
        self._run: Work = self._step
        if way.recorder is not None:
            self._run = way.recorder()(self._step, list(self._node.held()))
        self._check(strips, expected, tolerance)

    def take(self, rows: Sequence[Tensor]) -> None:
        """Go on where a node stands that holds these rows."""
        for mine, others in zip(self._node.held(), rows, strict=True):
            mine.copy_(others)

    def give(self, node: Node) -> None:
        """Let a node go on from here that stood in the middle of a picture, too."""
        for mine, others in zip(self._node.held(), node.held(), strict=True):
            others.copy_(mine)

    def __call__(self, strip: Tensor) -> Tensor:
        """What `Node.push` would give; only until the next call."""
        self._strip.copy_(strip)
        self._run()
        return self._rows

    def _step(self) -> None:
        self._node.step(self._node.enter(self._strip), self._rows, fused=self._fused)

    def _check(self, strips: list[Tensor], expected: list[Tensor], tolerance: float) -> None:
        for strip, rows in zip(strips, expected, strict=True):
            difference = float((self(strip) - rows).abs().max())
            if not difference <= tolerance:  # NaN, too
                raise ArithmeticError(f"rows differ by {difference:g} levels")


class Preparations:
    """What a network has prepared for the shapes of strips that come often; for any threads.

    Args:
        node: the network.
        ways: how strips from the middle may be computed, best first.
        precision: of the network.
    """

    def __init__(self, node: Node, ways: Sequence[Way], precision: Precision) -> None:
        self._node, self._ways = node, list(ways)
        self._tolerance = _TOLERANCE[precision]
        self._lock = threading.Lock()
        self._idle: list[tuple[torch.Size, Steps]] = []
        self._counts: Counter[torch.Size] = Counter()

    def lend(self, strip: Tensor) -> Steps | None:
        """Steps for strips of that shape, until they are given back; None if there are none."""
        with self._lock:
            for place, (shape, steps) in enumerate(self._idle):
                if shape == strip.shape:
                    del self._idle[place]
                    return steps
            if strip.shape not in self._counts and len(self._counts) == _SHAPES:
                self._counts.clear()
            self._counts[strip.shape] += 1
            often = self._counts[strip.shape] >= _OFTEN
        return self._prepared(strip) if often else None

    def take_back(self, steps: Steps, shape: torch.Size) -> None:
        """Keep steps for another picture."""
        with self._lock:
            self._idle = [*self._idle, (shape, steps)][-_KEPT:]

    def forget(self) -> None:
        """Let go of all that was prepared, and of the memory that it takes."""
        with self._lock:
            self._idle = []
            self._counts.clear()

    def _prepared(self, strip: Tensor) -> Steps | None:
        """Steps by the best way that works; the others are not tried again."""
        for way in self._ways:  # a list that is replaced, never changed
            try:
                return Steps(self._node, strip, way, self._tolerance)
            except (RuntimeError, ArithmeticError, MemoryError) as error:
                reason = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
                if devices.is_out_of_memory(error):
                    reason = "memory ran out"
            with self._lock:
                self._ways = [each for each in self._ways if each is not way]
            logger.warning(
                "The faster way to compute strips%s cannot be used: %s.",
                " with fused convolutions" if way.fused else "",
                reason,
            )
        return None

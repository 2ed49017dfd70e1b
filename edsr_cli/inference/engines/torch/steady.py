"""Strips from the middle of pictures, whose shape comes again and again.

There every node of a network gives as many rows as it gets (see `Node.step`), on tensors that stay
where they are. So what is done for a strip can be recorded as a CUDA graph, once for all pictures
with strips of that shape: a picture lends the rows that its nodes hold, and takes them back before
its last strip. What is recorded is compared with the plain `push` first, and left if it differs.
Where nothing is recorded the steps run as they are.
"""

import logging
import threading
from collections import Counter
from collections.abc import Callable, Sequence

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


class Steps:
    """A network prepared for strips of one shape; for one picture at a time.

    Args:
        node: the network; its weights are shared.
        like: a strip.
        record: what makes a graph of them; None to run them as they are.
        tolerance: by how many levels it may differ from `Node.push`.

    Raises:
        ArithmeticError: it differs by more.
        RuntimeError: torch cannot do it here.
    """

    def __init__(self, node: Node, like: Tensor, record: Record | None, tolerance: float) -> None:
        self._node = node.fresh()
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
        if record is not None:
            self._run = record(self._step, list(self._node.held()))
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
        self._node.step(self._node.enter(self._strip), self._rows)

    def _check(self, strips: list[Tensor], expected: list[Tensor], tolerance: float) -> None:
        for strip, rows in zip(strips, expected, strict=True):
            difference = float((self(strip) - rows).abs().max())
            if not difference <= tolerance:  # NaN, too
                raise ArithmeticError(f"rows differ by {difference:g} levels")


class Preparations:
    """What a network has prepared for the shapes of strips that come often; for any threads.

    Args:
        node: the network.
        precision: of the network.
        recorder: called for each shape, gives what makes a graph of strips; None to run their steps
            as they are.
    """

    def __init__(
        self, node: Node, precision: Precision, recorder: Callable[[], Record] | None = None
    ) -> None:
        self._node, self._recorder = node, recorder
        self._tolerance = _TOLERANCE[precision]
        self._works = True
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
        return self._prepared(strip) if often and self._works else None

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
        """Steps for strips of that shape; None if that does not work, which is not tried again."""
        try:
            record = None if self._recorder is None else self._recorder()
            return Steps(self._node, strip, record, self._tolerance)
        except (RuntimeError, ArithmeticError, MemoryError) as error:
            reason = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
            if devices.is_out_of_memory(error):
                reason = "memory ran out"
        self._works = False
        logger.warning("The faster way to compute strips cannot be used: %s.", reason)
        return None


def preparations(
    strips: str, node: Node, device: torch.device, precision: Precision
) -> Preparations | None:
    """What a network on a device has for strips from the middle; None to push every strip.

    Args:
        strips: one of `edsr_cli.inference.engines.torch.engine.STRIPS`.
        node, device, precision: the network, where it is, and its format.
    """
    if strips == "steps":
        return Preparations(node, precision)
    if strips == "graphs" and device.type == "cuda":
        return Preparations(node, precision, lambda: Recorder(device, "strips"))
    return None

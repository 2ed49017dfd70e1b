"""One update after another: the loop of training, without files and without a user."""

import math
import time
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import torch
from msgspec import Struct

from edsr_cli.errors import EdsrError
from edsr_cli.model.networks import EDSR, MDSR
from edsr_cli.training.feed import Slot
from edsr_cli.training.patches import Sampler
from edsr_cli.training.recipe import Recipe, fraction_done, learning_rate
from edsr_cli.training.updater import Updater


class DivergedError(EdsrError):
    """The loss is no longer a number."""


class Step(Struct, frozen=True):
    """What an update did.

    Attributes:
        update: updates done, this one included.
        scale: the scale it was about.
        learning_rate: what it was made with.
        seconds: wall time since the training began, earlier parts included.
        fraction: how much of the training is done, 0..1.
    """

    update: int
    scale: int
    learning_rate: float
    seconds: float
    fraction: float


class Trainer:
    """A network in training.

    Args:
        network: what is trained; it is moved to the device.
        recipe: how.
        sampler: gives the batches.
        device: where.
        graph: run each update as one CUDA graph, on an NVIDIA GPU.

    Attributes:
        update: updates done.
        updater: makes them.
    """

    def __init__(
        self,
        network: EDSR | MDSR,
        recipe: Recipe,
        sampler: Sampler,
        device: torch.device,
        *,
        graph: bool = True,
    ) -> None:
        layout = torch.channels_last if recipe.channels_last else torch.contiguous_format
        _lay_out(network.to(device), layout)
        self.network = network.train()
        self.recipe, self.sampler, self.device = recipe, sampler, device
        self.update = 0
        self.updater = Updater(self.network, recipe, sampler, device, graph)
        self._summed = 0
        self._seconds_before = 0.0
        self._begin = time.monotonic()

    @property
    def seconds(self) -> float:
        """Wall time since the training began, without that between a stop and going on."""
        return self._seconds_before + time.monotonic() - self._begin

    def start_clock(self) -> None:
        """Let the training begin now: what was done before the first update does not count."""
        self._begin = time.monotonic()

    @property
    def done(self) -> bool:
        """Whether a limit is reached."""
        return fraction_done(self.recipe, self.update, self.seconds) >= 1.0

    def steps(self) -> Iterator[Step]:
        """Make updates until a limit is reached.

        On a GPU they are only started, so that it always has a few to do; what it has done is
        known when a loss is asked for.

        Raises:
            DivergedError: the loss is no longer finite.
        """
        with self.updater.feed.from_batch(self.update) as slots:
            while not self.done:
                yield self._step(next(slots))

    def mean_loss(self) -> float:
        """The mean loss, in levels, since the last call. Waits for the device.

        Raises:
            DivergedError: it is not finite.
        """
        loss = float(self.updater.loss) / max(self._summed, 1)
        self.updater.loss.zero_()
        self._summed = 0
        if not math.isfinite(loss):
            raise DivergedError(
                f"The training has diverged: the loss is {loss} near update {self.update}.",
                "Start again with a smaller --learning-rate, --warmup 1000 or --clip 1.",
            )
        return loss

    def loss_ahead(self) -> float:
        """The loss, in levels, of the next batch by the weights as they are; nothing is changed."""
        return self.updater.loss_of(self.sampler.batch(self.update))

    def result(self) -> EDSR | MDSR:
        """A copy of the network on the CPU with the weights to be used: averaged ones if any."""
        network = deepcopy(self.network)
        if self.updater.average:
            trained = [p for p in network.parameters() if p.requires_grad]
            with torch.no_grad():
                for parameter, average in zip(trained, self.updater.average, strict=True):
                    parameter.copy_(average)
        network.requires_grad_(False)
        _lay_out(network.to("cpu"), torch.contiguous_format)
        return network.eval()

    def state_dict(self) -> dict[str, Any]:
        """Everything needed to go on: tensors, numbers and strings only."""
        own = {"update": self.update, "seconds": self.seconds, "summed": self._summed}
        return own | self.updater.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what `state_dict` gave."""
        self.updater.load_state_dict(state)
        self._summed = state["summed"]
        self.update = state["update"]
        self._seconds_before, self._begin = state["seconds"], time.monotonic()

    def _step(self, slot: Slot) -> Step:
        seconds = self.seconds
        rate = learning_rate(self.recipe, self.update, seconds)
        update = self.update + 1
        # Early averages must not remember the start: as many updates as there are count.
        self.updater(slot, rate, decay=min(self.recipe.ema, (1 + update) / (10 + update)))
        self.update = update
        self._summed += 1
        fraction = fraction_done(self.recipe, self.update, self.seconds)
        return Step(self.update, slot.scale, rate, seconds, fraction)


def _lay_out(network: Any, layout: torch.memory_format) -> None:
    """Set the memory layout of the weights; not every torch has types for that."""
    network.to(memory_format=layout)

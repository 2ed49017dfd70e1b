"""One update after another: the loop of training, without files and without a user."""

import math
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from edsr_cli.errors import EdsrError
from edsr_cli.networks import EDSR, MDSR, linear_tail
from edsr_cli.training.choices import Autocast
from edsr_cli.training.patches import Batch, Sampler
from edsr_cli.training.recipe import Recipe
from edsr_cli.training.schedule import fraction_done, learning_rate
from edsr_cli.training.tail import run_tail


class DivergedError(EdsrError):
    """The loss is no longer a number."""


@dataclass(frozen=True)
class Step:
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

    Attributes:
        update: updates done.
        collapses: whether the tail runs as one convolution (see `run_tail`), with the same updates
            up to rounding. Only on a CPU, where it was measured to be faster.
    """

    def __init__(
        self, network: EDSR | MDSR, recipe: Recipe, sampler: Sampler, device: torch.device
    ) -> None:
        layout = torch.channels_last if recipe.channels_last else torch.contiguous_format
        _lay_out(network.to(device), layout)
        self.network = network.train()
        self.recipe, self.sampler, self.device = recipe, sampler, device
        self.update = 0
        self.collapses = device.type == "cpu"
        self._layout = layout
        self._weights = [p for p in self.network.parameters() if p.requires_grad]
        self._optimizer = torch.optim.Adam(
            self._weights, recipe.learning_rate, recipe.betas, recipe.epsilon, fused=_fused(device)
        )
        self._average = [weight.detach().clone() for weight in self._weights] if recipe.ema else []
        self._loss = torch.zeros((), device=device)
        self._summed = 0
        self._seconds_before = 0.0
        self._begin = time.monotonic()

    @property
    def seconds(self) -> float:
        """Wall time since the training began, without that between a stop and going on."""
        return self._seconds_before + time.monotonic() - self._begin

    @property
    def done(self) -> bool:
        """Whether a limit is reached."""
        return fraction_done(self.recipe, self.update, self.seconds) >= 1.0

    def steps(self) -> Iterator[Step]:
        """Make updates until a limit is reached.

        The next batch is cut by another thread where it has to be brought to the device.

        Raises:
            DivergedError: the loss is no longer finite.
        """
        ahead = self.device.type != self.sampler.device.type
        with ThreadPoolExecutor(1) if ahead else nullcontext() as pool:
            following: Future[Batch] | None = None
            while not self.done:
                batch = self.sampler.batch(self.update) if following is None else following.result()
                if pool is not None:
                    following = pool.submit(self.sampler.batch, self.update + 1)
                yield self._step(batch)

    def mean_loss(self) -> float:
        """The mean loss, in levels, since the last call. Waits for the device.

        Raises:
            DivergedError: it is not finite.
        """
        loss = float(self._loss) / max(self._summed, 1)
        self._loss.zero_()
        self._summed = 0
        if not math.isfinite(loss):
            raise DivergedError(
                f"The training has diverged: the loss is {loss} near update {self.update}.",
                "Start again with a smaller --learning-rate, --warmup 1000 or --clip 1.",
            )
        return loss

    def loss_ahead(self) -> float:
        """The loss, in levels, of the next batch by the weights as they are; nothing is changed."""
        batch = self.sampler.batch(self.update)
        lr, hr = (part.to(self.device, memory_format=self._layout) for part in (batch.lr, batch.hr))
        with torch.no_grad(), self._autocast():
            return float(F.l1_loss(self._forward(lr, batch.scale).float(), hr))

    def result(self) -> EDSR | MDSR:
        """A copy of the network on the CPU with the weights to be used: averaged ones if any."""
        network = deepcopy(self.network)
        if self._average:
            trained = [p for p in network.parameters() if p.requires_grad]
            with torch.no_grad():
                for parameter, average in zip(trained, self._average, strict=True):
                    parameter.copy_(average)
        network.requires_grad_(False)
        _lay_out(network.to("cpu"), torch.contiguous_format)
        return network.eval()

    def state_dict(self) -> dict[str, Any]:
        """Everything needed to go on: tensors, numbers and strings only."""
        return {
            "update": self.update,
            "seconds": self.seconds,
            "network": self.network.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "average": self._average,
            "loss": self._loss,
            "summed": self._summed,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what `state_dict` gave."""
        self.network.load_state_dict(state["network"])
        self._optimizer.load_state_dict(state["optimizer"])
        for mine, saved in zip(self._average, state["average"], strict=True):
            mine.copy_(saved)
        self._loss.copy_(state["loss"])
        self._summed = state["summed"]
        self.update = state["update"]
        self._seconds_before, self._begin = state["seconds"], time.monotonic()

    def _step(self, batch: Batch) -> Step:
        seconds = self.seconds
        rate = learning_rate(self.recipe, self.update, seconds)
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        self._optimizer.zero_grad(set_to_none=True)
        lr, hr = (
            part.to(self.device, memory_format=self._layout, non_blocking=True)
            for part in (batch.lr, batch.hr)
        )
        with self._autocast():
            loss = F.l1_loss(self._forward(lr, batch.scale).float(), hr)
        loss.backward()  # type: ignore[no-untyped-call]
        if self.recipe.clip_norm:
            torch.nn.utils.clip_grad_norm_(self._weights, self.recipe.clip_norm)
        # Of an MDSR network, the modules of other scales have no gradient, not one of zeros; Adam
        # leaves them and their moments alone (paper, section 4.2).
        self._optimizer.step()
        self.update += 1
        self._track(loss.detach())
        fraction = fraction_done(self.recipe, self.update, self.seconds)
        return Step(self.update, batch.scale, rate, seconds, fraction)

    def _forward(self, lr: Tensor, scale: int) -> Tensor:
        arguments = (lr, scale) if isinstance(self.network, MDSR) else (lr,)
        if not self.collapses:
            return self.network(*arguments)
        features = self.network.features(*arguments)
        return self.network.add_mean(run_tail(linear_tail(self.network, scale), features, scale))

    def _track(self, loss: Tensor) -> None:
        """Follow the update with the loss's sum and the averaged weights."""
        self._loss += loss
        self._summed += 1
        if self._average:
            # Early averages must not remember the start: as many updates as there are count.
            decay = min(self.recipe.ema, (1 + self.update) / (10 + self.update))
            torch._foreach_lerp_(self._average, [w.detach() for w in self._weights], 1 - decay)

    def _autocast(self) -> AbstractContextManager[Any]:
        if self.recipe.autocast is Autocast.FP32:
            return nullcontext()
        return torch.autocast(self.device.type, torch.bfloat16)


def _lay_out(network: Any, layout: torch.memory_format) -> None:
    """Set the memory layout of the weights; not every torch has types for that."""
    network.to(memory_format=layout)


def _fused(device: torch.device) -> bool:
    """Whether Adam has one kernel for all weights on the device."""
    return device.type in ("cuda", "cpu")

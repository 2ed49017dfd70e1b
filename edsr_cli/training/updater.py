"""One update of a network: gradients, Adam, and the average of the weights.

All that an update reads and writes lies in tensors that stay where they are, the learning rate too,
and nothing in it waits for the device. So the same code runs step by step on a CPU, and is recorded
once for each scale as a graph on an NVIDIA GPU
(`edsr_cli.inference.engines.torch.graphs`).
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from edsr_cli.inference.engines.torch.graphs import Recorder, Work, settings
from edsr_cli.model.networks import EDSR, MDSR, linear_tail
from edsr_cli.options.choices import Autocast
from edsr_cli.training import convolutions
from edsr_cli.training.feed import Feed, Slot
from edsr_cli.training.patches import Batch, Sampler
from edsr_cli.training.recipe import Recipe
from edsr_cli.training.tail import run_tail

_Record = Callable[[Work, Sequence[Tensor]], Work]


class Updater:
    """Changes a network's weights.

    Args:
        network: on the device, in train mode.
        recipe: how.
        sampler: makes the batches.
        device: where.
        graph: record the updates on an NVIDIA GPU.

    Attributes:
        feed: brings the batches.
        weights: what is trained.
        average: their moving average; empty without one.
        loss: the sum of the losses, until the caller sets it to 0.
        fuses: whether kernels are fused (see `edsr_cli.training.convolutions`), with the same
            updates up to rounding.
        collapsed: the scales at which the tail runs as one convolution (see `run_tail`), likewise.
        recorder: makes graphs; None runs every update step by step.
    """

    def __init__(
        self,
        network: EDSR | MDSR,
        recipe: Recipe,
        sampler: Sampler,
        device: torch.device,
        graph: bool,
    ) -> None:
        self._network, self._recipe, self._device = network, recipe, device
        self.fuses = (
            device.type == "cuda" and recipe.autocast is Autocast.BF16 and recipe.channels_last
        )
        self.collapsed: Sequence[int] = ()
        if device.type == "cpu":
            self.collapsed = sampler.scales
        elif self.fuses:
            self.collapsed = [scale for scale in sampler.scales if scale > 2]
        # The fused kernels want the learning rate as fp32 on a GPU; a CPU takes it as it is.
        exact = torch.float64 if device.type == "cpu" else torch.float32
        numbers = {"share": torch.zeros(())}
        self._fused = _is_fused(device)
        if self._fused:
            numbers["rate"] = torch.zeros((), dtype=exact)
        self.feed = Feed(sampler, numbers, device)
        self.weights = [p for p in network.parameters() if p.requires_grad]
        self.average = [w.detach().clone() for w in self.weights] if recipe.ema else []
        self.loss = torch.zeros((), device=device)
        self._optimizer = torch.optim.Adam(
            self.weights, recipe.learning_rate, recipe.betas, recipe.epsilon, fused=self._fused
        )
        if self._fused:
            self._optimizer.param_groups[0]["lr"] = self.feed.numbers["rate"]
        self._begin_moments()
        self.recorder: _Record | None = None
        if graph and device.type == "cuda":
            self.recorder = Recorder(device, "updates")
        self._recorded: dict[int, Work] = {}

    def __call__(self, slot: Slot, rate: float, decay: float) -> None:
        """Make an update.

        Args:
            slot: the feed's next one.
            rate: the learning rate.
            decay: how much of the average stays.
        """
        with settings(self._device):
            slot.write({"share": 1 - decay} | ({"rate": rate} if self._fused else {}))
            if not self._fused:
                self._optimizer.param_groups[0]["lr"] = rate
            self.feed.send(slot)
            if self.recorder is None:
                self._update(slot.scale)
                return
            if slot.scale not in self._recorded:
                update = partial(self._update, slot.scale)
                self._recorded[slot.scale] = self.recorder(update, self._changing())
            self._recorded[slot.scale]()

    def loss_of(self, batch: Batch) -> float:
        """The loss, in levels, of a batch by the weights as they are; nothing is changed.

        Waits for the device.
        """
        lr, hr = (part.to(self._device) for part in (batch.lr, batch.hr))
        with settings(self._device), torch.no_grad():
            return float(self._loss(Batch(batch.scale, lr, hr)))

    def state_dict(self) -> dict[str, Any]:
        """All that updates change: tensors, numbers and strings only."""
        optimizer = self._optimizer.state_dict()
        for group in optimizer["param_groups"]:
            group["lr"] = float(group["lr"])
        return {
            "network": self._network.state_dict(),
            "optimizer": optimizer,
            "average": self.average,
            "loss": self.loss,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take what `state_dict` gave, into the tensors that there are."""
        self._network.load_state_dict(state["network"])
        moments = state["optimizer"]["state"]
        for index, weight in enumerate(self.weights):
            for name, mine in self._optimizer.state[weight].items():
                if index in moments:
                    mine.copy_(moments[index][name])
                else:  # modules of an MDSR scale that had no update yet
                    mine.zero_()
        for mine, saved in zip(self.average, state["average"], strict=True):
            mine.copy_(saved)
        self.loss.copy_(state["loss"])

    def _begin_moments(self) -> None:
        """Adam's own beginning, at once: a graph has to find its tensors made."""
        home = self._device if self._fused else torch.device("cpu")
        for weight in self.weights:
            self._optimizer.state[weight] = {
                "step": torch.zeros((), device=home),
                "exp_avg": torch.zeros_like(weight, requires_grad=False),
                "exp_avg_sq": torch.zeros_like(weight, requires_grad=False),
            }

    def _changing(self) -> list[Tensor]:
        """Every tensor that an update changes."""
        moments = [each for w in self.weights for each in self._optimizer.state[w].values()]
        return [*self.weights, *moments, *self.average, self.loss]

    def _update(self, scale: int) -> None:
        self._optimizer.zero_grad(set_to_none=True)
        loss = self._loss(self.feed.batch(scale))
        loss.backward()  # type: ignore[no-untyped-call]
        if self._recipe.clip_norm:
            torch.nn.utils.clip_grad_norm_(self.weights, self._recipe.clip_norm)
        if self._device.type == "cuda":
            # torch refuses to record an Adam that is not "capturable", and warns of one that is
            # outside a recording. The fused kernel is the same.
            recording = torch.cuda.is_current_stream_capturing()
            self._optimizer.param_groups[0]["capturable"] = recording
        # Of an MDSR network, the modules of other scales have no gradient, not one of zeros; Adam
        # leaves them and their moments alone (paper, section 4.2).
        self._optimizer.step()
        self.loss += loss.detach()
        if self.average:
            step = torch._foreach_sub([w.detach() for w in self.weights], self.average)
            torch._foreach_mul_(step, self.feed.numbers["share"])
            torch._foreach_add_(self.average, step)

    def _loss(self, batch: Batch) -> Tensor:
        lr, hr = (_laid_out(part, self._recipe.channels_last) for part in (batch.lr, batch.hr))
        with self._autocast():
            return F.l1_loss(self._forward(lr, batch.scale).float(), hr)

    def _forward(self, lr: Tensor, scale: int) -> Tensor:
        network, tail = self._network, linear_tail(self._network, scale)
        if self.fuses:
            features = convolutions.features(network, lr, scale)
        else:
            features = network.features(lr, scale)
        if scale in self.collapsed:
            sr = run_tail(tail, features, scale)
        else:
            sr = convolutions.run(tail, features) if self.fuses else tail(features)
        return network.add_mean(sr)

    def _autocast(self) -> AbstractContextManager[Any]:
        if self._recipe.autocast is Autocast.FP32:
            return nullcontext()
        # What is cached outside a recording must not be used in it. Nothing is used twice but by
        # `run_tail`.
        cached = self._device.type != "cuda"
        return torch.autocast(self._device.type, torch.bfloat16, cache_enabled=cached)


def _laid_out(part: Tensor, channels_last: bool) -> Tensor:
    layout = torch.channels_last if channels_last else torch.contiguous_format
    return part.contiguous(memory_format=layout)


def _is_fused(device: torch.device) -> bool:
    """Whether Adam has one kernel for all weights on the device."""
    return device.type in ("cuda", "cpu")

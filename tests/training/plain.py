"""Training as a plain loop: what `edsr_cli.training.updater` must give, written down in full."""

import itertools

import numpy as np
import torch
from torch.nn import functional as F

from edsr_cli.model.config import NetworkConfig
from edsr_cli.model.networks import linear_tail
from edsr_cli.options.choices import Autocast
from edsr_cli.training.initial import random_network
from edsr_cli.training.patches import Sampler
from edsr_cli.training.recipe import Recipe, learning_rate
from edsr_cli.training.tail import run_tail


class PlainLoop:
    """Adam with a number as its learning rate, on a CPU, no tensor used twice."""

    def __init__(self, config: NetworkConfig, recipe: Recipe, sampler: Sampler) -> None:
        self.network = random_network(config, recipe.seed).train()
        if recipe.channels_last:
            self.network.to(memory_format=torch.channels_last)
        self.recipe, self.sampler = recipe, sampler
        self.weights = [p for p in self.network.parameters() if p.requires_grad]
        self.average = [w.detach().clone() for w in self.weights]
        self.adam = torch.optim.Adam(
            self.weights, recipe.learning_rate, recipe.betas, recipe.epsilon, fused=True
        )

    def losses(self, count: int) -> list[float]:
        return [self._step(number) for number in itertools.islice(itertools.count(), count)]

    def _step(self, number: int) -> float:
        self.adam.param_groups[0]["lr"] = learning_rate(self.recipe, number)
        batch = self.sampler.batch(number)
        layout = torch.channels_last if self.recipe.channels_last else torch.contiguous_format
        lr, hr = (part.contiguous(memory_format=layout) for part in (batch.lr, batch.hr))
        with torch.autocast("cpu", torch.bfloat16, self.recipe.autocast is Autocast.BF16):
            features = self.network.features(lr, batch.scale)
            tail = linear_tail(self.network, batch.scale)
            sr = self.network.add_mean(run_tail(tail, features, batch.scale))
            loss = F.l1_loss(sr.float(), hr)
        self.adam.zero_grad()
        loss.backward()
        if self.recipe.clip_norm:
            torch.nn.utils.clip_grad_norm_(self.weights, self.recipe.clip_norm)
        self.adam.step()
        decay = min(self.recipe.ema, (2 + number) / (11 + number))
        for mine, weight in zip(self.average, self.weights, strict=True):
            mine.lerp_(weight.detach(), 1 - decay)
        return float(np.float32(loss.detach()))

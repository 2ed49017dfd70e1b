import itertools
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from msgspec.structs import replace
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from edsr_cli.inference.engines.torch.devices import exact_convolutions
from edsr_cli.inference.engines.torch.graphs import Work, warm_up
from edsr_cli.model.config import SCALES, NetworkConfig
from edsr_cli.options.choices import Autocast, Schedule
from edsr_cli.training.initial import random_network
from edsr_cli.training.patches import Sampler
from edsr_cli.training.photos import Photos
from edsr_cli.training.recipe import Recipe
from edsr_cli.training.trainer import Trainer
from tests.training.plain import PlainLoop

CPU = torch.device("cpu")
EDSR = NetworkConfig("edsr", (2,), 2, 4)
MDSR = NetworkConfig("mdsr", SCALES, 2, 4)
RECIPE = Recipe(
    batch_size=2,
    patch_size=8,
    updates=30,
    learning_rate=1e-3,
    schedule=Schedule.COSINE,
    warmup=5,
    ema=0.9,
)

needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


def sampler(photos: Photos, config: NetworkConfig, device: torch.device = CPU) -> Sampler:
    return Sampler(photos, config.scales, RECIPE.batch_size, RECIPE.patch_size, 0, device)


def trainer(
    photos: Photos,
    config: NetworkConfig = EDSR,
    recipe: Recipe = RECIPE,
    device: torch.device = CPU,
    graph: bool = True,
) -> Trainer:
    network = random_network(config, recipe.seed)
    return Trainer(network, recipe, sampler(photos, config, device), device, graph=graph)


def losses(training: Trainer, count: int = 20) -> list[float]:
    return [training.mean_loss() for _ in itertools.islice(training.steps(), count)]


def tensors(value: Any) -> list[Tensor]:
    """All tensors of a state, in order."""
    if isinstance(value, Tensor):
        return [value]
    parts = value.values() if isinstance(value, dict) else value
    return [t for part in parts for t in tensors(part)] if isinstance(value, (dict, list)) else []


@pytest.mark.parametrize("config", [EDSR, MDSR], ids=["edsr", "mdsr"])
@pytest.mark.parametrize(
    "other",
    [{}, {"clip_norm": 5.0}, {"autocast": Autocast.BF16}, {"channels_last": False}],
    ids=["fp32", "clipped", "bf16", "channels first"],
)
def test_updates_are_those_of_a_plain_loop(
    photos: Photos, config: NetworkConfig, other: dict[str, Any]
) -> None:
    recipe = replace(RECIPE, **other)
    plain = PlainLoop(config, recipe, sampler(photos, config))
    training = trainer(photos, config, recipe)
    assert losses(training) == plain.losses(20)  # to the last bit
    for mine, theirs in zip(training.updater.weights, plain.weights, strict=True):
        assert torch.equal(mine, theirs)
    for mine, theirs in zip(training.updater.average, plain.average, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("autocast", list(Autocast))
def test_the_loss_ahead_is_that_of_the_next_update(photos: Photos, autocast: Autocast) -> None:
    training = trainer(photos, MDSR, replace(RECIPE, autocast=autocast))
    for _ in range(4):
        losses(training, 1)
        before = [t.clone() for t in training.updater._changing()]
        ahead = training.loss_ahead()
        assert all(map(torch.equal, before, training.updater._changing()))
        assert losses(training, 1) == pytest.approx([ahead], rel=1e-6)


class StandIn:
    """A recorder that does all that the true one does but record."""

    def __init__(self) -> None:
        self.recorded = 0

    def __call__(self, work: Work, state: Sequence[Tensor]) -> Work:
        before = [tensor.detach().clone() for tensor in state]
        warm_up(work, state)
        assert all(torch.equal(a, b) for a, b in zip(before, state, strict=True))
        self.recorded += 1
        return work


@pytest.mark.parametrize(("config", "graphs"), [(EDSR, 1), (MDSR, 3)], ids=["edsr", "mdsr"])
def test_a_warm_up_changes_nothing(photos: Photos, config: NetworkConfig, graphs: int) -> None:
    plain, recorded = trainer(photos, config), trainer(photos, config)
    recorded.updater.recorder = stand_in = StandIn()
    assert losses(recorded) == losses(plain)
    assert stand_in.recorded == graphs  # one for each scale, once
    one, other = (tensors(t.updater.state_dict()) for t in (plain, recorded))
    assert len(one) > 4 * len(plain.updater.weights)
    assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_a_warm_up_is_undone_in_whatever_changes(photos: Photos) -> None:
    training = trainer(photos, MDSR)
    losses(training, 3)
    before = [t.clone() for t in tensors(training.updater.state_dict())]
    done = 0

    def work() -> None:
        nonlocal done
        training.updater._update(4)
        done += 1

    warm_up(work, training.updater._changing())
    assert done >= 3
    after = tensors(training.updater.state_dict())
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))
    work()  # so it would have changed something
    assert not all(torch.equal(a, b) for a, b in zip(before, after, strict=True))


class Watch(TorchDispatchMode):
    """Notes what operations a graph cannot have: results that the host sees, numbers from it."""

    FORBIDDEN = ("_local_scalar_dense", "nonzero", "is_nonzero", "equal", "lift_fresh",
                 "masked_select", "_unique2")  # fmt: skip

    def __init__(self) -> None:
        super().__init__()
        self.all: list[str] = []

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> object:
        name = func.__name__.partition(".")[0]
        self.all.append(name)
        assert name not in self.FORBIDDEN, name
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("config", [EDSR, MDSR], ids=["edsr", "mdsr"])
@pytest.mark.parametrize("autocast", list(Autocast))
def test_nothing_in_an_update_needs_the_host(
    photos: Photos, config: NetworkConfig, autocast: Autocast
) -> None:
    training = trainer(photos, config, replace(RECIPE, autocast=autocast, clip_norm=1.0))
    training.updater.collapsed = ()  # as on a GPU
    losses(training, 1)
    scale = config.scales[-1]
    training.updater.feed.send(filled(training, scale))
    with Watch() as watch:
        training.updater._update(scale)
    assert {"index", "convolution", "_fused_adam_", "_foreach_add_"} <= set(watch.all)
    with pytest.raises(AssertionError, match="_local_scalar_dense"), Watch():
        float(training.updater.loss)


def filled(training: Trainer, scale: int) -> Any:
    with training.updater.feed.from_batch(0) as slots:
        return next(slot for slot in slots if slot.scale == scale)


@pytest.mark.parametrize("config", [EDSR, MDSR], ids=["edsr", "mdsr"])
def test_a_state_is_taken_in_place(photos: Photos, config: NetworkConfig) -> None:
    first, second = trainer(photos, config), trainer(photos, config)
    begin = losses(first, 7)
    losses(second, 4)
    places = [t.data_ptr() for t in second.updater._changing()]
    rate = second.updater.feed.numbers["rate"].data_ptr()
    second.load_state_dict(first.state_dict())
    assert begin + losses(second, 13) == losses(trainer(photos, config))
    assert [t.data_ptr() for t in second.updater._changing()] == places
    (group,) = second.updater._optimizer.param_groups
    assert group["lr"].data_ptr() == rate


def test_the_state_of_a_plain_adam_is_taken(photos: Photos) -> None:
    """States of before, when only what had an update had moments."""
    plain = PlainLoop(MDSR, RECIPE, sampler(photos, MDSR))
    begin = plain.losses(1)
    assert len(plain.adam.state) < len(plain.weights)
    training = trainer(photos, MDSR)
    losses(training, 5)
    training.load_state_dict(
        {
            "update": 1, "seconds": 0.0, "summed": 0, "loss": torch.zeros(()),
            "network": plain.network.state_dict(), "optimizer": plain.adam.state_dict(),
            "average": plain.average,
        }
    )  # fmt: skip
    assert begin + losses(training, 19) == losses(trainer(photos, MDSR))


@needs_cuda
@pytest.mark.parametrize("config", [EDSR, MDSR], ids=["edsr", "mdsr"])
@pytest.mark.parametrize("autocast", list(Autocast))
@pytest.mark.parametrize("where", ["device", "host"])
def test_a_graph_gives_the_losses_of_its_kernels(
    photos: Photos, config: NetworkConfig, autocast: Autocast, where: str
) -> None:
    cuda = torch.device("cuda", torch.cuda.current_device())
    recipe = replace(RECIPE, autocast=autocast, clip_norm=5.0)
    home = cuda if where == "device" else CPU
    graph, eager = (
        Trainer(random_network(config, 0), recipe, sampler(photos, config, home), cuda, graph=graph)
        for graph in (True, False)
    )
    begin = [w.detach().clone() for w in eager.updater.weights]
    # Kernels on a GPU may add up in any order.
    expected = losses(eager)
    assert losses(graph) == pytest.approx(expected, rel=1e-3)
    works = graph.updater._recorded
    assert len(works) == len(config.scales)
    assert all(isinstance(work.__self__, torch.cuda.CUDAGraph) for work in works.values())
    assert apart(graph, eager, begin) < 0.1
    # The same when the host runs ahead, as it does when nobody asks for the loss.
    ahead = trainer(photos, config, recipe, cuda)
    list(itertools.islice(ahead.steps(), 20))
    assert ahead.mean_loss() == pytest.approx(sum(expected) / 20, rel=1e-3)
    assert apart(ahead, eager, begin) < 0.1
    # Resumed into the tensors that the graphs have, it goes on from there.
    again = trainer(photos, config, recipe, cuda)
    losses(again, 3)
    again.load_state_dict(graph.state_dict())
    assert losses(again, 10) == pytest.approx(losses(eager, 10), rel=1e-2)


def apart(one: Trainer, other: Trainer, begin: list[Tensor]) -> float:
    """How far two trainings are from one another, as a share of how far one has come."""

    def distance(these: Sequence[Tensor], those: Sequence[Tensor]) -> float:
        return sum(float((a - b).square().sum()) for a, b in zip(these, those, strict=True)) ** 0.5

    weights = [[w.detach() for w in each.updater.weights] for each in (one, other)]
    return distance(*weights) / distance(weights[1], begin)


@needs_cuda
def test_a_gpu_gives_the_losses_of_a_cpu(photos: Photos) -> None:
    cuda = torch.device("cuda", torch.cuda.current_device())
    with exact_convolutions():
        measured = losses(trainer(photos, EDSR, RECIPE, cuda))
    assert measured == pytest.approx(losses(trainer(photos)), rel=1e-2)

import io
import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from msgspec.structs import replace

from edsr_cli.evaluation.metrics import Channels, psnr
from edsr_cli.model.config import SCALES, NetworkConfig
from edsr_cli.options.choices import Autocast, Schedule
from edsr_cli.training.initial import random_network
from edsr_cli.training.loading import load_photos
from edsr_cli.training.patches import Sampler
from edsr_cli.training.photos import Photos
from edsr_cli.training.recipe import Recipe
from edsr_cli.training.trainer import DivergedError, Trainer

CPU = torch.device("cpu")
EDSR = NetworkConfig("edsr", (2,), 2, 4)
MDSR = NetworkConfig("mdsr", SCALES, 2, 4)
RECIPE = Recipe(batch_size=2, patch_size=8, updates=30, learning_rate=1e-3)


def trainer(photos: Photos, recipe: Recipe = RECIPE, config: NetworkConfig = EDSR) -> Trainer:
    sampler = Sampler(photos, config.scales, recipe.batch_size, recipe.patch_size, recipe.seed, CPU)
    return Trainer(random_network(config, recipe.seed), recipe, sampler, CPU)


def losses(trainer: Trainer, count: int) -> list[float]:
    """Make some updates; the loss of each."""
    return [trainer.mean_loss() for _ in itertools.islice(trainer.steps(), count)]


def stored(state: dict[str, Any]) -> dict[str, Any]:
    """A state that has been in a file."""
    content = io.BytesIO()
    torch.save(state, content)
    content.seek(0)
    return torch.load(content, weights_only=True)


def equal(one: Sequence[torch.Tensor], other: Sequence[torch.Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("config", [EDSR, MDSR], ids=["edsr", "mdsr"])
def test_the_tail_as_one_convolution_learns_the_same(photos: Photos, config: NetworkConfig) -> None:
    collapsed, plain = trainer(photos, config=config), trainer(photos, config=config)
    assert collapsed.updater.collapsed
    plain.updater.collapsed = ()
    assert losses(collapsed, 10) == pytest.approx(losses(plain, 10), rel=1e-4)


@pytest.mark.parametrize("config", [EDSR, MDSR], ids=["edsr", "mdsr"])
@pytest.mark.parametrize("stop", [1, 7, 29])
def test_going_on_is_the_same_as_not_stopping(
    photos: Photos, config: NetworkConfig, stop: int
) -> None:
    recipe = replace(
        RECIPE, ema=0.9, clip_norm=1.0, warmup=5, schedule=Schedule.STEP, decay_every=10
    )
    whole = trainer(photos, recipe, config)
    expected = losses(whole, 30)
    first = trainer(photos, recipe, config)
    begin = losses(first, stop)
    second = trainer(photos, replace(recipe), config)
    second.load_state_dict(stored(first.state_dict()))
    assert begin + losses(second, 30) == expected  # to the last bit, and no update more
    assert equal(list(second.network.parameters()), list(whole.network.parameters()))
    assert equal(list(second.result().parameters()), list(whole.result().parameters()))


def test_an_unfinished_mean_is_carried_over(photos: Photos) -> None:
    whole, first, second = (trainer(photos) for _ in range(3))
    list(itertools.islice(whole.steps(), 9))
    list(itertools.islice(first.steps(), 4))
    second.load_state_dict(stored(first.state_dict()))
    list(itertools.islice(second.steps(), 5))
    assert second.mean_loss() == whole.mean_loss()


def test_it_learns_one_picture_by_heart(tmp_path: Any) -> None:
    from PIL import Image

    from tests.training.conftest import picture

    hr = picture(5, 32, 32)
    Image.fromarray(hr).save(tmp_path / "only.png")
    photos = load_photos([tmp_path], (2,), 32)
    recipe = Recipe(
        batch_size=8,
        patch_size=16,  # all of it, in eight views
        updates=200,
        learning_rate=3e-3,
        schedule=Schedule.COSINE,
        warmup=20,
        ema=0.98,
    )
    training = trainer(photos, recipe, NetworkConfig("edsr", (2,), 2, 16))
    before = quality(training, photos, hr)
    for _ in training.steps():
        pass
    assert before < 30
    assert quality(training, photos, hr) > 41


def quality(training: Trainer, photos: Photos, hr: np.ndarray) -> float:
    lr = torch.from_numpy(photos.small_picture(0, 2)).permute(2, 0, 1)[None].float()
    with torch.no_grad():
        sr = training.result()(lr).clamp(0, 255).round()[0].permute(1, 2, 0).byte().numpy()
    return psnr(sr, hr, border=2, channels=Channels.RGB)


def test_an_mdsr_update_leaves_the_other_scales_alone(photos: Photos) -> None:
    training = trainer(photos, RECIPE, MDSR)
    seen = set()
    before = {key: value.clone() for key, value in training.network.state_dict().items()}
    moments: dict[str, torch.Tensor] = {}
    for step in itertools.islice(training.steps(), 12):
        seen.add(step.scale)
        after = training.network.state_dict()
        own = str(SCALES.index(step.scale))
        for key, value in after.items():
            top, branch = key.split(".")[:2]
            if top in ("sub_mean", "add_mean"):
                changes = False
            elif top in ("pre_process", "upsample"):
                changes = branch == own
            else:
                changes = True
            assert torch.equal(value, before[key]) != changes, (step, key)
        # Nor does momentum from earlier updates move them: Adam's moments stay as they are, too.
        now = _moments(training)
        for key, value in moments.items():
            top, branch = key.split(".")[:2]
            if top in ("pre_process", "upsample") and branch != own:
                assert torch.equal(now[key], value)
        before, moments = {key: value.clone() for key, value in after.items()}, now
    assert seen == {2, 3, 4}


def _moments(training: Trainer) -> dict[str, torch.Tensor]:
    state = training.state_dict()["optimizer"]["state"]
    names = [name for name, p in training.network.named_parameters() if p.requires_grad]
    return {names[index]: values["exp_avg"].clone() for index, values in state.items()}


def test_the_mean_colour_is_not_trained(photos: Photos) -> None:
    training = trainer(photos)
    losses(training, 3)
    fresh = random_network(EDSR, 0)
    for name in ("sub_mean", "add_mean"):
        assert equal(
            list(getattr(training.network, name).parameters()),
            list(getattr(fresh, name).parameters()),
        )


def test_the_update_is_adams_on_the_mean_absolute_error(photos: Photos) -> None:
    training = trainer(photos, replace(RECIPE, channels_last=False))
    network = random_network(EDSR, 0)
    weights = [p for p in network.parameters() if p.requires_grad]
    moments = [(torch.zeros_like(p), torch.zeros_like(p)) for p in weights]
    for number in range(3):
        batch = training.sampler.batch(number)
        loss = (network(batch.lr) - batch.hr).abs().mean()
        gradients = torch.autograd.grad(loss, weights)
        (measured,) = losses(training, 1)
        assert measured == pytest.approx(float(loss.detach()), rel=1e-5)
        for p, g, (first, second) in zip(weights, gradients, moments, strict=True):
            first.mul_(0.9).add_(g, alpha=0.1)
            second.mul_(0.999).addcmul_(g, g, value=0.001)
            mean, square = first / (1 - 0.9 ** (number + 1)), second / (1 - 0.999 ** (number + 1))
            p.data -= 1e-3 * mean / (square.sqrt() + 1e-8)
    for mine, theirs in zip(weights, training.updater.weights, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=0, atol=1e-4)


def test_averaged_weights_are_the_result(photos: Photos) -> None:
    training = trainer(photos, replace(RECIPE, ema=0.5))
    average = [w.detach().clone() for w in training.updater.weights]
    for step in itertools.islice(training.steps(), 5):
        decay = min(0.5, (1 + step.update) / (10 + step.update))
        average = [
            decay * a + (1 - decay) * w.detach()
            for a, w in zip(average, training.updater.weights, strict=True)
        ]
    result = list(training.result().parameters())
    shown = [
        p for p, q in zip(result, training.network.parameters(), strict=True) if q.requires_grad
    ]
    for mine, theirs in zip(average, shown, strict=True):
        torch.testing.assert_close(mine, theirs)
    assert not equal(shown, [w.detach() for w in training.updater.weights])


def test_the_gradient_is_clipped(photos: Photos) -> None:
    training = trainer(photos, replace(RECIPE, clip_norm=1e-3))
    losses(training, 1)
    norm = torch.cat([w.grad.flatten() for w in training.updater.weights]).norm()
    assert float(norm) == pytest.approx(1e-3, rel=1e-3)


def test_a_limit_of_time_ends_it(photos: Photos) -> None:
    training = trainer(photos, replace(RECIPE, updates=10**9, max_seconds=0.5))
    steps = list(training.steps())
    assert steps[-1].fraction == 1
    assert training.seconds >= 0.5
    assert len(steps) == training.update < 10**6


def test_divergence_is_an_error(photos: Photos) -> None:
    training = trainer(photos, replace(RECIPE, learning_rate=1e30))
    with pytest.raises(DivergedError, match="smaller --learning-rate"):
        losses(training, 30)


def test_bf16_trains_too(photos: Photos) -> None:
    exact, fast = trainer(photos), trainer(photos, replace(RECIPE, autocast=Autocast.BF16))
    one, other = losses(exact, 20), losses(fast, 20)
    assert one != other
    assert other == pytest.approx(one, rel=0.1)
    assert all(weight.dtype == torch.float32 for weight in fast.updater.weights)

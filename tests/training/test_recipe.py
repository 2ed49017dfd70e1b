import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edsr_cli.errors import UsageError
from edsr_cli.model import config
from edsr_cli.model.config import NetworkConfig
from edsr_cli.options.choices import Autocast, Preset, Schedule
from edsr_cli.training.recipe import (
    Recipe,
    fraction_done,
    learning_rate,
    preset,
    with_options,
)


def test_the_defaults_are_the_papers() -> None:
    # Lim et al. 2017, section 4.2; the losses and flips have no number.
    recipe = Recipe()
    assert (recipe.batch_size, recipe.patch_size) == (16, 48)
    assert (recipe.learning_rate, recipe.betas, recipe.epsilon) == (1e-4, (0.9, 0.999), 1e-8)
    assert (recipe.decay_every, recipe.decay_factor) == (200_000, 0.5)
    assert (recipe.warmup, recipe.ema, recipe.clip_norm) == (0, 0, 0)


@pytest.mark.parametrize(
    ("name", "scale", "expected"),
    [
        (Preset.EDSR_BASELINE, 3, config.edsr_baseline(3)),
        (Preset.EDSR, 4, config.edsr(4)),
        (Preset.MDSR_BASELINE, None, config.mdsr_baseline()),
        (Preset.MDSR, None, config.mdsr()),
    ],
)
def test_presets(name: Preset, scale: int | None, expected: NetworkConfig) -> None:
    assert preset(name, scale)[0] == expected


@pytest.mark.parametrize(("name", "scale"), [(Preset.EDSR, None), (Preset.MDSR, 2)])
def test_a_preset_wants_a_scale_or_none(name: Preset, scale: int | None) -> None:
    with pytest.raises(UsageError, match="scale"):
        preset(name, scale)


def test_it_survives_json() -> None:
    recipe = Recipe(
        betas=(0.8, 0.9), schedule=Schedule.COSINE, autocast=Autocast.BF16, max_seconds=5.5
    )
    assert Recipe.from_dict(json.loads(json.dumps(recipe.to_dict()))) == recipe


def test_options_override() -> None:
    recipe = with_options(Recipe(), updates=5, ema=None)
    assert recipe.differences(Recipe()) == ["updates"]


@pytest.mark.parametrize(
    ("values", "option"),
    [
        ({"batch_size": 0}, "--batch"),
        ({"patch_size": 0}, "--patch"),
        ({"updates": 0}, "--updates"),
        ({"learning_rate": 0.0}, "--learning-rate"),
        ({"learning_rate": float("nan")}, "--learning-rate"),
        ({"warmup": -1}, "--warmup"),
        ({"clip_norm": -1.0}, "--clip"),
        ({"ema": 1.0}, "--ema"),
        ({"max_seconds": 0.0}, "--max-time"),
        ({"validate_every": 0}, "--validate-every"),
        ({"betas": (0.9, 1.0)}, "betas"),
    ],
)
def test_values_out_of_range_are_refused(values: dict[str, float], option: str) -> None:
    with pytest.raises(UsageError, match=option):
        with_options(Recipe(), **values)


@pytest.mark.parametrize("name", list(Preset))
@pytest.mark.parametrize(
    ("update", "rate"),
    [
        (0, 1e-4),
        (1, 1e-4),
        (199_999, 1e-4),
        (200_000, 5e-5),
        (299_999, 5e-5),
    ],
)
def test_the_presets_have_the_papers_schedule(name: Preset, update: int, rate: float) -> None:
    _, recipe = preset(name, None if name.startswith("mdsr") else 2)
    assert learning_rate(recipe, update) == pytest.approx(rate, rel=1e-12)


@pytest.mark.parametrize("halvings", [0, 1, 2, 3, 4])
def test_it_is_halved_every_200_000_updates(halvings: int) -> None:
    recipe = Recipe(updates=1_000_000)
    for update in (halvings * 200_000, halvings * 200_000 + 199_999):
        assert learning_rate(recipe, update) == pytest.approx(1e-4 / 2**halvings, rel=1e-12)


def test_cosine_starts_in_full_and_ends_at_nothing() -> None:
    recipe = Recipe(updates=1000, schedule=Schedule.COSINE, learning_rate=4e-4)
    rates = [learning_rate(recipe, update) for update in range(1001)]
    assert rates[0] == 4e-4
    assert rates[250] == pytest.approx(4e-4 * (1 + math.cos(math.pi / 4)) / 2)
    assert rates[500] == pytest.approx(2e-4)
    assert rates[1000] == 0
    assert rates == sorted(rates, reverse=True)


def test_warm_up_rises_in_a_straight_line() -> None:
    recipe = Recipe(warmup=4)
    rates = [learning_rate(recipe, update) for update in range(6)]
    assert rates == pytest.approx([0.25e-4, 0.5e-4, 0.75e-4, 1e-4, 1e-4, 1e-4])


def test_a_limit_of_time_passes_the_whole_schedule() -> None:
    recipe = Recipe(max_seconds=600)
    # Two thirds of the paper's 300,000 updates come before the step.
    assert learning_rate(recipe, 10, 399.9) == 1e-4
    assert learning_rate(recipe, 10, 400.1) == 5e-5
    cosine = Recipe(max_seconds=600, schedule=Schedule.COSINE)
    assert learning_rate(cosine, 10, 300) == pytest.approx(5e-5)
    assert learning_rate(cosine, 10, 600) == 0


@given(st.integers(0, 2000), st.floats(0, 200), st.sampled_from(Schedule))
def test_the_nearer_limit_counts(update: int, seconds: float, schedule: Schedule) -> None:
    recipe = Recipe(updates=1000, max_seconds=100, schedule=schedule, decay_every=300)
    fraction = fraction_done(recipe, update, seconds)
    assert fraction == min(1, max(update / 1000, seconds / 100))
    assert 0 <= learning_rate(recipe, update, seconds) <= recipe.learning_rate
    later = learning_rate(recipe, update + 50, seconds + 5)
    assert later <= learning_rate(recipe, update, seconds)


@given(st.integers(1, 10**6), st.integers(1, 10**4))
def test_a_step_comes_exactly_when_it_is_due(updates: int, every: int) -> None:
    recipe = Recipe(updates=updates, decay_every=every)
    for update in {0, every - 1, every, 2 * every - 1, 2 * every} & set(range(updates)):
        assert learning_rate(recipe, update) == 1e-4 * 0.5 ** (update // every)

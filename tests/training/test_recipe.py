import json

import pytest

from edsr_cli.errors import UsageError
from edsr_cli.model import config
from edsr_cli.model.config import NetworkConfig
from edsr_cli.options.choices import Autocast, Preset, Schedule
from edsr_cli.training.recipe import Recipe, preset, with_options


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

"""Parts of validation pictures over time."""

import numpy as np
import pytest
import torch

from edsr_cli.datasets.benchmark import LoadedPair
from edsr_cli.pixels import resize
from edsr_cli.training.samples import MOST_PARTS, MOST_TIMES, Samples
from tests.report.test_pictures import samples as pixels_of
from tests.training.conftest import picture


def pairs(scale: int, count: int, seed: int = 0) -> list[LoadedPair]:
    """Smooth pictures, each with a line that bicubic interpolation cannot have."""
    made = []
    for number in range(count):
        hr = picture(seed + number, 144, 144)
        hr[120, 12:] = 0
        made.append(LoadedPair(hr, resize.downscale(hr, scale)))
    return made


def show(samples: Samples, update: int, found: dict[int, list[LoadedPair]]) -> None:
    """Have a validation show pictures that tell the update."""
    take = samples.taking(update)
    for scale, pictures in found.items():
        for number, pair in enumerate(pictures):
            take(scale, number, np.full_like(pair.hr, update % 256))


@pytest.mark.parametrize(
    ("counts", "wanted"),
    [({2: 8}, 3), ({2: 1}, 1), ({2: 2, 3: 5, 4: 1}, 3), ({2: 0}, 0), ({2: 9, 3: 0}, 3)],
)
def test_some_parts_of_each_scale(counts: dict[int, int], wanted: int) -> None:
    found = {scale: pairs(scale, count) for scale, count in counts.items()}
    samples = Samples(found)
    assert samples.parts() == []
    show(samples, 5, found)
    parts = samples.parts()
    assert len(parts) == wanted <= MOST_PARTS
    assert {part.scale for part in parts} == {scale for scale, count in counts.items() if count}
    assert len({(part.scale, part.name) for part in parts}) == wanted


def test_a_part_is_where_bicubic_interpolation_is_worst() -> None:
    found = {2: pairs(2, 1)}
    samples = Samples(found)
    show(samples, 7, found)
    [part] = samples.parts()
    assert [label for label, _ in part.versions] == ["bicubic", "update 7", "original"]
    bicubic, made, original = pixels_of([each for _, each in part.versions])
    assert bicubic.shape == made.shape == original.shape == (96, 96, 3)
    assert np.array_equal(original, found[2][0].hr[48:, 48:]) and (made == 7).all()


def test_times_are_few_and_spread() -> None:
    found = {2: pairs(2, 1)}
    samples = Samples(found)
    for update in range(0, 101_000, 1000):
        show(samples, update, found)
    labels = [label for label, _ in samples.parts()[0].versions[1:-1]]
    updates = [int(label.removeprefix("update ").replace(",", "")) for label in labels]
    assert len(updates) == MOST_TIMES and (updates[0], updates[-1]) == (0, 100_000)
    assert updates == sorted(updates) and np.diff(updates).max() <= 16_000


def test_a_state_brings_them_back(tmp_path) -> None:  # type: ignore[no-untyped-def]
    found = {2: pairs(2, 2), 3: pairs(3, 1)}
    samples = Samples(found)
    for update in (0, 10):
        show(samples, update, found)
    torch.save(samples.state_dict(), tmp_path / "state.pt")
    state = torch.load(tmp_path / "state.pt", weights_only=True)
    again, other = Samples(found), Samples({2: pairs(2, 2, seed=50)})
    for each in (again, other):
        each.load_state_dict(state)
    assert again.parts() == samples.parts()
    assert other.parts() == []  # they were of other pictures


@pytest.mark.parametrize(
    "damage", [None, [], {}, {"of": ""}, {"times": {"a": 1}}, {"times": {1: []}}]
)
def test_a_damaged_state_is_left(damage: object) -> None:
    samples = Samples({2: pairs(2, 1)})
    of = samples.state_dict()["of"]
    samples.load_state_dict({"of": of} | damage if isinstance(damage, dict) and damage else damage)
    assert samples.parts() == []

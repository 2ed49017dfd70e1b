import numpy as np
import pytest
from msgspec.structs import replace

from edsr_cli.checkpoints import registry
from edsr_cli.checkpoints.loader import load_network
from edsr_cli.errors import UsageError
from edsr_cli.inference import Upscaler
from edsr_cli.pixels.windows import ArrayWindow
from edsr_cli.restoration import networks as module
from edsr_cli.restoration.choice import STRENGTHS, THRESHOLDS
from edsr_cli.restoration.networks import (
    Restoration,
    at_choice,
    choice_for,
    find_restoration,
    make_upscaler,
    restore_label,
    weights_of,
)
from tests.jobs.conftest import one_thread as one_thread
from tests.jobs.nearest import repeated
from tests.restoration.brightening import ADDED, loaded, restoring_upscaler
from tests.restoration.pictures import jpeg, scene

PIXELS = np.full((5, 7, 3), 100, np.uint8)


@pytest.mark.parametrize("strength", STRENGTHS)
def test_every_strength_is_its_own_network(strength):
    upscaler = restoring_upscaler().at(strength)
    assert np.array_equal(upscaler.upscale(PIXELS).pixels, repeated(PIXELS) + int(strength * ADDED))


def test_few_networks_are_kept(monkeypatch):
    upscaler = restoring_upscaler()
    made = []
    monkeypatch.setattr(
        module, "Upscaler", lambda *arguments: made.append(arguments) or Upscaler(*arguments)
    )
    strengths = [0.25, 0.5, 0.75, 0.25, 1.0, 0.25, 0.5]
    found = [upscaler.at(strength) for strength in strengths]
    assert len(made) == 5  # 0.5 was the one that was used longest ago
    assert found[3] is found[0] and found[5] is found[0] and found[6] is not found[1]
    assert len(upscaler._others) == 3
    assert upscaler.at(0) is upscaler


def test_a_strength_of_ones_own_holds_for_every_picture():
    upscaler = restoring_upscaler(0.5)
    choice = choice_for(upscaler, ArrayWindow(scene()))
    assert (choice.strength, choice.reason) == (0.5, "--restore")
    assert at_choice(upscaler, choice) is upscaler
    assert np.array_equal(upscaler.upscale(PIXELS).pixels, repeated(PIXELS) + ADDED // 2)
    assert (restore_label(upscaler), weights_of(upscaler)) == ("0.5", (upscaler.weights,))


def test_auto_goes_by_the_picture():
    upscaler = restoring_upscaler()
    assert choice_for(upscaler, ArrayWindow(scene())).strength == 0
    assert choice_for(upscaler, ArrayWindow(jpeg(scene(), 30))).strength == 1
    assert restore_label(upscaler).startswith("auto ")
    assert len(weights_of(upscaler)) == 2


def test_other_upscalers_have_no_choice():
    upscaler = make_upscaler(loaded(), None, "cpu", "fp32")
    assert type(upscaler) is Upscaler
    assert choice_for(upscaler, ArrayWindow(scene())) is None
    assert at_choice(upscaler, None) is upscaler
    assert (restore_label(upscaler), weights_of(upscaler)) == ("0", (upscaler.weights,))


def test_a_label_goes_by_the_thresholds_of_the_scales_that_are_used(monkeypatch):
    x2, x3, x4 = (restoring_upscaler(scale=scale) for scale in (2, 3, 4))
    before = restore_label(x2), restore_label(x2, x3), restore_label(x4)
    other = replace(THRESHOLDS[3], noise=(1, 2, 3, 4))
    monkeypatch.setitem(THRESHOLDS, 3, other)
    after = restore_label(x2), restore_label(x2, x3), restore_label(x4)
    assert [old == new for old, new in zip(before, after, strict=True)] == [True, False, True]
    assert restore_label(x3, x2) == restore_label(x2, x3)
    assert restore_label(*(restoring_upscaler(0.5, scale) for scale in (2, 3))) == "0.5"


@pytest.mark.parametrize(("setting", "label"), [(None, "auto"), ("auto", "auto"), (0.5, "0.5")])
def test_the_registry_says_what_restores_a_model(setting, label):
    network = load_network("edsr-free", 4)
    restoration = find_restoration(network, "edsr-free", setting)
    upscaler = make_upscaler(network, restoration, "cpu", "fp32")
    assert restore_label(upscaler).split()[0] == label
    assert restoration.restoring.config == network.config
    assert restoration.why_not == ""


def test_nothing_is_loaded_for_a_strength_of_0():
    network = load_network("edsr-free", 4)
    restoration = find_restoration(network, "edsr-free", 0.0, find=None)
    assert restoration.restoring is None
    assert (restoration.fixed.strength, restoration.fixed.reason) == (0, "--restore")


@pytest.mark.parametrize("model", ["mdsr-free", "edsr-photo", "a file.pt"])
def test_a_model_without_a_second_network_is_not_restored(model):
    for setting in (None, 0.0):
        assert find_restoration(loaded(), model, setting) is None
    for setting in ("auto", 0.5):
        with pytest.raises(UsageError, match=r"--restore: .* has no second network.*edsr-free"):
            find_restoration(loaded(), model, setting)


@pytest.fixture
def only_x2(monkeypatch):
    """A registry in which what restores is there for x2 alone."""
    rows = tuple(row for row in registry.rows() if row.name != "edsr-photo" or row.scales == (2,))
    monkeypatch.setattr(registry, "rows", lambda: rows)


def test_a_scale_that_the_second_network_lacks(only_x2):
    network = replace(loaded(), scale=4)
    for setting in (None, "auto", 0.0):
        restoration = find_restoration(network, "edsr-free", setting)
        upscaler = make_upscaler(network, restoration, "cpu", "fp32")
        choice = choice_for(upscaler, ArrayWindow(jpeg(scene(), 10)))
        assert (choice.strength, choice.reason) == (0, "edsr-photo has no scale x4")
        assert restore_label(upscaler) == "0"
    with pytest.raises(UsageError, match=r"edsr-photo has no scale x4\. It has x2\."):
        find_restoration(network, "edsr-free", 0.5)


def test_a_fixed_strength_needs_no_choice():
    restoration = Restoration(loaded().checkpoint, None, "auto", "because")
    assert (restoration.fixed.strength, restoration.fixed.reason) == (0, "because")

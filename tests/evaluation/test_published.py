"""The published figures, and which of them are shown."""

import tomllib
from pathlib import Path

import pytest

from edsr_cli.checkpoints import registry
from edsr_cli.evaluation import published as module
from edsr_cli.evaluation.metrics import Channels
from edsr_cli.evaluation.published import Figure, published, set_size

DATA = tomllib.loads(Path(module.__file__).with_name("published.toml").read_text("utf-8"))
KEYS = {"label", "source", "models", "context", "ensemble", "channels", "note", "figures"}


def names(figures):
    return [(figure.label, figure.source, figure.psnr) for figure in figures]


def test_own_figures_come_before_others():
    figures = published("Set5", 2, "edsr", ensemble=False)
    assert names(figures) == [
        ("EDSR", "BasicSR ModelZoo", 35.9979),
        ("EDSR", "Lim et al. 2017", 38.11),
        ("EDSR", "torchSR README", 38.19),
        ("bicubic", "Lim et al. 2017", 33.66),
        ("EDSR baseline", "torchSR README", 37.98),
    ]
    assert [figure.own for figure in figures] == [True, True, True, False, False]
    assert figures[0].channels is Channels.RGB and figures[1].channels is Channels.Y


def test_a_model_without_figures_is_shown_the_others():
    assert names(published("Set5", 4, "mine", ensemble=False)) == [
        ("bicubic", "Lim et al. 2017", 28.42),
        ("EDSR baseline", "torchSR README", 32.09),
        ("EDSR", "Lim et al. 2017", 32.46),
    ]


def test_figures_with_the_ensemble_are_for_the_ensemble():
    without = published("Set14", 3, "mdsr", ensemble=False)
    with_it = published("Set14", 3, "mdsr", ensemble=True)
    assert names([figure for figure in with_it if figure.ensemble]) == [
        ("MDSR+", "Lim et al. 2017", 30.53),
        ("EDSR+", "Lim et al. 2017", 30.66),
    ]
    assert [figure for figure in with_it if not figure.ensemble] == without


@pytest.mark.parametrize("name", ["B100", "b100", "BSD100", "bsds100"])
def test_sets_have_several_names(name):
    assert published(name, 2, "mine", ensemble=False)
    assert set_size(name) == 100


def test_unknown_sets_have_no_figures():
    assert published("holiday", 2, "edsr", ensemble=False) == []
    assert set_size("holiday") is None


def test_figures_that_do_not_compare_say_so():
    for figure in published("Set5", 3, "super-image-edsr", ensemble=False):
        assert ("not comparable" in figure.note) == figure.own


def test_json():
    figure = Figure("EDSR", "somebody", Channels.RGB, 30.0, None, False, True)
    assert figure.to_dict()["channels"] == "rgb"


def test_the_file_makes_sense():
    for result in DATA["results"]:
        assert result.keys() <= KEYS
        assert set(result.get("models", ())) <= set(registry.names())
        assert result.get("models") or result.get("context")
        assert result.get("channels", "Y") in ("Y", "RGB")
        assert result["figures"].keys() <= DATA["sets"].keys()
        for figures in result["figures"].values():
            assert figures.keys() == {"x2", "x3", "x4"}
            psnr, ssim = ([each[i : i + 1] for each in figures.values()] for i in (0, 1))
            assert psnr == sorted(psnr, reverse=True) and ssim == sorted(ssim, reverse=True)
            assert all(20 < value < 40 for [value] in psnr)
            assert all(0.6 < value < 1 for each in ssim for value in each)


def test_it_has_all_that_the_registry_says_is_published():
    for row in registry.rows():
        for each in row.psnr:
            if each.published is None:
                continue
            shown = published(each.dataset, each.scale, row.name, ensemble=False)
            own = [(each.source, each.channels.value, each.psnr) for each in shown if each.own]
            source = each.source.split(";")[0].split(",")[0]
            assert (source, each.channel.lower(), each.published) in own

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edsr_cli.checkpoints import layouts
from edsr_cli.checkpoints.layouts import LAYOUTS, detect, prefix_for
from edsr_cli.model.config import SCALES, NetworkConfig
from tests.checkpoints.published import EDSR_FILES, OfficialMdsr, SuperImageMdsr, prefixed

SAME = {"official", "torchsr", "super-image"}
FILES = {
    **{
        name: (kind.network(2, 2, 4, 1.0).state_dict(), SAME if kind.ambiguous else {kind.layout})
        for name, kind in EDSR_FILES.items()
    },
    "mdsr": (OfficialMdsr((2, 3), 2, 4).state_dict(), SAME),
    "super-image-mdsr": (SuperImageMdsr(4, 2, 4).state_dict(), {"super-image-mdsr"}),
}


def names(keys):
    return {layout.name for layout in detect(keys)}


@pytest.mark.parametrize(("state_dict", "expected"), FILES.values(), ids=FILES)
@pytest.mark.parametrize("prefix", ["", "module.", "model.module.", "generator."])
def test_keys_tell_the_layout(state_dict, expected, prefix):
    keys = prefixed(state_dict, prefix)
    assert names(keys) == expected
    assert all(prefix_for(layout, keys) == prefix for layout in detect(keys))


@pytest.mark.parametrize(("state_dict", "expected"), FILES.values(), ids=FILES)
@given(st.data())
def test_one_key_less_or_more_changes_nothing(state_dict, expected, data):
    key = data.draw(st.sampled_from(sorted(state_dict)))
    assert names({each: None for each in state_dict if each != key}) == expected
    assert names({**state_dict, "module.stray": None, "stray": None}) == expected


@pytest.mark.parametrize(
    "keys",
    [
        [],
        ["weight"],
        ["head.0.weight"],
        ["conv_first.weight", "conv_last.weight", "conv_first.bias"],
        ["encoder.head.0.weight", "encoder.body.0.body.0.weight"],
        # Not a part of the network: the prefix of one and the names of others.
        ["module.head.0.weight", "body.0.body.0.weight"],
    ],
)
def test_other_keys_tell_nothing(keys):
    assert detect(keys) == ()


@given(
    st.sampled_from(LAYOUTS),
    st.sampled_from([(2,), (3,), (4,), (2, 3, 4), (4, 3)]),
    st.integers(1, 12),
)
def test_no_two_tensors_get_the_same_name(layout, scales, blocks):
    architecture = "mdsr" if len(scales) > 1 or layout.branches_by_scale else "edsr"
    config = NetworkConfig(architecture, scales, blocks, 4)
    official = [key for key, _ in config.shapes()]
    own = [layout.key(key, scales) for key in official]
    assert len(set(own)) == len(official)


def test_layouts_are_found_by_name():
    assert [layouts.find(layout.name) for layout in LAYOUTS] == list(LAYOUTS)
    assert len({layout.name for layout in LAYOUTS}) == len(LAYOUTS)
    with pytest.raises(KeyError):
        layouts.find("keras")


def test_a_branch_is_numbered_by_its_scale_where_the_layout_does_so():
    layout = layouts.find("super-image-mdsr")
    for scale in SCALES:
        assert layout.key("upsample.0.2.bias", [scale]) == f"upsample.{scale}.2.0.bias"
    assert layout.key("body.32.weight") == "body.32.0.weight"
    assert layout.key("tail.0.weight") == "tail.0.0.weight"
    assert layouts.find("official").key("upsample.0.2.bias", [4]) == "upsample.0.2.bias"

import functools
import gc

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from edsr_cli.inference.engine import Precision
from edsr_cli.inference.engines.torch.assembly import collapse_tail, stream
from edsr_cli.inference.engines.torch.node import Node, RowBuffer
from edsr_cli.inference.engines.torch.streaming import Chain, Convolution, StreamedBlock
from edsr_cli.model.config import NetworkConfig, edsr, edsr_baseline, mdsr, mdsr_baseline
from edsr_cli.model.networks import MDSR, build
from tests.exact import CASES, exact_network, exact_picture, plain, run, streamed

sizes = st.integers(1, 14)
strips = st.integers(1, 16)
EVERY_NETWORK = [
    *(edsr_baseline(scale) for scale in (2, 3, 4)),
    *(edsr(scale) for scale in (2, 3, 4)),
    mdsr_baseline(),
    mdsr(),
]


def smaller(config: NetworkConfig) -> NetworkConfig:
    """The same structure at a size that tests can run."""
    return NetworkConfig(config.architecture, config.scales, 3, 16, config.residual_scale)


one_network = functools.cache(exact_network)
"""A network for all examples of a test: to make it takes as long as an example."""


@pytest.mark.parametrize("collapsed", [True, False], ids=["collapsed tail", "plain tail"])
@pytest.mark.parametrize(("config", "scale"), CASES)
@settings(max_examples=25, deadline=None)
@given(height=sizes, width=sizes, strip=strips, limit=strips | st.none(), seed=st.integers(0, 99))
def test_streamed_equals_plain_bit_for_bit(
    config, scale, collapsed, height, width, strip, limit, seed
):
    network = one_network(config, seed % 3)
    picture = exact_picture(height, width, seed)
    node = streamed(network, scale) if collapsed else stream(network, scale)
    if limit is not None:
        node.limit_rows(limit)
    assert torch.equal(run(node, picture, strip), plain(network, picture, scale))


@pytest.mark.parametrize("config", EVERY_NETWORK, ids=str)
def test_streamed_fp32_equals_plain_to_a_hundred_thousandth_of_full_range(config):
    torch.manual_seed(0)
    config = smaller(config)
    network = build(config).eval()
    for scale in config.scales:
        picture = torch.rand(1, 3, 37, 29) * 255
        expected = plain(network, picture, scale)
        for node in (streamed(network, scale), stream(network, scale)):
            for strip in (1, 5, 16, 64):
                assert (run(node, picture, strip) - expected).abs().max() <= 1e-5 * 255


@pytest.mark.parametrize("config", EVERY_NETWORK, ids=str)
def test_streamed_bf16_equals_plain_bf16_to_one_level(config):
    torch.manual_seed(0)
    config = smaller(config)
    network = build(config).eval()
    for scale in config.scales:
        picture = torch.rand(1, 3, 19, 23) * 255
        expected = plain_with_bf16_body(network, picture, scale)
        node = stream(network, scale, Precision.BF16, collapse_tail(network, scale))
        for strip in (1, 4, 19):
            assert (run(node, picture, strip) - expected).abs().max() <= 1.0


def plain_with_bf16_body(network, x, scale):
    """The plain network, whole picture, with the number formats that `Precision` describes."""

    def body(module, x):
        return module.to(torch.bfloat16)(x.to(torch.bfloat16)).float()

    with torch.inference_mode():
        x = network.head(network.sub_mean(x))
        branch = network.config.scales.index(scale)
        if isinstance(network, MDSR):
            for block in network.pre_process[branch]:
                x = x + body(block.body, x)
        x = x + body(network.body, x)
        upsampled = (
            network.tail(network.upsample[branch](x))
            if isinstance(network, MDSR)
            else network.tail(x)
        )
        result = network.add_mean(upsampled)
    network.float()
    return result


@pytest.mark.parametrize(
    ("config", "radius"),
    [(edsr_baseline(2), 36), (edsr(4), 68), (mdsr_baseline(), 44), (mdsr(), 172)],
    ids=["edsr-baseline", "edsr", "mdsr-baseline", "mdsr"],
)
def test_delay_is_the_receptive_field_radius(config, radius):
    with torch.device("meta"):
        network = build(config)
    scale = config.scales[-1]
    tail = nn.Sequential(nn.Conv2d(config.features, 3 * scale**2, 5), nn.PixelShuffle(scale))
    assert stream(network, scale, collapsed=tail).cost.delay == radius


def test_output_depends_on_exactly_the_radius():
    network = exact_network(CASES[0][0])
    node = streamed(network, 2)
    picture = exact_picture(40, 3)
    changed = picture.clone()
    changed[:, :, 0] += 1
    difference = (run(node, changed, 40) - run(node, picture, 40)).abs().amax((0, 1, 3))
    affected = int(difference.nonzero().max()) // 2  # the last LR row that differs
    assert affected == node.cost.delay


def convolutions(node: Node) -> list[Convolution]:
    if isinstance(node, Convolution):
        return [node]
    if isinstance(node, StreamedBlock):
        return [node.first, node.second]
    children = getattr(node, "nodes", None) or [getattr(node, "body", None)]
    return [leaf for child in children if child is not None for leaf in convolutions(child)]


@given(height=st.integers(1, 30), strip=strips, limit=strips)
@settings(max_examples=30, deadline=None)
def test_no_row_is_convolved_twice_and_none_gets_more_rows_than_the_limit(height, strip, limit):
    node = streamed(exact_network(CASES[0][0]), 2)
    node.limit_rows(limit)
    given_rows: dict[int, list[int]] = {}

    def watch(convolution: Convolution) -> None:
        apply = convolution.apply

        def watched(window: torch.Tensor) -> torch.Tensor:
            output = apply(window)
            given_rows.setdefault(id(convolution), []).append(output.shape[2])
            return output

        convolution.apply = watched

    leaves = convolutions(node)
    assert len(leaves) == 1 + 2 * 2 + 1  # head, two blocks, end of the body
    for leaf in leaves:
        watch(leaf)
    run(node, exact_picture(height, 2), strip)
    for leaf in leaves:
        assert sum(given_rows[id(leaf)]) == height
        # A node adds at most the rows that it and its block hold back themselves.
        assert max(given_rows[id(leaf)]) <= max(strip if limit >= strip else limit, limit) + 2


def test_a_picture_in_one_strip_is_not_copied(monkeypatch):
    copied = []
    window = RowBuffer.window

    def watched(self, rows, last):
        made = window(self, rows, last)
        copied.append(made is not rows)
        return made

    monkeypatch.setattr(RowBuffer, "window", watched)
    network = exact_network(CASES[0][0])
    node, picture = streamed(network, 2), exact_picture(9, 7)
    for strip, expected in ((9, 7 * [False]), (5, 14 * [True])):  # two pictures by one node
        copied.clear()
        assert torch.equal(run(node, picture, strip), plain(network, picture, 2))
        assert copied == expected  # six convolutions and the tail


def test_a_node_can_be_used_again_after_a_picture_was_given_up():
    network = exact_network(CASES[0][0])
    node = streamed(network, 2)
    node.push(exact_picture(9, 9), last=False)
    node.reset()
    picture = exact_picture(5, 4, seed=1)
    assert torch.equal(run(node, picture, 2), plain(network, picture, 2))


def test_held_bytes_are_what_is_held():
    config = NetworkConfig("edsr", (2,), 2, 8)
    network = build(config).eval()
    node = streamed(network, 2)
    assert isinstance(node, Chain)
    width = 11
    with torch.inference_mode():
        for _ in range(4):
            node.push(torch.rand(1, 3, 16, width), last=False)
    held = 0
    for leaf in convolutions(node):
        held += leaf.buffer._held.nbytes
    long_skip, tail = node.nodes[2], node.nodes[3]
    held += long_skip._waiting.nbytes + tail.buffer._held.nbytes
    assert held == node.cost.held_bytes * width


def test_multiply_adds_follow_from_the_layers():
    network = build(edsr_baseline(4))
    whole = sum(m.weight.numel() for m in network.body.modules() if isinstance(m, nn.Conv2d))
    head = network.head[0].weight.numel()
    upsampler = 64 * 256 * 9
    last = 64 * 3 * 9
    assert stream(network, 4).cost.multiply_adds == head + whole + upsampler * (1 + 4) + last * 16


@pytest.mark.parametrize("precision", [Precision.FP32, Precision.BF16])
@pytest.mark.parametrize(("config", "scale"), [(edsr_baseline(4), 4), (mdsr_baseline(), 3)])
def test_what_is_held_between_strips_is_what_plans_count(config, scale, precision):
    width = 23  # no weight has as many columns

    def held():
        gc.collect()
        tensors = [each for each in gc.get_objects() if type(each) is torch.Tensor]
        return {id(each): each.nbytes for each in tensors if each.shape[3:] == (width,)}

    config = smaller(config)
    before = held()
    with torch.inference_mode():
        node = stream(
            build(config).eval(), scale, precision, collapse_tail(build(config).eval(), scale)
        )
        for _ in range(10):
            node.push(torch.zeros(1, 3, 8, width), False)
    new = {key: size for key, size in held().items() if key not in before}
    assert sum(new.values()) == width * node.cost.held_bytes

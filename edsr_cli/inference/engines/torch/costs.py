"""What streaming a network costs, in integers: no torch.

A cost is composed as the network is composed of modules. The nodes of `streaming` have theirs from
here, and `of_network` has that of a whole network from its hyper-parameters alone, so that a
picture can be planned before anything is loaded.
"""

from collections.abc import Sequence

from msgspec import Struct
from msgspec.structs import replace

from edsr_cli.inference.engine import Precision
from edsr_cli.inference.planning import Footprint
from edsr_cli.model.config import TAIL_RADIUS, NetworkConfig

GOOD_ROWS = 32  # see `Footprint.good_rows`
_VIEWS = 8  # of the self-ensemble
_SINGLE = 4  # bytes of an fp32 number, in which everything but the residual blocks is


class Cost(Struct, frozen=True):
    """What a node of a streamed network costs.

    Attributes:
        delay: how many input rows beyond output row y the node must have seen to give row y,
            which is also how far to each side it looks: its receptive-field radius.
        held_bytes: bytes held between calls for each column of its input.
        copied_bytes: bytes of what is held that are there twice for a moment in a call, for each
            column of its input.
        work_bytes: largest number of bytes in use during a call, for each pixel of the strip,
            not counting what is held.
        multiply_adds: for each pixel of the node's input.
        growth: pixels that a pixel of its input becomes.
    """

    delay: int = 0
    held_bytes: int = 0
    copied_bytes: int = 0
    work_bytes: int = 0
    multiply_adds: int = 0
    growth: int = 1


def convolution(inputs: int, outputs: int, kernel: int, element: int) -> Cost:
    """A convolution whose numbers take `element` bytes."""
    return Cost(
        delay=kernel // 2,
        held_bytes=(kernel - 1) * inputs * element,
        # The strip, the window made from it, and the output.
        work_bytes=(2 * inputs + outputs) * element,
        multiply_adds=outputs * inputs * kernel**2,
    )


def residual_block(first: Cost, second: Cost, larger: int = 0) -> Cost:
    """Two convolutions and what they are added to, a pixel of which takes `larger` bytes more."""
    return Cost(
        delay=first.delay + second.delay,
        held_bytes=first.held_bytes + second.held_bytes + 2 * first.delay * larger,
        # At the second convolution: the block's window, the branch's strip and window, the output.
        # Strip, window and output are those of x.
        work_bytes=first.work_bytes + second.work_bytes + 3 * larger,
        multiply_adds=first.multiply_adds + second.multiply_adds,
    )


def long_skip(body: Cost, features: int) -> Cost:
    """A body, and the rows of features that wait for it."""
    waiting = body.delay * features * _SINGLE
    return replace(
        body,
        held_bytes=body.held_bytes + waiting,
        copied_bytes=waiting,  # what waits is there twice while new rows are put behind it
        work_bytes=body.work_bytes + 3 * features * _SINGLE,
    )


def collapsed_tail(features: int, scale: int, element: int) -> Cost:
    """The tail as one convolution and a pixel shuffle."""
    outputs = 3 * scale**2
    return Cost(
        delay=TAIL_RADIUS,
        held_bytes=2 * TAIL_RADIUS * features * element,
        work_bytes=(2 * features + 3 * outputs) * element,
        multiply_adds=outputs * features * (2 * TAIL_RADIUS + 1) ** 2,
        growth=scale**2,
    )


def shift(channels: int) -> Cost:
    """A constant for each channel."""
    return Cost(work_bytes=2 * channels * _SINGLE)


def chain(costs: Sequence[Cost]) -> Cost:
    """One after the other."""
    multiply_adds, growth = 0, 1
    for cost in costs:
        multiply_adds += cost.multiply_adds * growth
        growth *= cost.growth
    return Cost(
        delay=sum(cost.delay for cost in costs),
        held_bytes=sum(cost.held_bytes for cost in costs),
        copied_bytes=sum(cost.copied_bytes for cost in costs),
        work_bytes=max(cost.work_bytes for cost in costs),
        multiply_adds=multiply_adds,
        growth=growth,
    )


def average(costs: Sequence[Cost]) -> Cost:
    """Networks of one shape, each in its turn on the same strip."""
    return replace(
        costs[0],
        held_bytes=sum(cost.held_bytes for cost in costs),
        copied_bytes=sum(cost.copied_bytes for cost in costs),
        work_bytes=max(cost.work_bytes for cost in costs),
        multiply_adds=sum(cost.multiply_adds for cost in costs),
    )


def of_network(config: NetworkConfig, scale: int, precision: Precision, ensemble: bool) -> Cost:
    """A network with its tail collapsed, as `assembly.stream` makes it.

    Args:
        config: the network.
        scale: one of its scales.
        precision: number format of the residual blocks.
        ensemble: whether it is the mean of all views.
    """
    features, element = config.features, precision.bytes
    larger = features * (_SINGLE - element)
    parts = [shift(3), convolution(3, features, 3, _SINGLE)]
    if config.architecture == "mdsr":
        inner = convolution(features, features, config.pre_process_kernel, element)
        parts += 2 * [residual_block(inner, inner, larger)]
    inner = convolution(features, features, 3, element)
    body = chain([*config.blocks * [residual_block(inner, inner)], inner])
    parts += [long_skip(body, features), collapsed_tail(features, scale, _SINGLE), shift(3)]
    return average(_VIEWS * [chain(parts)]) if ensemble else chain(parts)


def footprint(config: NetworkConfig, scale: int, precision: Precision, ensemble: bool) -> Footprint:
    """What a plan is made from; arguments as for `of_network`."""
    cost = of_network(config, scale, precision, ensemble)
    return Footprint(
        radius=cost.delay,
        held_bytes=cost.held_bytes + cost.copied_bytes,
        work_bytes=cost.work_bytes,
        # Pixels of the output, in fp32: as they come, put together, and rounded; and summed up.
        output_bytes=(4 if ensemble else 3) * 3 * scale**2 * _SINGLE,
        multiply_adds=cost.multiply_adds,
        # Those of the checkpoint, and the copies that are computed with.
        weight_bytes=config.numbers * _SINGLE * (9 if ensemble else 2),
        good_rows=GOOD_ROWS,
    )

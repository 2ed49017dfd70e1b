"""What streaming a network costs, in integers: no ncnn."""

from edsr_cli.inference.engines.ncnn.blocks import blocks_of
from edsr_cli.inference.planning import Footprint
from edsr_cli.model.config import TAIL_RADIUS, NetworkConfig

_VIEWS = 8  # of the self-ensemble
_SINGLE = 4  # bytes of a number
GOOD_ROWS = 8  # fewer than torch's: a strip fits in a cache, and costs little more
_TILE_ROWS = 4  # Winograd's; it makes as many where fewer are wanted
_MAPS = 22
"""Maps of features that are there at once in a convolution: some 8 that it works with (its window,
that with columns of zeros, Winograd's 36 numbers for 16 pixels, what goes, what is added), and what
its pools keep of others, which differ in size. Measured, in whole processes."""


def footprint(config: NetworkConfig, scale: int, ensemble: bool) -> Footprint:
    """What a plan is made from; arguments as for `Engine.footprint`."""
    blocks, body = blocks_of(config, scale)
    features, outputs = config.features, 3 * scale**2
    delay = held = work = 0
    waiting = 0  # rows for the long skip
    for index, block in enumerate(blocks):
        for number in block.numbers:
            inputs = 3 if number == 0 else features
            held += 2 * block.radius * inputs
            work += inputs * features * (2 * block.radius + 1) ** 2
            delay += block.radius
            waiting += block.radius * (index >= body)
    held += (2 * TAIL_RADIUS + waiting) * features
    work += outputs * features * (2 * TAIL_RADIUS + 1) ** 2
    count = _VIEWS if ensemble else 1
    return Footprint(
        radius=delay + TAIL_RADIUS,
        held_bytes=held * _SINGLE * count,
        work_bytes=_MAPS * features * _SINGLE,
        # As it comes, put together, rounded and shuffled; and summed up.
        output_bytes=(4 if ensemble else 3) * outputs * _SINGLE,
        multiply_adds=work * count,
        weight_bytes=config.numbers * _SINGLE + weight_bytes(config, scale, ensemble=ensemble),
        good_rows=GOOD_ROWS,
        tile_rows=_TILE_ROWS,
    )


def weight_bytes(config: NetworkConfig, scale: int, *, ensemble: bool) -> int:
    """What weights take in Winograd's convolution, which makes 4 x 4 pixels of 6 x 6."""
    # The tail has blocks of 2 x 2 pixels for pixels, and kernels apart for where a picture ends.
    tail = 6**2 * 2**4 + 4 * (2 * TAIL_RADIUS + 1) ** 2
    numbers = 3 * scale**2 * config.features * tail
    for block in blocks_of(config, scale)[0]:
        size = 6**2 if block.radius == 1 else (2 * block.radius + 1) ** 2
        numbers += size * config.features**2 * len(block.keys)
    return numbers * _SINGLE * (_VIEWS if ensemble else 1)

"""What a network is made of, for `graph` and `costs`: no ncnn."""

from msgspec import Struct

from edsr_cli.model.config import NetworkConfig


class Block(Struct, frozen=True):
    """Convolutions that follow each other, and what is added at their end.

    Attributes:
        first: number of the first of them.
        keys: under which their weights are.
        radius: of each.
        skip: whether they are a residual block.
    """

    first: int
    keys: tuple[str, ...]
    radius: int
    skip: bool

    @property
    def numbers(self) -> range:
        """Of its convolutions."""
        return range(self.first, self.first + len(self.keys))


def blocks_of(config: NetworkConfig, scale: int) -> tuple[list[Block], int]:
    """What a network has before its tail, in order, and the first part that is in its body.

    The last is the convolution that ends the body.
    """
    radius = config.pre_process_kernel // 2
    parts: list[tuple[str, int, bool]] = [("head.0", 1, False)]
    if config.architecture == "mdsr":
        branch = config.scales.index(scale)
        parts += [(f"pre_process.{branch}.{block}", radius, True) for block in (0, 1)]
    body = len(parts)
    parts += [(f"body.{block}", 1, True) for block in range(config.blocks)]
    parts.append((f"body.{config.blocks}", 1, False))
    blocks, first = [], 0
    for key, radius, skip in parts:
        keys = (f"{key}.body.0", f"{key}.body.2") if skip else (key,)
        blocks.append(Block(first, keys, radius, skip))
        first += len(keys)
    return blocks, body

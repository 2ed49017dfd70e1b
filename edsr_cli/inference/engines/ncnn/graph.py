"""A network as ncnn takes it: a graph as text, and the numbers in it.

Convolution k gets its window, w: the rows that it holds of those before, h, and the rows that come,
x. It pads left and right only. Two names for the window lead further: c, what is convolved, and n,
from which the caller takes what is to be held, so that it can be given one thing and asked for the
other.

    h, x -> w -> n
              -> c -> y            a convolution, with a ReLU where it is the first of a block
    i, y of the second -> z        the end of a block; i is the window of the first, cut by the
                                   caller to the rows that come out
    s, y of the last -> z          the end of the long skip; s is what waited for it

Whatever the caller gives by itself is not computed: so the same graph does a whole strip at once,
and one convolution alone, where a picture begins or ends.

A graph in one piece is for GPUs and for small pictures: there convolutions pad on all sides,
nothing is held, and the tail is in the graph: from pixels x to features t, and what the tail makes
of them, y.
"""

import threading
from collections.abc import Iterator, Mapping
from functools import cached_property
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edsr_cli.checkpoints.checkpoint import Checkpoint
from edsr_cli.inference import processors
from edsr_cli.inference.engines.ncnn import library
from edsr_cli.inference.engines.ncnn.blocks import Block, blocks_of
from edsr_cli.inference.engines.views import View
from edsr_cli.model.config import TAIL_RADIUS
from edsr_cli.model.impulse import Borders, LinearTail

BLOCK = 2
"""Side of a block of pixels."""


class Graph:
    """A network at a scale, seen one of eight ways; for any number of threads.

    Args:
        weights: the network.
        tail: that of the network at one of its scales; views may share it.
        view: how pictures are turned; the outcome is turned back.
        winograd, gpu, half: see `library.load`.
        in_one_piece: see the module.

    Attributes:
        net: everything before the tail, and the window of the tail, `t`; in one piece all.
        in_one_piece: whether it is that.
        blocks: its parts.
        body: the number of the part that the body begins with.
        before: what is added to pixels, (3, 1, 1).
        finite: whether all weights are finite numbers. ncnn's ReLU makes zeros of NaNs, so that
            outputs alone do not tell.
        features: channels.
    """

    def __init__(
        self,
        weights: Checkpoint,
        tail: LinearTail,
        view: View,
        *,
        winograd: bool,
        in_one_piece: bool = False,
        gpu: int | None = None,
        half: bool = False,
    ) -> None:
        scale = tail.scale
        config, tensors = weights.config, weights.tensors
        self.blocks, self.body = blocks_of(config, scale)
        self.features, self.scale, self._view = config.features, scale, view
        self.finite = all(bool(np.isfinite(tensor).all()) for tensor in tensors.values())
        self.before = tensors["sub_mean.bias"].reshape(3, 1, 1)
        self._after = np.repeat(tensors["add_mean.bias"].astype(np.float64), scale * scale)
        self._tail, self._winograd = tail, winograd
        self._tails: dict[Borders, Any] = {}
        self._lock = threading.Lock()
        self.in_one_piece = in_one_piece
        self._threads = processors.threads()
        numbers = _numbers(self.blocks, tensors, config.residual_scale, view)
        if in_one_piece:
            kernel, bias = self._tail_numbers(Borders())
            lines = _lines_in_one_piece(self.blocks, self.body, self.features, kernel.shape)
            numbers = chain(numbers, _stored(kernel, bias))
        else:
            lines = _lines(self.blocks, self.features)
        self.net = library.load(
            "\n".join(lines),
            numbers,
            threads=self._threads,
            winograd=winograd,
            gpu=gpu,
            half=half,
        )

    @cached_property
    def delay(self) -> int:
        """Rows that a row has to wait for, before the tail and in it."""
        rows = sum(block.radius * len(block.keys) for block in self.blocks)
        return rows + TAIL_RADIUS

    def tail(self, borders: Borders) -> Any:
        """The tail as one convolution, from `c` to `y`, for pixels with these borders.

        Its kernel ends where the picture does; it pads neither above nor below, and left and right
        only where there is no border. Without borders, where nearly all pixels are, it takes and
        gives blocks of 2 x 2 pixels, see `in_blocks`.
        """
        with self._lock:
            if borders not in self._tails:
                self._tails[borders] = self._load_tail(borders)
            return self._tails[borders]

    def _tail_numbers(self, borders: Borders) -> tuple[NDArray[Any], NDArray[Any]]:
        """Kernel and bias, as for `edsr_cli.model.impulse.LinearTail.kernel`."""
        kernel, bias = self._tail.kernel(self._view.borders(borders))
        kernel = self._view.undo_subpixels(self._view.undo(kernel), self.scale)
        return kernel, self._view.undo_subpixels(bias, self.scale) + self._after

    def _load_tail(self, borders: Borders) -> Any:
        kernel, bias = self._tail_numbers(borders)
        top, left = TAIL_RADIUS * borders.top, TAIL_RADIUS * borders.left
        kernel = kernel[
            :, :, top : 5 - TAIL_RADIUS * borders.bottom, left : 5 - TAIL_RADIUS * borders.right
        ]
        pad = 0 if borders.left or borders.right else TAIL_RADIUS
        if borders == Borders():
            kernel, bias, pad = in_blocks(kernel), bias.repeat(BLOCK * BLOCK), 1
        text = f"Input c 0 1 c\n{_convolution('y', 'c', kernel.shape, pad)}"
        numbers = _stored(kernel, bias)
        return library.load(text, numbers, threads=self._threads, winograd=self._winograd)


def in_blocks(kernel: NDArray[Any]) -> NDArray[Any]:
    """A kernel of 5 x 5 for blocks of 2 x 2 pixels as channels: one of 3 x 3, for Winograd.

    Returns:
        (outputs * 4, 4 * inputs, 3, 3): of an output pixel (its place in the block is the faster
        index) from one place in blocks after the other.
    """
    outputs, inputs, _, _ = kernel.shape
    result = np.zeros((outputs, BLOCK, BLOCK, BLOCK, BLOCK, inputs, 3, 3))
    for to_y, to_x, y, x in np.ndindex(BLOCK, BLOCK, 5, 5):
        # Where an input lies, from the upper left corner of the block before the output's.
        down, from_y = divmod(to_y + y - TAIL_RADIUS + BLOCK, BLOCK)
        right, from_x = divmod(to_x + x - TAIL_RADIUS + BLOCK, BLOCK)
        result[:, to_y, to_x, from_y, from_x, :, down, right] = kernel[:, :, y, x]
    return result.reshape(outputs * BLOCK**2, BLOCK**2 * inputs, 3, 3)


def _lines(blocks: list[Block], features: int) -> Iterator[str]:
    """The layers before the tail, one a line."""
    x = "x"
    yield "Input x 0 1 x"
    for block in blocks:
        for number in block.numbers:
            yield f"Input h{number} 0 1 h{number}"
            yield f"Concat w{number} 2 1 h{number} {x} w{number} 0=1"
            yield f"Split n{number} 1 2 w{number} n{number} c{number}"
            inputs = 3 if number == 0 else features
            side = 2 * block.radius + 1
            relu = " 9=1" if block.skip and number == block.first else ""
            shape = features, inputs, side, side
            yield _convolution(f"y{number}", f"c{number}", shape, block.radius) + relu
            x = f"y{number}"
        if block.skip or block is blocks[-1]:
            first = block.first
            yield f"Input i{first} 0 1 i{first}"
            yield f"BinaryOp z{first} 2 1 i{first} {x} z{first} 0=0"
            x = f"z{first}"
    yield "Input ht 0 1 ht"
    yield f"Concat t 2 1 ht {x} t 0=1"


def _lines_in_one_piece(
    blocks: list[Block], body: int, features: int, tail: tuple[int, ...]
) -> Iterator[str]:
    """The layers of the whole network, one a line."""
    yield "Input x 0 1 x"
    x = "x"
    for index, block in enumerate(blocks):
        first = block.first
        if index == body:
            yield f"Split s 1 2 {x} s b"
            x = "b"
        if block.skip:
            yield f"Split i{first} 1 2 {x} i{first} c{first}"
            x = f"c{first}"
        for number in block.numbers:
            side = 2 * block.radius + 1
            shape = features, 3 if number == 0 else features, side, side
            relu = " 9=1" if block.skip and number == first else ""
            yield _convolution(f"y{number}", x, shape, block.radius, block.radius) + relu
            x = f"y{number}"
        if block.skip:
            yield f"BinaryOp z{first} 2 1 i{first} {x} z{first} 0=0"
            x = f"z{first}"
    yield f"BinaryOp z 2 1 s {x} z 0=0"
    yield "Split t 1 2 z t c"
    yield _convolution("y", "c", tail, TAIL_RADIUS, TAIL_RADIUS)


def _convolution(name: str, source: str, shape: tuple[int, ...], pad: int, above: int = 0) -> str:
    """A convolution that pads left and right, and as it is told above and below."""
    outputs, inputs, height, width = shape
    return (
        f"Convolution {name} 1 1 {source} {name} 0={outputs} 1={width} 11={height} 4={pad} 15={pad}"
        f" 14={above} 16={above} 5=1 6={outputs * inputs * height * width}"
    )


def _numbers(
    blocks: list[Block],
    tensors: Mapping[str, NDArray[np.float32]],
    residual_scale: float,
    view: View,
) -> Iterator[NDArray[Any]]:
    """Weights and biases before the tail, the residual scale folded into them."""
    for block in blocks:
        for key in block.keys:
            factor = residual_scale if block.skip and key == block.keys[-1] else 1.0
            weight, bias = tensors[f"{key}.weight"], tensors[f"{key}.bias"]
            if factor != 1:
                yield from _stored(
                    view.undo(weight * np.float64(factor)), bias * np.float64(factor)
                )
            else:
                yield from _stored(view.undo(weight), bias)


def _stored(weight: NDArray[Any], bias: NDArray[Any]) -> Iterator[NDArray[Any]]:
    """As ncnn reads a convolution: what kind of numbers they are (0 for fp32), and the numbers."""
    yield np.zeros(1, np.uint32)
    yield weight.astype(np.float32)
    yield bias.astype(np.float32)

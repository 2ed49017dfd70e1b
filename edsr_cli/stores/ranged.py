"""Objects that are read piece by piece, for those who want to know little of them."""

import io
from collections import OrderedDict
from contextlib import closing
from typing import TYPE_CHECKING, BinaryIO, cast

from edsr_cli.stores.store import Blob

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

BLOCK = 1 << 16  # bytes that are asked for at once; most headers are shorter
_HELD = 16  # blocks
_MOST = 16  # blocks that are asked for; whoever wants more should fetch the object


class TooMuchError(OSError):
    """So much is wanted of an object that it is better fetched whole."""


class _Ranges(io.RawIOBase):
    """The bytes of an object; see `ranged`."""

    def __init__(self, blob: Blob, size: int) -> None:
        self._blob, self._size = blob, size
        self._position = self._asked = 0
        self._blocks: OrderedDict[int, bytes] = OrderedDict()

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        if start + offset < 0:
            raise ValueError("a position before the beginning")
        self._position = start + offset
        return self._position

    def tell(self) -> int:
        return self._position

    def readall(self) -> bytes:
        raise TooMuchError("all of it is wanted")

    def readinto(self, buffer: "WriteableBuffer", /) -> int:
        number, begin = divmod(self._position, BLOCK)
        if self._position >= self._size:
            return 0
        view = memoryview(buffer).cast("B")
        part = self._block(number)[begin : begin + len(view)]
        view[: len(part)] = part
        self._position += len(part)
        return len(part)

    def _block(self, number: int) -> bytes:
        if number in self._blocks:
            self._blocks.move_to_end(number)
            return self._blocks[number]
        self._asked += 1
        if self._asked > _MOST:
            raise TooMuchError("much of it is wanted")
        begin, end = number * BLOCK, min((number + 1) * BLOCK, self._size)
        data = self._blob.read(begin, end)
        if len(data) != end - begin:  # on the web there are servers that know no ranges
            raise TooMuchError("parts of it cannot be had")
        self._blocks[number] = data
        if len(self._blocks) > _HELD:
            self._blocks.popitem(last=False)
        return data


def ranged(blob: Blob, size: int) -> "closing[BinaryIO]":
    """A seekable file of an object, of which blocks are fetched when something in them is read.

    Reading from it raises a `TooMuchError` when all is asked for, or so much that it is better
    fetched whole, and a `StoreError` when the store does not answer.

    Args:
        blob: the object.
        size: its bytes.
    """
    return closing(cast(BinaryIO, io.BufferedReader(_Ranges(blob, size), BLOCK)))

"""ncnn as it has to be loaded, its matrices as NumPy arrays, and its errors.

ncnn keeps `pack` channels of a pixel together (16 with AVX-512, 8 with AVX, 4 with NEON; 1 where
the channels are no multiple). Arrays of features are views on that: (groups, h, w, pack), where
groups * pack are the channels.
"""

import ctypes
import os
import sys
import threading
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edsr_cli.inference.engine import OutOfMemoryError

# Threads of OpenMP wait for work by spinning, which takes the processor from those who have some
# where there are more of them than processors. That is read once, when the library is loaded.
_told = "OMP_WAIT_POLICY" in os.environ or "GOMP_SPINCOUNT" in os.environ
if not _told:
    os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
if hasattr(os, "RTLD_DEEPBIND"):  # glibc
    # ncnn brings an OpenMP of its own. Where PyTorch was imported before, its calls would go to
    # that of PyTorch, which has long read how to wait.
    _flags = sys.getdlopenflags()
    sys.setdlopenflags(_flags | os.RTLD_DEEPBIND)
import ncnn  # noqa: E402

if hasattr(os, "RTLD_DEEPBIND"):
    sys.setdlopenflags(_flags)
if not _told:
    del os.environ["OMP_WAIT_POLICY"]  # it was for this library alone

Features = NDArray[np.float32]

_KEPT = 0.5  # of what is asked for, the size from which on a freed block will do


class Pools:
    """Where strips get their memory from: blocks that were freed are used again.

    ncnn ends the process when a pool goes before what came from it, and Python gives no order of
    that at its end; so pools are for ever. There are as many as streams were open at once.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._idle: list[tuple[Any, Any]] = []

    def take(self) -> tuple[Any, Any]:
        """Allocators for features and for workspaces, for one thread."""
        with self._lock:
            if self._idle:
                return self._idle.pop()
        pair = ncnn.PoolAllocator(), ncnn.PoolAllocator()
        for pool in pair:
            # Otherwise any larger block would do for a smaller one, and few rows keep many.
            pool.set_size_compare_ratio(_KEPT)
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(pool))
        return pair

    def give_back(self, pair: tuple[Any, Any]) -> None:
        """Take them back, and let go of their memory."""
        for pool in pair:
            pool.clear()
        with self._lock:
            self._idle.append(pair)


POOLS = Pools()


@cache
def wake_gpus() -> None:
    """Have ncnn load Vulkan, without what it tells of devices on the way."""
    sys.stderr.flush()
    told = os.dup(2)
    try:
        with Path(os.devnull).open("wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        ncnn.create_gpu_instance()
    finally:
        os.dup2(told, 2)
        os.close(told)


NOTHING = ncnn.Mat()


def location() -> Path:
    """The file of the library itself."""
    return Path(ncnn.ncnn.__file__)


def check(status: int) -> None:
    """Raise what a status of ncnn says.

    Raises:
        OutOfMemoryError: -100, which is all that it has for that.
        RuntimeError: any other that is not 0.
    """
    if status == -100:
        raise OutOfMemoryError("ncnn could not allocate memory")
    if status:
        raise RuntimeError(f"ncnn failed with status {status}")


def features_of(mat: Any) -> Features:
    """A view (groups, h, w, pack) on a matrix, which stays in memory as long as the view does."""
    pack, step, groups, height, width = mat.elempack, mat.cstep, mat.c, mat.h, mat.w
    line = ncnn.Mat(mat)  # the same memory under another heading, that of a plain line of numbers
    line.dims, line.elempack, line.elemsize = 1, 1, 4
    line.w = line.cstep = groups * step * pack
    line.h = line.d = line.c = 1
    planes = np.asarray(line).reshape(groups, step * pack)
    return planes[:, : height * width * pack].reshape(groups, height, width, pack)


def upper_rows(mat: Any, count: int) -> Any:
    """The upper rows of a matrix, with no copy."""
    rows = ncnn.Mat(mat)
    rows.h = count  # planes are `cstep` apart, however high they are
    return rows


def empty_mat(groups: int, height: int, width: int, pack: int, pool: Any = None) -> Any:
    """A matrix for features, aligned as ncnn wants it.

    Raises:
        OutOfMemoryError: there is no memory for it.
    """
    mat = ncnn.Mat(width, height, groups, elemsize=4 * pack, elempack=pack, allocator=pool)
    if mat.empty():
        raise OutOfMemoryError("ncnn could not allocate memory")
    return mat


class _Numbers(ncnn.DataReader):  # type: ignore[misc]  # ncnn has no types
    """Arrays, one for each time that ncnn reads."""

    def __init__(self, arrays: Iterable[NDArray[Any]]) -> None:
        super().__init__()
        self._arrays = iter(arrays)

    def read(self, buffer: Any, size: int) -> int:
        array = np.ascontiguousarray(next(self._arrays))
        if array.nbytes != size:
            return 0
        pointer = ctypes.pythonapi.PyCapsule_GetPointer
        pointer.restype, pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
        ctypes.memmove(pointer(buffer, None), array.ctypes.data, size)
        return size


def load(
    text: str,
    arrays: Iterable[NDArray[Any]],
    *,
    threads: int,
    winograd: bool,
    gpu: int | None = None,
    half: bool = False,
) -> Any:
    """A network from its graph and the numbers in it, in their order.

    Args:
        text: as in a file of parameters; layers, one a line, without the lines before them.
        arrays: fp32, weights and biases in turn.
        threads: how many compute on the CPU.
        winograd: whether convolutions of 3 x 3 may take four times the memory for their weights,
            and less than half the time.
        gpu: the Vulkan device that computes; None for the CPU.
        half: whether it stores numbers in fp16; what it adds up is in fp32 all the same.

    Raises:
        OutOfMemoryError: the numbers do not fit.
    """
    layers = [line.split() for line in text.splitlines()]
    blobs = sum(int(fields[3]) for fields in layers)
    net = ncnn.Net()
    option = net.opt
    option.num_threads = threads
    option.use_vulkan_compute = gpu is not None
    if gpu is not None:
        wake_gpus()
        net.set_vulkan_device(gpu)
    option.use_fp16_packed = option.use_fp16_storage = half
    option.use_fp16_arithmetic = False
    option.use_bf16_packed = option.use_bf16_storage = False
    option.use_winograd_convolution = winograd
    option.use_winograd63_convolution = False  # slower than that of 4 x 4 pixels, and less exact
    check(net.load_param_mem(f"7767517\n{len(layers)} {blobs}\n{text}\n"))
    if net.load_model(_Numbers(arrays)):
        raise OutOfMemoryError("ncnn could not load the weights")
    return net

"""What can be told of the machine without torch, whose import takes seconds."""

import ctypes
import platform
import sys
from pathlib import Path

from edsr_cli.inference import processors

_AVX512F = 41  # PF_AVX512F_INSTRUCTIONS_AVAILABLE, winnt.h


def may_have_gpu() -> bool:
    """Whether there is a driver of a GPU that torch could use.

    Without a driver there is no GPU, and torch needs not be asked. On a Mac it is: nothing else
    says so easily whether the system and its GPU are good enough for it.
    """
    if sys.platform == "darwin":
        return True
    library = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
    return _loads(library) or Path("/dev/kfd").exists()  # the latter is ROCm's


def multiplies_bf16() -> bool | None:
    """Whether the CPU multiplies bf16 natively, as torch sees it; None if only torch can tell.

    That is AVX512-BF16 or AMX, both of x86.
    """
    machine = platform.machine().lower()
    if machine in ("arm64", "aarch64"):
        return False
    if machine not in ("x86_64", "amd64"):
        return None
    if sys.platform.startswith("linux"):
        flags = set(processors.first_processor().get("flags", "").split())
        return bool(flags & {"avx512_bf16", "amx_tile"}) if flags else None
    if sys.platform == "win32":
        # Neither comes without AVX512F, which is all that Windows says by itself.
        return None if ctypes.windll.kernel32.IsProcessorFeaturePresent(_AVX512F) else False
    return None


def _loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True

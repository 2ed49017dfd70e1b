"""ncnn beside PyTorch in one process."""

import subprocess
import sys
from pathlib import Path

import pytest

BESIDE = """
import ctypes
from pathlib import Path
import torch
from edsr_cli.inference.engines.ncnn.library import ncnn

ncnn.set_omp_dynamic(1)
maps = Path("/proc/self/maps").read_text().splitlines()
for path in sorted({line.split()[-1] for line in maps if "gomp" in line}):
    owner = "torch" if "torch" in path else "ncnn"
    print(owner, ctypes.CDLL(path).omp_get_dynamic())
"""


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="reads what is loaded from /proc")
def test_it_has_its_own_openmp_where_torch_was_imported_before():
    """That of PyTorch was told by nobody that it must not wait by spinning."""
    done = subprocess.run(
        [sys.executable, "-c", BESIDE], capture_output=True, text=True, timeout=600, check=True
    )
    if len(found := done.stdout.splitlines()) < 2:
        pytest.skip(f"there is only one OpenMP here: {found}")
    assert found == ["ncnn 1", "torch 0"]

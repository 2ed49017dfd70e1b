"""What tests of every folder use."""

import gc
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, Phase, settings

if TYPE_CHECKING:
    from edsr_cli.model.config import NetworkConfig
    from edsr_cli.model.networks import EDSR, MDSR

REPOSITORY = Path(__file__).parents[1]

gc.disable()  # until tests have been collected, which makes no garbage to speak of

# Threads that spin while they wait take the processor from other processes that tests start.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
# With a process for each processor (pytest -n), more threads would only stand in each other's way.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

# A shell starts what it runs in the background (`pytest &`) with Ctrl-C ignored, and `nohup` with
# SIGHUP, and processes that tests start would inherit that. Tests begin where a user would.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

# A slow machine is no failure, tests may share a folder between examples, and a run in CI is the
# same every time.
settings.register_profile(
    "edsr",
    deadline=None,
    derandomize="CI" in os.environ,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
# For tests/mutants.py: that a test fails is enough, nobody needs the smallest example.
settings.register_profile(
    "mutants",
    parent=settings.get_profile("edsr"),
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
)
settings.load_profile("edsr")


def pytest_collection_finish() -> None:
    """Spare the collector what stays until the end, which it would look through again and again."""
    gc.enable()
    gc.freeze()


def pytest_sessionfinish() -> None:
    """Let it look through all of that in the end, when libraries count what is left of theirs."""
    gc.unfreeze()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int | None:
    """One process more than there are processors, since many tests wait for others."""
    if "PYTEST_XDIST_AUTO_NUM_WORKERS" in os.environ:
        return None
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0)) + 1
    return (os.cpu_count() or 1) + 1


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Leave the user's cache folder alone, where commands note how fast the device is."""
    with pytest.MonkeyPatch.context() as patch:
        if "EDSR_CACHE" not in os.environ:
            patch.setenv("EDSR_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def repository() -> Path:
    """The checkout that these tests belong to."""
    return REPOSITORY


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of data that is not in the repository: benchmarks, photographs, checkpoints.

    It is $EDSR_SHARED, or `shared` beside the checkout.
    """
    folder = Path(os.environ.get("EDSR_SHARED") or REPOSITORY.parent / "shared")
    if not folder.is_dir():
        pytest.skip(f"needs the data in {folder} (set EDSR_SHARED to its folder)")
    return folder


# (architecture, scales, blocks, features, residual_scale). Two or more blocks, so that the body's
# last convolution has the key body.2 or higher, as a block's second one has.
TINY = {
    "edsr-x2": ("edsr", (2,), 2, 4, 1.0),
    "edsr-x3": ("edsr", (3,), 3, 4, 1.0),
    "edsr-x4": ("edsr", (4,), 2, 4, 1.0),
    "edsr-x2-scaled": ("edsr", (2,), 2, 4, 0.1),
    "mdsr": ("mdsr", (2, 3, 4), 2, 4, 1.0),
    "mdsr-scaled": ("mdsr", (2, 4), 3, 4, 0.1),
}


@pytest.fixture(params=TINY.values(), ids=TINY.keys())
def tiny_config(request: pytest.FixtureRequest) -> "NetworkConfig":
    """The hyper-parameters of a tiny network of each kind, one after the other."""
    from edsr_cli.model.config import NetworkConfig

    return NetworkConfig(*request.param)


@pytest.fixture
def tiny_network(tiny_config: "NetworkConfig") -> "EDSR | MDSR":
    """A network of `tiny_config`, the same weights every time, in eval mode without gradients."""
    import torch

    from edsr_cli.model.networks import build

    with torch.random.fork_rng():
        torch.manual_seed(0)
        return build(tiny_config).eval().requires_grad_(False)

"""A cluster of Ray on this machine, of several nodes, for the tests that use one."""

import os
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any

import psutil
import pytest

from edsr_cli.jobs.cluster import _QUIET
from tests.conftest import REPOSITORY

os.environ.update(_QUIET)  # before anybody imports Ray, which would print between lines of JSON

WORKER, LEDGER = "_WorkerActor", "_LedgerActor"
"""What is in the names of the processes that do the work of a run, and that keep its ledger."""


PATIENCE = 300.0  # seconds that a node gets to start


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A head without room for workers, and three nodes with room for one each."""
    from ray._private import services
    from ray.cluster_utils import Cluster as Nodes

    once = services.get_node

    def get_node(address: str, node: str) -> Any:
        """Ray gives up after half a minute, which is too soon on a busy machine."""
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                return once(address, node)
            except RuntimeError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(REPOSITORY))
        patch.setattr(services, "get_node", get_node)
        nodes = Nodes(initialize_head=True, head_node_args={"num_cpus": 0})
        for _ in range(3):
            nodes.add_node(num_cpus=1)
        yield nodes
        nodes.shutdown()


def raylet(node: Any) -> int:
    """The process that starts all others of a node."""
    return node.all_processes["raylet"][0].process.pid


def a_worker(cluster: Any) -> psutil.Process:
    """The youngest worker, when there is one: those that were killed may have to come back."""
    deadline = time.monotonic() + PATIENCE
    while not (found := actors(cluster, WORKER)):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return found[0]


def actors(cluster: Any, *names: str) -> list[psutil.Process]:
    """The processes on a cluster of such names, youngest first."""
    return below(map(raylet, cluster.list_all_nodes()), *names)


def below(roots: Iterable[int], *names: str) -> list[psutil.Process]:
    """The processes that others have started, of such names, youngest first."""
    found = []
    for root in roots:
        with suppress(psutil.Error):
            for process in psutil.Process(root).children(recursive=True):
                with suppress(psutil.Error):
                    if any(name in " ".join(process.cmdline()) for name in names):
                        found.append(process)
    return sorted(found, key=lambda process: -process.create_time())

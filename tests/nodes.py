"""A cluster of Ray on this machine, of several nodes, for the tests that use one."""

import os
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import psutil
import pytest

from tests.conftest import REPOSITORY


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A head without room for workers, and three nodes with room for one each."""
    from ray.cluster_utils import Cluster as Nodes

    os.environ["PYTHONPATH"] = str(REPOSITORY)
    nodes = Nodes(initialize_head=True, head_node_args={"num_cpus": 0})
    for _ in range(3):
        nodes.add_node(num_cpus=1)
    yield nodes
    nodes.shutdown()


def workers() -> list[psutil.Process]:
    """The processes of workers, youngest first."""
    return _named("_WorkerActor")


def ledgers() -> list[psutil.Process]:
    """The processes that keep the ledgers of runs, youngest first."""
    return _named("_LedgerActor")


def _named(actor: str) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if actor in " ".join(process.cmdline()):
                found.append(process)
    return sorted(found, key=lambda process: -process.create_time())

"""Two networks whose strength shows: the second one adds 40 levels, those between them less."""

from pathlib import Path

from edsr_cli.checkpoints.checkpoint import Checkpoint
from edsr_cli.checkpoints.loader import LoadedNetwork
from edsr_cli.model.networks import EDSR, tensors_of
from edsr_cli.options.reading import Setting
from edsr_cli.restoration.networks import Restoration, RestoringUpscaler
from tests.jobs.nearest import NAME, nearest_network

ADDED = 40


def brightening_network(scale: int) -> EDSR:
    network = nearest_network(scale)
    network.tail[1].bias += ADDED
    return network


def checkpoint_of(network: EDSR) -> Checkpoint:
    return Checkpoint(network.config, tensors_of(network))


def restoring_upscaler(setting: Setting = "auto", scale: int = 4) -> RestoringUpscaler:
    networks = nearest_network(scale), brightening_network(scale)
    restoration = Restoration(*map(checkpoint_of, networks), setting)
    return RestoringUpscaler(restoration, scale, "cpu", "fp32")


def loaded(scale: int = 4) -> LoadedNetwork:
    return LoadedNetwork(
        checkpoint_of(nearest_network(scale)), NAME, scale, "CC0-1.0", "", Path("a")
    )

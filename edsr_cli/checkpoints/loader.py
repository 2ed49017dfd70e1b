"""A model's name, or a weight file, becomes a network that is ready for inference."""

import os
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from edsr_cli.checkpoints import registry, store
from edsr_cli.checkpoints.checkpoint import Checkpoint, read_canonical
from edsr_cli.checkpoints.convention import NOTHING_STATED, Stated
from edsr_cli.checkpoints.files import SUFFIXES
from edsr_cli.checkpoints.reader import read_checkpoint
from edsr_cli.errors import UsageError, WeightsError
from edsr_cli.model.config import NetworkConfig

if TYPE_CHECKING:
    from edsr_cli.model.networks import EDSR, MDSR


class LoadedNetwork(Struct, frozen=True, dict=True):
    """A network with its weights.

    Attributes:
        checkpoint: its hyper-parameters and weights, residual scale folded in.
        name: the model's name; the file's name without suffix if the file states none.
        scale: the upscaling factor to use, one of `config.scales`.
        licence: SPDX identifier of the weights, or "none stated".
        origin: who made the weights, in one sentence; may be empty.
        path: the file that was read.
    """

    checkpoint: Checkpoint
    name: str
    scale: int
    licence: str
    origin: str
    path: Path

    @property
    def config(self) -> NetworkConfig:
        """The hyper-parameters."""
        return self.checkpoint.config

    @cached_property
    def network(self) -> "EDSR | MDSR":
        """In eval mode, fp32, on the CPU, without gradients. Imports torch."""
        from edsr_cli.model.networks import network_of

        return network_of(self.checkpoint.config, self.checkpoint.tensors)


def load_network(
    model: str | os.PathLike[str] = registry.DEFAULT_MODEL,
    scale: int | None = None,
    stated: Stated = NOTHING_STATED,
    find: Callable[[registry.ModelRow], Path] = store.resolve,
    *,
    any_scale: bool = False,
) -> LoadedNetwork:
    """Load a network.

    Args:
        model: a name of the registry, or the path of a weight file of any published layout, see
            `edsr_cli.checkpoints.layouts`. A name wins over a file of the same name; write
            "./name" for the file.
        scale: the upscaling factor. None takes the only one that a file has, or else 4.
        stated: what is known of a weight file that does not say it by itself.
        find: gives the canonical file of a model of the registry; by default one that is on this
            machine.
        any_scale: whether the largest scale of a file will do, where it does not have `scale`.

    Raises:
        WeightsError: there is no such model or file, it cannot be used, or it does not have the
            scale; alternatives are listed.
        UsageError: something is stated about a model of the registry.
    """
    if isinstance(model, str) and model in registry.names():
        if stated != NOTHING_STATED:
            raise UsageError(
                f"{model!r} is a model that is known, so nothing can be said about its weights.",
                "Leave out the layout and all that goes with it; they are for files.",
            )
        scale = registry.DEFAULT_SCALE if scale is None else scale
        path, checkpoint = _read_named(registry.find(model, scale), find)
    else:
        path = Path(model)
        checkpoint = _read_path(model, stated)
        offered = checkpoint.config.scales
        if any_scale and scale not in offered:
            scale = max(offered)
        scale = _choose_scale(offered, scale, path)
    return LoadedNetwork(
        checkpoint=checkpoint,
        name=checkpoint.metadata.get("name", path.stem),
        scale=scale,
        licence=checkpoint.metadata.get("licence", registry.NONE_STATED),
        origin=checkpoint.metadata.get("origin", ""),
        path=path,
    )


def _read_path(model: str | os.PathLike[str], stated: Stated) -> Checkpoint:
    """Read a file, the name of which may also be that of a model misspelt."""
    path = Path(model)
    # Unlike Path.exists, lexists is false, not an error, for names that are too long.
    if not os.path.lexists(path) and path.suffix.lower() not in SUFFIXES:
        raise WeightsError(
            f"There is no model and no file {os.fspath(model)!r}.",
            registry.alternatives(str(path)),
        )
    return read_checkpoint(path, stated)


def _read_named(
    row: registry.ModelRow, find: Callable[[registry.ModelRow], Path]
) -> tuple[Path, Checkpoint]:
    """Read the canonical file of a row, which must hold the network that the row describes."""
    path = find(row)
    checkpoint = read_canonical(path)
    # The residual scale of a canonical file has been folded into its weights.
    if checkpoint.config != replace(row.config, residual_scale=1.0):
        from edsr_cli.checkpoints.store.local import refetch

        raise WeightsError(
            "it does not hold the network that is listed for it.", refetch(row), about=path
        )
    return path, checkpoint


def _choose_scale(offered: tuple[int, ...], wanted: int | None, path: Path) -> int:
    """The scale to use of those that a file's network has."""
    if wanted is None:
        wanted = offered[0] if len(offered) == 1 else registry.DEFAULT_SCALE
    if wanted not in offered:
        names = ", ".join(f"x{scale}" for scale in offered)
        raise WeightsError(f"it has no scale x{wanted}.", f"It has {names}.", about=path)
    return wanted

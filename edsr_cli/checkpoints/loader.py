"""A model's name, or a weight file, becomes a network that is ready for inference."""

import os
from dataclasses import dataclass
from pathlib import Path

from edsr_cli.checkpoints import registry
from edsr_cli.checkpoints.bundled import REINSTALL, bundled_file
from edsr_cli.checkpoints.canonical import read_canonical
from edsr_cli.checkpoints.checkpoint import Checkpoint, check_readable, fold_residual_scale
from edsr_cli.checkpoints.official import is_official, read_official
from edsr_cli.checkpoints.torch_file import read_torch_file
from edsr_cli.errors import WeightsError
from edsr_cli.networks import EDSR, MDSR, NetworkConfig, build

SUFFIXES = (".safetensors", ".pt", ".pth")


@dataclass(frozen=True)
class LoadedNetwork:
    """A network with its weights.

    Attributes:
        network: in eval mode, fp32, on the CPU, without gradients, residual scale folded in.
        config: its hyper-parameters.
        name: the model's name; the file's name without suffix if the file states none.
        scale: the upscaling factor to use, one of `config.scales`.
        licence: SPDX identifier of the weights, or "none stated".
        origin: who made the weights, in one sentence; may be empty.
        path: the file that was read.
    """

    network: EDSR | MDSR
    config: NetworkConfig
    name: str
    scale: int
    licence: str
    origin: str
    path: Path


def load_network(
    model: str | os.PathLike[str] = registry.DEFAULT_MODEL, scale: int | None = None
) -> LoadedNetwork:
    """Load a network.

    Args:
        model: a name of the registry, or the path of a `.safetensors` file in the canonical format
            or of a `.pt` or `.pth` state dict. A name wins over a file of the same name; write
            "./name" for the file.
        scale: the upscaling factor. None takes the only one that a file has, or else 4.

    Raises:
        WeightsError: there is no such model or file, it cannot be used, or it does not have the
            scale; alternatives are listed.
    """
    if isinstance(model, str) and model in registry.names():
        scale = registry.DEFAULT_SCALE if scale is None else scale
        path, checkpoint = _read_named(registry.find(model, scale))
    else:
        path = Path(model)
        checkpoint = read_file(path)
        scale = _choose_scale(checkpoint.config.scales, scale, path)
    state_dict, config = fold_residual_scale(checkpoint.state_dict, checkpoint.config)
    network = build(config)
    network.load_state_dict(state_dict)
    return LoadedNetwork(
        network=network.eval().requires_grad_(False),
        config=config,
        name=checkpoint.metadata.get("name", path.stem),
        scale=scale,
        licence=checkpoint.metadata.get("licence", registry.NONE_STATED),
        origin=checkpoint.metadata.get("origin", ""),
        path=path,
    )


def read_file(path: Path) -> Checkpoint:
    """Read a weight file of any kind that is known.

    Raises:
        WeightsError: the file is missing, damaged or of a kind that cannot be used.
    """
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        if not os.path.lexists(path):  # unlike Path.exists, false for names that are too long
            raise WeightsError(
                f"There is no model and no file {str(path)!r}.",
                f"Models: {', '.join(registry.names())}.",
            )
        check_readable(path)
        raise WeightsError(
            f"{path} is not a weights file that can be used.",
            f"Names of such files end in {', '.join(SUFFIXES)}.",
        )
    if suffix == ".safetensors":
        return read_canonical(path)
    tensors = read_torch_file(path)
    if is_official(tensors):
        return read_official(tensors, path)
    raise WeightsError(
        f"{path}: its tensors do not have the names of an EDSR or MDSR network.",
        "The layout of the authors' release is understood.",
    )


def _read_named(row: registry.ModelRow) -> tuple[Path, Checkpoint]:
    """Read the bundled file of a row, which must hold the network that the row describes."""
    source = row.bundled
    if source is None or source.size is None:
        raise WeightsError(f"Model {row.name!r} does not come with the program.")
    path = bundled_file(source.file, source.size, source.sha256)
    checkpoint = read_canonical(path)
    if checkpoint.config != row.config:
        raise WeightsError(f"{path} does not hold the network that is listed for it.", REINSTALL)
    return path, checkpoint


def _choose_scale(offered: tuple[int, ...], wanted: int | None, path: Path) -> int:
    """The scale to use of those that a file's network has."""
    if wanted is None:
        wanted = offered[0] if len(offered) == 1 else registry.DEFAULT_SCALE
    if wanted not in offered:
        names = ", ".join(f"x{scale}" for scale in offered)
        raise WeightsError(f"{path} has no scale x{wanted}.", f"It has {names}.")
    return wanted

"""A weight file of any kind that is known -> the canonical form."""

import logging
from collections.abc import Sequence
from pathlib import Path

from edsr_cli.checkpoints import layouts
from edsr_cli.checkpoints.checkpoint import (
    Checkpoint,
    Weights,
    checked_canonical,
    is_canonical,
    read_canonical,
    take_tensors,
)
from edsr_cli.checkpoints.convention import (
    NOTHING_STATED,
    Convention,
    Stated,
    agreeing_with_mean,
    to_canonical,
)
from edsr_cli.checkpoints.files import foreign_network, read_tensor_file
from edsr_cli.checkpoints.layouts import CANONICAL, MEAN_KEYS, Layout, infer_config
from edsr_cli.errors import WeightsError

logger = logging.getLogger(__name__)


def read_checkpoint(
    path: Path,
    stated: Stated = NOTHING_STATED,
) -> Checkpoint:
    """Read a weight file and bring it to the canonical form.

    The layout is told by the keys. What weights were trained with is what is stated, else what is
    the same in all files of the layout, else it is found by trying, see
    `edsr_cli.checkpoints.probe`.

    Args:
        path: a file of torch.save, or a safetensors file.
        stated: what is known of it.

    Returns:
        The checkpoint, for values in 0..255, with mean tensors and residual scale 1. Its metadata
        are a canonical file's own, or the layout and `Convention` of the file.

    Raises:
        WeightsError: the file is missing, damaged, of a kind that cannot be used, does not have
            exactly the tensors of a network, or nothing tells what they were trained with.
    """
    if stated.layout == CANONICAL:
        return read_canonical(path)
    tensors, metadata = read_tensor_file(path)
    if is_canonical(metadata):
        if stated != NOTHING_STATED:
            raise WeightsError(
                "it is a file of edsr, which says by itself what it holds.",
                "Leave out the layout and all that goes with it.",
                about=path,
            )
        return checked_canonical(tensors, metadata, path)
    network = foreign_network(tensors)
    if network:
        raise WeightsError(f"it holds {network}.", "Only EDSR and MDSR can be used.", about=path)
    possible = _possible_layouts(tensors, stated.layout, path)
    return _converted(tensors, possible, stated.candidates(possible), path)


def _possible_layouts(keys: Weights, name: str | None, path: Path) -> tuple[Layout, ...]:
    """The layout of that name, or all that the keys fit."""
    detected = layouts.detect(keys)
    names = ", ".join(layout.name for layout in detected)
    if name is not None:
        layout = layouts.find(name)
        if not detected or layout.same_keys(detected[0]):
            return (layout,)
        raise WeightsError(
            f"its tensors do not have the names of layout {name!r}.",
            f"They have those of {names}.",
            about=path,
        )
    if not detected:
        raise WeightsError(
            "its tensors do not have the names of an EDSR or MDSR network.",
            f"Layouts that can be read: {', '.join(layout.name for layout in layouts.LAYOUTS)}.",
            about=path,
        )
    logger.debug("%s: the tensors have the names of layout %s", path, names)
    return detected


def _converted(
    tensors: Weights,
    possible: Sequence[Layout],
    candidates: list[Convention],
    path: Path,
) -> Checkpoint:
    """The canonical form of tensors under the keys of these layouts."""
    layout = possible[0]
    prefix = layouts.prefix_for(layout, tensors)
    if prefix.endswith("generator."):
        # Files of adversarial training also hold the losses and their networks.
        tensors = {key: tensor for key, tensor in tensors.items() if key.startswith(prefix)}
    config = infer_config(tensors, layout, prefix, path)
    own = {key: prefix + layout.key(key) for key in MEAN_KEYS}
    shifts = layout.stores_mean and any(each.mean_shift for each in candidates)
    found = take_tensors(
        tensors,
        (
            (key, own.get(key) or prefix + layout.key(key, config.scales), shape)
            for key, shape in config.shapes()
            # Where the mean tensors are stored but not used, they need not be there.
            if key not in own or shifts or (layout.stores_mean and own[key] in tensors)
        ),
        path,
    )
    if shifts:
        candidates = agreeing_with_mean(candidates, found, own, path)
    convention = candidates[0]
    if len(candidates) > 1:
        from edsr_cli.checkpoints.probe import find_convention  # runs the network, on torch

        convention = find_convention(found, config, candidates, path)
    canonical, config = to_canonical(found, config, convention)
    metadata = {
        "layout": _fitting(possible, convention).name,
        "value_range": f"{convention.value_range:g}",
        "mean_shift": "yes" if convention.mean_shift else "no",
        "residual_scale": f"{convention.residual_scale:g}",
    }
    return Checkpoint(config, canonical, metadata)


def _fitting(possible: Sequence[Layout], convention: Convention) -> Layout:
    """The layout whose weights are of this convention; the first if none is."""
    wanted = (convention.value_range, convention.mean_shift)
    return next(
        (each for each in possible if (each.value_range, each.mean_shift) == wanted), possible[0]
    )

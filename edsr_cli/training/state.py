"""The state of a training on disk: read, and checked before anything is made of it."""

import math
from pathlib import Path
from typing import Any

import torch
from msgspec import Struct
from torch import Tensor

from edsr_cli.errors import UsageError, WeightsError
from edsr_cli.files.names import display_name
from edsr_cli.inference.engines.torch import devices
from edsr_cli.model.config import NetworkConfig
from edsr_cli.training.recipe import Recipe
from edsr_cli.training.trainer import Trainer

VERSION = 2

_ANEW = "Start the training again with --overwrite."


class Subject(Struct, frozen=True):
    """What a run is about; a run that is resumed must be about the same.

    Attributes:
        config: the network.
        recipe: how it is trained.
        data: summary of the pictures.
        init: the weights to start from, as the user named them; None for random ones.
        start: what these weights were, such as "random weights" or "edsr-free x2". A run that is
            resumed takes it from its state, since it needs these weights no more.
    """

    config: NetworkConfig
    recipe: Recipe
    data: dict[str, Any]
    init: str | None
    start: str

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values."""
        return {
            "config": self.config.to_dict(),
            "recipe": self.recipe.to_dict(),
            "data": self.data,
            "init": self.init,
            "start": self.start,
        }


def read_state(path: Path, device: torch.device) -> dict[str, Any]:
    """What `Run.save` wrote; that it fits a training is for `load_trainer` to find out.

    Raises:
        WeightsError: it cannot be read, or is the state of no training of this version.
    """
    name = display_name(path)
    if not path.is_file():  # reading a pipe would wait for ever
        raise WeightsError(f"{name} cannot be read: this is not a file.", _ANEW)
    try:
        state = torch.load(path, map_location=device, weights_only=True)
    except Exception as error:  # a damaged file fails with all kinds
        if devices.is_out_of_memory(error):
            raise
        raise WeightsError(f"{name} cannot be read ({type(error).__name__}).", _ANEW) from error
    version = state.get("version") if isinstance(state, dict) else None
    if type(version) is not int or version != VERSION:
        raise WeightsError(
            f"{name} is not the state of a training that this version can go on with."
        )
    return state


def subject_of(state: dict[str, Any], path: Path) -> dict[str, Any]:
    """What a state says that its training is about; see `Subject.to_dict`.

    Raises:
        WeightsError: it does not say so.
    """
    subject = state.get("subject")
    kinds = {"config": dict, "recipe": dict, "data": dict, "init": str | None, "start": str}
    if not isinstance(subject, dict) or not all(
        key in subject and isinstance(subject[key], kind) for key, kind in kinds.items()
    ):
        raise _unfit(path, "it does not say what it is about")
    return subject


def check_same(saved: dict[str, Any], subject: Subject, path: Path) -> None:
    """Refuse to go on with something else than was begun.

    Args:
        saved: what a state is about, see `subject_of`.
        subject: what the run is about.
        path: the state's file.

    Raises:
        WeightsError: what is saved makes no sense.
        UsageError: it is another network or recipe, or other pictures.
    """
    mine = subject.to_dict()
    changed = [key for key in ("config", "data", "init") if saved[key] != mine[key]]
    if saved["recipe"] != mine["recipe"]:
        try:
            changed += subject.recipe.differences(Recipe.from_dict(saved["recipe"]))
        except (KeyError, TypeError, ValueError, UsageError) as error:
            raise WeightsError(
                "its recipe is damaged, or of another version.",
                _ANEW,
                about=display_name(path),
            ) from error
    if changed:
        raise UsageError(
            f"The training in {display_name(path.parent)} was begun with other values: "
            f"{', '.join(changed)}.",
            "Give the same as then, or start anew with --overwrite.",
        )


def psnr_of(state: dict[str, Any], path: Path) -> dict[int, float]:
    """The last PSNR of each scale, in dB.

    Raises:
        WeightsError: there is no such thing in the state.
    """
    psnr = state.get("psnr")
    if not isinstance(psnr, dict) or not all(
        type(scale) is int and isinstance(value, float) for scale, value in psnr.items()
    ):
        raise _unfit(path, "it has no PSNR")
    return psnr


def load_trainer(trainer: Trainer, state: dict[str, Any], path: Path) -> None:
    """Bring a trainer to where it was.

    Raises:
        WeightsError: the state is that of another network, or damaged. The trainer may have
            become useless then.
    """
    saved, fresh = state.get("trainer"), trainer.state_dict()
    if not isinstance(saved, dict) or saved.keys() != fresh.keys():
        raise _unfit(path, "it is not complete")
    for key, value in fresh.items():
        if key != "optimizer" and not _alike(saved[key], value):
            raise _unfit(path, f"{key!r} is another")
    if not _fits(saved["optimizer"], fresh["optimizer"], list(trainer.network.parameters())):
        raise _unfit(path, "'optimizer' is another")
    if not finite(saved):
        raise _unfit(path, "it has values that are no numbers, as of a training that has diverged")
    try:
        trainer.load_state_dict(saved)
    except (RuntimeError, ValueError, KeyError, TypeError, AttributeError) as error:
        if devices.is_out_of_memory(error):
            raise
        raise _unfit(path, " ".join(str(error).split())) from error


def finite(value: Any) -> bool:
    """Whether all numbers in a tensor, or in tensors in lists and dictionaries, are finite."""
    if isinstance(value, Tensor):
        return not value.is_floating_point() or bool(torch.isfinite(value).all())
    if isinstance(value, dict):
        return all(finite(each) for each in value.values())
    if isinstance(value, list | tuple):
        return all(finite(each) for each in value)
    return not isinstance(value, float) or math.isfinite(value)


def _unfit(path: Path, why: str) -> WeightsError:
    return WeightsError(f"{display_name(path)} does not fit this training: {why}.", _ANEW)


def _alike(value: Any, other: Any) -> bool:
    """Whether two values are alike but for the numbers in tensors, and counts, from 0 on."""
    if isinstance(other, Tensor):
        return (
            isinstance(value, Tensor)
            and (value.shape, value.dtype, value.layout) == (other.shape, other.dtype, other.layout)
            and not value.is_meta
        )
    if isinstance(other, dict):
        return (
            isinstance(value, dict)
            and value.keys() == other.keys()
            and all(_alike(value[key], other[key]) for key in other)
        )
    if isinstance(other, list):
        return (
            isinstance(value, list) and len(value) == len(other) and all(map(_alike, value, other))
        )
    return type(value) is type(other) and (not isinstance(value, int | float) or value >= 0)


def _fits(saved: Any, fresh: dict[str, Any], weights: list[Tensor]) -> bool:
    """Whether moments of Adam are those of the weights; some may have none yet."""
    try:
        groups, moments = saved["param_groups"], saved["state"]
        known = [number for group in fresh["param_groups"] for number in group["params"]]
        if [number for group in groups for number in group["params"]] != known:
            return False
        trained = dict(zip(known, (w for w in weights if w.requires_grad), strict=True))
        return all(
            moment["exp_avg"].shape == moment["exp_avg_sq"].shape == trained[number].shape
            and moment["step"].numel() == 1
            for number, moment in moments.items()
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        return False

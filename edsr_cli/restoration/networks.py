"""Networks of every strength, ready to upscale."""

import threading
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

from msgspec import Struct

from edsr_cli.checkpoints import registry, store
from edsr_cli.checkpoints.checkpoint import Checkpoint
from edsr_cli.checkpoints.loader import LoadedNetwork, load_network
from edsr_cli.checkpoints.mixing import mixed
from edsr_cli.errors import UsageError
from edsr_cli.images.picture import Compression
from edsr_cli.inference import Upscaler
from edsr_cli.inference.engine import Engine
from edsr_cli.inference.engines import engine_for
from edsr_cli.options.reading import Setting
from edsr_cli.pixels.transfer import FromLight
from edsr_cli.pixels.windows import Readable
from edsr_cli.restoration.choice import Choice, choose, version
from edsr_cli.restoration.words import ASKED

_KEPT = 3  # networks on a device besides the plain one; another is made in a tenth of a second

Find = Callable[[registry.ModelRow], Path]


class Restoration(Struct, frozen=True):
    """How pictures are restored.

    Attributes:
        plain: the weights for strength 0.
        restoring: those for strength 1; None where there are only the plain ones.
        setting: what was asked for.
        why_not: why nothing can be chosen, for results.
    """

    plain: Checkpoint
    restoring: Checkpoint | None
    setting: Setting
    why_not: str = ""

    @property
    def fixed(self) -> Choice | None:
        """What holds for every picture; None if it depends on the picture."""
        if self.restoring is None:
            return Choice(0.0, self.why_not)
        return None if self.setting == "auto" else Choice(self.setting, ASKED)

    def weights(self, strength: float) -> Checkpoint:
        """Those of a strength."""
        return self.plain if self.restoring is None else mixed(self.plain, self.restoring, strength)


class RestoringUpscaler(Upscaler):
    """An upscaler that can be had in every strength.

    By itself it upscales with the strength that holds for every picture, or else with 0.

    Args:
        restoration: the networks, and how to choose.
        scale, device, precision, max_memory, engine: as for `Upscaler`.
    """

    def __init__(
        self,
        restoration: Restoration,
        scale: int,
        device: str = "auto",
        precision: str = "auto",
        max_memory: int | None = None,
        engine: Engine | None = None,
    ) -> None:
        fixed = restoration.fixed
        weights = restoration.weights(fixed.strength if fixed else 0.0)
        super().__init__(weights, scale, device, precision, max_memory, engine)
        self.restoration = restoration
        self._others: OrderedDict[float, Upscaler] = OrderedDict()
        self._lock = threading.Lock()

    def choose(self, picture: Readable, stated: Compression | None = None) -> Choice:
        """The strength for a picture, see `edsr_cli.restoration.choice.choose`."""
        return self.restoration.fixed or choose(picture, self.scale, stated)

    def at(self, strength: float) -> Upscaler:
        """The upscaler of a strength that `choose` gave; the last few are kept."""
        if self.restoration.fixed is not None or strength == 0:
            return self
        with self._lock:
            if strength not in self._others:
                self._others[strength] = Upscaler(
                    self.restoration.weights(strength),
                    self.scale,
                    str(self.device),
                    self.precision.value,
                    self.max_memory,
                    self.engine,
                )
                if len(self._others) > _KEPT:
                    self._others.popitem(last=False)
            self._others.move_to_end(strength)
            return self._others[strength]


def find_restoration(
    loaded: LoadedNetwork, model: str, setting: Setting | None, find: Find = store.resolve
) -> Restoration | None:
    """The networks that a setting of --restore needs.

    Args:
        loaded: the plain network, at the scale to use.
        model: what the user called it.
        setting: None for "auto" where the registry names a restoring model, else nothing.
        find: see `load_network`.

    Returns:
        None for a model that has no restoring one, if none was asked for.

    Raises:
        UsageError: one was asked for, and there is none, or none for the scale.
        WeightsError: its file cannot be used.
    """
    restored_by = ""
    if model in registry.names():
        restored_by = registry.find(model, loaded.scale).restored_by
    if not restored_by:
        if setting is None or setting == 0:  # the plain network is all there is
            return None
        raise UsageError(
            f"--restore: {model} has no second network for compressed and noisy pictures.",
            f"Leave it out, or use -m {registry.DEFAULT_MODEL}.",
        )
    if loaded.scale not in registry.scales(restored_by):
        return _without(loaded, restored_by, setting)
    if setting == 0:  # nothing else has to be here for it
        return Restoration(loaded.checkpoint, None, 0.0, ASKED)
    other = load_network(restored_by, loaded.scale, find=find)
    return Restoration(loaded.checkpoint, other.checkpoint, "auto" if setting is None else setting)


def _without(loaded: LoadedNetwork, restored_by: str, setting: Setting | None) -> Restoration:
    """What is done at a scale that the restoring model does not have."""
    offered = ", ".join(f"x{scale}" for scale in registry.scales(restored_by)) or "none"
    if setting not in (None, "auto", 0):
        raise UsageError(
            f"--restore: {restored_by} has no scale x{loaded.scale}.", f"It has {offered}."
        )
    why_not = f"{restored_by} has no scale x{loaded.scale}"
    return Restoration(loaded.checkpoint, None, 0.0, why_not)


def make_upscaler(
    loaded: LoadedNetwork,
    restoration: Restoration | None,
    device: str = "auto",
    precision: str = "auto",
    max_memory: int | None = None,
    engine: str = "auto",
) -> Upscaler:
    """An upscaler for a network, in every strength if there is a restoration.

    Raises:
        UsageError: there is no such engine or device here, or it cannot use the precision.
    """
    options = device, precision, max_memory, engine_for(device, precision, engine)
    if restoration is None:
        return Upscaler(loaded.checkpoint, loaded.scale, *options)
    return RestoringUpscaler(restoration, loaded.scale, *options)


def weights_of(upscaler: Upscaler) -> tuple[Checkpoint, ...]:
    """The networks that an upscaler's pictures depend on."""
    if isinstance(upscaler, RestoringUpscaler) and upscaler.restoration.fixed is None:
        assert upscaler.restoration.restoring is not None
        return upscaler.restoration.plain, upscaler.restoration.restoring
    return (upscaler.weights,)


def restore_label(*upscalers: Upscaler) -> str:
    """How much upscalers that were asked for the same restore, for recipes.

    Returns:
        A number, "0" if they do not restore, or "auto" with the version of the thresholds that hold
        at their scales.
    """
    restoring = [each for each in upscalers if isinstance(each, RestoringUpscaler)]
    choosing = sorted(each.scale for each in restoring if each.restoration.fixed is None)
    if choosing:
        return f"auto {version(*choosing)}"
    fixed = restoring[0].restoration.fixed if restoring else None
    return f"{fixed.strength:g}" if fixed else "0"


def choice_for(
    upscaler: Upscaler,
    picture: Readable,
    stated: Compression | None = None,
    *,
    linear: bool = False,
) -> Choice | None:
    """What an upscaler chooses for a picture; None if there is nothing to choose from.

    Args:
        upscaler: what the picture will go through.
        picture: as it is stored.
        stated: what its file says about its compression.
        linear: whether its numbers count light. It is judged as the network will see it.
    """
    if not isinstance(upscaler, RestoringUpscaler):
        return None
    return upscaler.choose(FromLight(picture) if linear else picture, stated)


def at_choice(upscaler: Upscaler, choice: Choice | None) -> Upscaler:
    """The upscaler of a strength that was chosen."""
    if choice is not None and isinstance(upscaler, RestoringUpscaler):
        return upscaler.at(choice.strength)
    return upscaler

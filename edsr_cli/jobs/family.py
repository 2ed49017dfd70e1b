"""A model at all its scales, of which pictures to an exact size may need any."""

import threading

from msgspec.structs import replace

from edsr_cli.checkpoints import registry, store
from edsr_cli.checkpoints.convention import Stated
from edsr_cli.checkpoints.loader import LoadedNetwork, load_network
from edsr_cli.inference import Upscaler
from edsr_cli.inference.processors import use_threads
from edsr_cli.jobs.target import target_of
from edsr_cli.options.pictures import WAYS, Outputs
from edsr_cli.restoration.networks import (
    Find,
    Restoration,
    RestoringUpscaler,
    find_restoration,
    make_upscaler,
)


class Family:
    """A model's networks; each is read when it is first needed, and kept. Any thread may ask.

    One is read at once: that of the scale which the options ask for, if they do.

    Args:
        options: which model, and what it runs with.
        find: gives the file of a model that is not bundled; see `load_network`.

    Attributes:
        name: the model's name, for records.
        first: the scale of the network that was read first.
        scales: all that it has, ascending.

    Raises:
        WeightsError: the model is unknown, or its file cannot be used.
        UsageError: the model cannot restore, or not enlarge so much.
    """

    def __init__(self, options: Outputs, find: Find = store.resolve) -> None:
        use_threads(options.threads)
        self._options, self._find = options, find
        self._lock = threading.RLock()
        self._networks: dict[int, tuple[LoadedNetwork, Restoration | None]] = {}
        self._upscalers: dict[tuple[str, int, bool], Upscaler] = {}
        named = registry.scales(options.model)
        loaded = self._load(*_first(options, named))
        self.name, self.first = loaded.name, loaded.scale
        self.scales = named or tuple(sorted(loaded.config.scales))
        target_of(options, self.first).scales(self.scales)
        self._networks[self.first] = loaded, self._restoration(loaded)

    def network(self, scale: int) -> tuple[LoadedNetwork, Restoration | None]:
        """The network of a scale, and how it restores.

        Raises:
            WeightsError, UsageError: as for the class.
        """
        with self._lock:
            if scale not in self._networks:
                known = (loaded for loaded, _ in self._networks.values())
                shared = next((each for each in known if scale in each.config.scales), None)
                loaded = self._load(scale) if shared is None else replace(shared, scale=scale)
                self._networks[scale] = loaded, self._restoration(loaded)
            return self._networks[scale]

    def upscaler(
        self, scale: int, device: str, precision: str | None = None, *, plain: bool = False
    ) -> Upscaler:
        """What upscales by a scale on a device.

        Args:
            scale: one of `scales`.
            device: its name.
            precision: number format; None for that of the options.
            plain: whether to restore nothing, as behind a network that has done so.

        Raises:
            WeightsError, UsageError: as for the class, and see `Upscaler`.
        """
        with self._lock:
            key = (device, scale, plain)
            if key not in self._upscalers:
                if plain and not _restores(self.upscaler(scale, device, precision)):
                    return self.upscaler(scale, device, precision)
                loaded, restoration = self.network(scale)
                made = make_upscaler(
                    loaded,
                    None if plain else restoration,
                    device,
                    precision or self._options.precision,
                    self._options.max_memory,
                    self._options.engine,
                )
                self._upscalers[key] = self._upscalers[str(made.device), scale, plain] = made
            return self._upscalers[key]

    def _load(self, scale: int | None, any_scale: bool = False) -> LoadedNetwork:
        options = self._options
        stated = Stated(
            options.layout, options.value_range, options.mean_shift, options.residual_scale
        )
        return load_network(options.model, scale, stated, self._find, any_scale=any_scale)

    def _restoration(self, loaded: LoadedNetwork) -> Restoration | None:
        return find_restoration(loaded, self._options.model, self._options.restore, self._find)


def _first(options: Outputs, named: tuple[int, ...]) -> tuple[int | None, bool]:
    """The scale of the network to read first, and whether a file may have another.

    Args:
        options: what is asked for.
        named: the scales of a model that has a name.
    """
    nothing = all(getattr(options, way) is None for way in WAYS)
    if not named:
        return None if nothing else registry.DEFAULT_SCALE, not nothing
    target = target_of(options, registry.DEFAULT_SCALE)
    if nothing or target.factor is None or target.factor <= 1:
        usual = registry.DEFAULT_SCALE
        return usual if nothing or usual in named else named[-1], False
    return target.scales(named)[0], False


def _restores(upscaler: Upscaler) -> bool:
    """Whether an upscaler that is not told how much to restore does so."""
    fixed = upscaler.restoration.fixed if isinstance(upscaler, RestoringUpscaler) else None
    return fixed is not None and fixed.strength > 0

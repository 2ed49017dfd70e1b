"""How a network is trained: every choice that decides the result, and the paper's own choices.

The learning rate is a pure function of them and of how far the training is.
"""

import math
from typing import Any

from msgspec import Struct
from msgspec.structs import asdict, fields, force_setattr, replace

from edsr_cli.degradations import spec
from edsr_cli.degradations.patches import Degradation
from edsr_cli.degradations.reduction import UNKNOWN
from edsr_cli.errors import UsageError
from edsr_cli.model.config import NetworkConfig, edsr, edsr_baseline, mdsr, mdsr_baseline
from edsr_cli.options.choices import Autocast, Preset, Schedule


class Recipe(Struct, frozen=True):
    """A training recipe. The values given here are the paper's (sections 3.3 and 4.2).

    The loss is the mean absolute error (L1, section 4.2), and patches are flipped and turned by 90
    degrees at random. Each update of an MDSR network takes one of its scales at random.

    Attributes:
        batch_size: patches in an update.
        patch_size: height and width of a patch in LR pixels.
        updates: updates in all; the schedule spans them.
        max_seconds: wall time from before the first update on; None for no limit. The schedule is
            fitted to it.
        learning_rate: of Adam, before the first decay.
        betas, epsilon: of Adam.
        schedule: see `learning_rate`.
        decay_every: updates between two steps of the "step" schedule.
        decay_factor: what each step multiplies the learning rate by.
        warmup: updates over which the learning rate rises from nothing, in a straight line.
        ema: decay of the exponential moving average of the weights that is validated and saved in
            place of the last ones; 0 for none.
        clip_norm: the gradient's norm is cut down to this; 0 for no limit.
        autocast: see `Autocast`.
        channels_last: keep activations as (N, H, W, C) in memory.
        degradation: what LR patches suffer, as `edsr_cli.degradations.spec` writes it; or
            "unknown:" and the identity of what makes the LR pictures, as
            `edsr_cli.degradations.reduction` has it.
        seed: of the weights, the patches and their order.
        validate_every: updates between two measurements of PSNR.
    """

    batch_size: int = 16
    patch_size: int = 48
    updates: int = 300_000
    max_seconds: float | None = None
    learning_rate: float = 1e-4
    betas: tuple[float, float] = (0.9, 0.999)
    epsilon: float = 1e-8
    schedule: Schedule = Schedule.STEP
    decay_every: int = 200_000
    decay_factor: float = 0.5
    warmup: int = 0
    ema: float = 0.0
    clip_norm: float = 0.0
    autocast: Autocast = Autocast.FP32
    channels_last: bool = True
    degradation: str = "clean"
    seed: int = 0
    validate_every: int = 1_000

    def __post_init__(self) -> None:
        at_least_one = ("batch_size", "patch_size", "updates", "decay_every", "validate_every")
        for name in at_least_one:
            if getattr(self, name) < 1:
                raise UsageError(f"{_option(name)} must be at least 1.")
        for name in ("learning_rate", "decay_factor", "epsilon"):
            if not 0 < getattr(self, name) < float("inf"):
                raise UsageError(f"{_option(name)} must be more than 0.")
        for name in ("warmup", "clip_norm", "seed"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise UsageError(f"{_option(name)} must not be less than 0.")
        # Written out, so that a file's metadata stay true when a name comes to mean other steps.
        if not self._is_unknown:
            force_setattr(self, "degradation", str(spec.parse(self.degradation)))
        if not 0 <= self.ema < 1:
            raise UsageError("--ema must be at least 0 and less than 1.")
        if not all(0 <= beta < 1 for beta in self.betas):
            raise UsageError("Adam's betas must be at least 0 and less than 1.")
        if self.max_seconds is not None and not 0 < self.max_seconds < float("inf"):
            raise UsageError("--max-time must be more than 0.")

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values; `from_dict` is the inverse."""
        return asdict(self) | {
            "betas": list(self.betas),
            "schedule": self.schedule.value,
            "autocast": self.autocast.value,
        }

    @property
    def patch_degradation(self) -> Degradation | None:
        """What is done to LR patches; None for nothing."""
        wanted = spec.Spec() if self._is_unknown else spec.parse(self.degradation)
        return None if wanted.is_clean else Degradation(wanted)

    @property
    def _is_unknown(self) -> bool:
        """Whether LR pictures come from a kernel or from files, and patches are left alone."""
        return self.degradation.split(":")[0] == UNKNOWN

    @property
    def reach(self) -> int:
        """Height and width that a picture must have, in LR pixels, for a patch with its margin."""
        margin = spec.MARGIN if self.patch_degradation else 0
        return self.patch_size + 2 * margin

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Recipe":
        """Read what `to_dict` gave.

        Raises:
            KeyError, TypeError, ValueError: values are missing, too many or of a wrong kind.
            UsageError: a value is out of range.
        """
        return cls(
            **values
            | {
                "betas": tuple(values["betas"]),
                "schedule": Schedule(values["schedule"]),
                "autocast": Autocast(values["autocast"]),
            }
        )

    def differences(self, other: "Recipe") -> list[str]:
        """The names of the values in which two recipes differ."""
        mine, others = self.to_dict(), other.to_dict()
        return [field.name for field in fields(self) if mine[field.name] != others[field.name]]


def preset(name: Preset, scale: int | None) -> tuple[NetworkConfig, Recipe]:
    """A network of the paper and the recipe it was trained by.

    The paper trains every network in the same way (section 4.2); what differs is the network.

    Args:
        name: which one.
        scale: 2, 3 or 4 for the single-scale networks; None for MDSR, which has all three.

    Raises:
        UsageError: a scale is missing, or given where there is nothing to choose.
    """
    several = name in (Preset.MDSR_BASELINE, Preset.MDSR)
    if several and scale is not None:
        raise UsageError(f"{name} is trained for x2, x3 and x4 at once.", "Leave out --scale.")
    if not several and scale is None:
        raise UsageError(f"{name} is trained for one scale.", "Give --scale 2, 3 or 4.")
    if scale is None:
        config = mdsr() if name is Preset.MDSR else mdsr_baseline()
    else:
        config = edsr(scale) if name is Preset.EDSR else edsr_baseline(scale)
    return config, Recipe()


def with_options(recipe: Recipe, **options: Any) -> Recipe:
    """A recipe with those values replaced that are not None.

    Raises:
        UsageError: a value is out of range.
    """
    return replace(recipe, **{name: value for name, value in options.items() if value is not None})


def fraction_done(recipe: Recipe, update: int, seconds: float) -> float:
    """How much of the training lies behind an update, from 0 to 1.

    The limit that is nearer counts: updates or wall time.

    Args:
        recipe: the recipe, with its limits.
        update: updates that are done.
        seconds: wall time that has passed, earlier parts of a resumed run included.
    """
    done = update / recipe.updates
    if recipe.max_seconds is not None:
        done = max(done, seconds / recipe.max_seconds)
    return min(done, 1.0)


def learning_rate(recipe: Recipe, update: int, seconds: float = 0.0) -> float:
    """The learning rate of the update that comes after `update` others.

    "step" multiplies it by `decay_factor` every `decay_every` updates (paper, section 4.2: halved
    every 2 * 10^5); "cosine" lets it fall to 0 along half a wave (Loshchilov and Hutter 2017,
    without restarts). Where a limit of wall time ends the training before its updates are done,
    both are compressed so that all of the schedule is passed.

    Args:
        recipe: the recipe.
        update: updates that are done.
        seconds: wall time that has passed; matters only with a limit of wall time.
    """
    fraction = fraction_done(recipe, update, seconds)
    if recipe.schedule is Schedule.COSINE:
        factor = 0.5 * (1.0 + math.cos(math.pi * fraction))
    else:
        # Without compression this is `update` itself, which the division may have rounded.
        stretched = update if fraction == update / recipe.updates else fraction * recipe.updates
        factor = recipe.decay_factor ** (stretched // recipe.decay_every)
    if update < recipe.warmup:
        factor *= (update + 1) / recipe.warmup
    return recipe.learning_rate * factor


def _option(name: str) -> str:
    return "--" + name.replace("_", "-").replace("batch-size", "batch").replace(
        "patch-size", "patch"
    )

"""The learning rate, as a pure function of how far the training is."""

import math

from edsr_cli.options.choices import Schedule
from edsr_cli.training.recipe import Recipe


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

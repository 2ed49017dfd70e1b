"""Networks between two: their weights, interpolated tensor by tensor.

Networks that were trained on from one another stay close enough for that: every network on the line
between them works, and is of the same cost (Wang et al. 2018, arXiv 1809.00219, section 3.4).
"""

import numpy as np
from numpy.typing import NDArray

from edsr_cli.checkpoints.checkpoint import Checkpoint


def mixed(plain: Checkpoint, restoring: Checkpoint, strength: float) -> Checkpoint:
    """The network at a place between two.

    Args:
        plain, restoring: networks of the same hyper-parameters, the latter trained on from the
            former.
        strength: 0 for `plain`, 1 for `restoring`, in between a network of its own.

    Returns:
        A network without metadata; `plain` or `restoring` itself at the ends.

    Raises:
        ValueError: the networks differ in more than their weights, or the strength is not in 0..1.
    """
    if not 0 <= strength <= 1:
        raise ValueError(f"the strength must be from 0 to 1, not {strength}")
    if plain.config != restoring.config:
        raise ValueError(f"{plain.config} and {restoring.config} cannot be mixed")
    if strength in (0, 1):
        return restoring if strength else plain
    tensors = {
        key: _between(each, restoring.tensors[key], strength) for key, each in plain.tensors.items()
    }
    return Checkpoint(plain.config, tensors)


def _between(
    start: NDArray[np.float32], end: NDArray[np.float32], strength: float
) -> NDArray[np.float32]:
    """The interpolated weights, counted from the nearer end.

    Rounded as a fused multiply-add rounds, like `torch.lerp`: files that were made with its weights
    are told from others by a digest.
    """
    step = np.float32(strength)
    if step >= 0.5:
        start, end, step = end, start, np.float32(1) - step
    way = (end - start).astype(np.float64)
    return (start + way * float(step)).astype(np.float32)

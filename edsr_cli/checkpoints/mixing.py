"""Networks between two: their weights, interpolated tensor by tensor.

Networks that were trained on from one another stay close enough for that: every network on the line
between them works, and is of the same cost (Wang et al. 2018, arXiv 1809.00219, section 3.4).
"""

import torch

from edsr_cli.model.networks import EDSR, MDSR, build


def mixed(plain: EDSR | MDSR, restoring: EDSR | MDSR, strength: float) -> EDSR | MDSR:
    """The network at a place between two.

    Args:
        plain, restoring: networks of the same hyper-parameters, in fp32 on the CPU, the latter
            trained on from the former.
        strength: 0 for `plain`, 1 for `restoring`, in between a network of its own.

    Returns:
        In eval mode, without gradients; `plain` or `restoring` itself at the ends.

    Raises:
        ValueError: the networks differ in more than their weights, or the strength is not in 0..1.
    """
    if not 0 <= strength <= 1:
        raise ValueError(f"the strength must be from 0 to 1, not {strength}")
    if plain.config != restoring.config:
        raise ValueError(f"{plain.config} and {restoring.config} cannot be mixed")
    if strength in (0, 1):
        return restoring if strength else plain
    network = build(plain.config)
    others = restoring.state_dict()
    state = {
        key: torch.lerp(each, others[key], strength) for key, each in plain.state_dict().items()
    }
    network.load_state_dict(state)
    return network.eval().requires_grad_(False)

"""Starting weights: random ones, or those of another network as far as they fit."""

import torch

from edsr_cli.errors import UsageError
from edsr_cli.networks import EDSR, MDSR, NetworkConfig, build


def random_network(config: NetworkConfig, seed: int) -> EDSR | MDSR:
    """A network with random weights: torch's own initialisation, as in the authors' release."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build(config)


def start_from(network: EDSR | MDSR, source: EDSR | MDSR) -> set[str]:
    """Copy the weights of another network.

    The paper starts x3 and x4 from x2 (section 4.2). Everything is taken that has the same place
    and shape; what depends on the scale and has another shape keeps its random values. Between
    EDSR and MDSR, the upsampler and the last convolution are taken to the same scale's place.

    Args:
        network: gets the weights.
        source: has them, with its residual scale folded in.

    Returns:
        The keys of the state dict that got nothing.

    Raises:
        UsageError: the body is of another size.
    """
    by_key = isinstance(network, EDSR) and isinstance(source, EDSR)
    given, wanted = _names(source, by_key), _names(network, by_key)
    state = network.state_dict()
    missing = set()
    for shared, key in wanted.items():
        tensor = source.state_dict()[given[shared]] if shared in given else None
        if tensor is not None and tensor.shape == state[key].shape:
            state[key] = _unfolded(tensor, key, network.config)
        else:
            missing.add(key)
    if any(key.startswith("body.") for key in missing):
        raise UsageError(
            f"The network to start from has {source.config.blocks} blocks of "
            f"{source.config.features} features, not {network.config.blocks} of "
            f"{network.config.features}.",
            "Give another network with --init, or leave it out.",
        )
    network.load_state_dict(state)
    return missing


def _unfolded(tensor: torch.Tensor, key: str, config: NetworkConfig) -> torch.Tensor:
    """A residual block's second convolution without the residual scale that was folded into it."""
    parts = key.split(".")
    second = len(parts) >= 5 and parts[-3:-1] == ["body", "2"]
    return tensor / config.residual_scale if second else tensor


def _names(network: EDSR | MDSR, by_key: bool) -> dict[str, str]:
    """Keys of the state dict, by what two networks may share.

    Two EDSR networks share keys, whatever their scales: x4's first step of upsampling takes x2's
    only one, as in the authors' release. Otherwise a name stands for a part of a certain scale.
    """
    if by_key:
        return {key: key for key in network.state_dict()}
    names = {}
    for key in network.state_dict():
        top, *rest = key.split(".")
        if isinstance(network, EDSR) and top == "tail":
            # tail.0 is the upsampler, tail.1 the last convolution.
            is_upsampler = rest[0] == "0"
            shared = [f"upsampler x{network.config.scales[0]}" if is_upsampler else "last"]
            names[".".join(shared + rest[1:])] = key
        elif isinstance(network, MDSR) and top in ("upsample", "pre_process"):
            scale = network.config.scales[int(rest[0])]
            what = "upsampler" if top == "upsample" else top
            names[".".join([f"{what} x{scale}", *rest[1:]])] = key
        elif isinstance(network, MDSR) and top == "tail":
            names[".".join(["last", *rest[1:]])] = key
        else:
            names[key] = key
    return names

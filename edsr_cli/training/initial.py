"""Starting weights: random ones, or those of another network as far as they fit."""

import logging
import math

import torch

from edsr_cli.checkpoints import registry
from edsr_cli.checkpoints.loader import load_network
from edsr_cli.errors import UsageError
from edsr_cli.model.config import NetworkConfig
from edsr_cli.model.networks import EDSR, MDSR, build

logger = logging.getLogger(__name__)

_LEAST_IMBALANCE = 8.0
_SMALLEST = 1e-30  # keeps logarithms finite for weights that are all 0


def random_network(config: NetworkConfig, seed: int) -> EDSR | MDSR:
    """A network with random weights: torch's own initialisation, as in the authors' release."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build(config)


def initial_network(
    config: NetworkConfig, seed: int, init: str | None, init_scale: int | None
) -> tuple[EDSR | MDSR, str]:
    """The network to train, and what it starts from, in words.

    An MDSR takes a model's networks of all scales, x2 last, so that what they share is that of x2.
    Of a file, the network is the one that it has.

    Args:
        config: the network.
        seed: of its random weights.
        init: the model or file to start from; None for random weights.
        init_scale: which network of a model; None for that of the network's own scale.

    Raises:
        WeightsError: there is no such model, or its file cannot be used.
        UsageError: its body is of another size.
    """
    network = random_network(config, seed)
    if init is None:
        if config.architecture == "edsr" and config.scales != (2,):
            logger.info("The paper starts x3 and x4 from x2, which --init does.")
        return network, "random weights"
    named = init in registry.names() and init_scale is None
    scales = sorted(config.scales, reverse=True) if named else [init_scale]
    sources = [load_network(init, each) for each in scales]
    fresh = set(network.state_dict())
    for source in sources:
        fresh &= start_from(network, source.network)
    if fresh:
        modules = sorted({key.split(".")[0] for key in fresh})
        logger.info("With new weights in: %s.", ", ".join(modules))
    names = ", ".join(f"x{source.scale}" for source in reversed(sources))
    return network, f"{sources[0].name} {names}"


def start_from(network: EDSR | MDSR, source: EDSR | MDSR) -> set[str]:
    """Copy the weights of another network.

    The paper starts x3 and x4 from x2 (section 4.2). Everything is taken that has the same place
    and shape, with its range made even (see `balanced`); what depends on the scale and has another
    shape keeps its random values. Between EDSR and MDSR, the upsampler and the last convolution are
    taken to the same scale's place. Pre-processing blocks that the source has not start as the
    identity, so that an MDSR begins with the output of the EDSR it comes from.

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
    state, source_state = network.state_dict(), balanced(source)
    missing = set()
    for shared, key in wanted.items():
        tensor = source_state[given[shared]] if shared in given else None
        if tensor is not None and tensor.shape == state[key].shape:
            state[key] = _unfolded(tensor, key, network.config)
        else:
            missing.add(key)
            if _ends_branch(key):
                state[key] = torch.zeros_like(state[key])
    if any(key.startswith("body.") for key in missing):
        raise UsageError(
            f"The network to start from has {source.config.blocks} blocks of "
            f"{source.config.features} features, not {network.config.blocks} of "
            f"{network.config.features}.",
            "Give another network with --init, or leave it out.",
        )
    network.load_state_dict(state)
    return missing


def _ends_branch(key: str) -> bool:
    """Whether a tensor is of the last convolution of one of MDSR's pre-processing blocks.

    Without it a block hands on its input. It is the first to learn then: its gradient is not 0.
    """
    return key.startswith("pre_process.") and ".body.2." in key


def balanced(network: EDSR | MDSR) -> dict[str, torch.Tensor]:
    """A network's weights, with features in the range that a random network's have.

    Networks that were trained on 0..1 have their range folded into the first and the last
    convolution: weights 255 times too small in the one, and too large in the other. To Adam, whose
    step is as large for every weight, the small ones are nothing: the first updates would undo
    what the network has learnt. Between these two all is linear or ReLU, so the features can be
    multiplied by any factor that the last convolution takes out again, with the same output. The
    factor is a power of two, which leaves the mantissas alone; weights that need less than 8 are
    left as their training left them.

    Returns:
        A state dict that gives the output of the network's own.
    """
    state = network.state_dict()
    last = f"{network.config.last_convolution}.weight"
    ratio = _relative_size(state[last]) / _relative_size(state["head.0.weight"])
    factor = 2.0 ** round(math.log2(ratio) / 2)
    if max(factor, 1 / factor) < _LEAST_IMBALANCE:
        return state
    for key, tensor in state.items():
        if key == last:
            state[key] = tensor / factor
        elif key == "head.0.weight" or (key.endswith(".bias") and _inside(key, last)):
            state[key] = tensor * factor
    return state


def _inside(key: str, last: str) -> bool:
    """Whether a bias adds to features, not to colours."""
    return not key.startswith(("sub_mean.", "add_mean.")) and key != last.replace("weight", "bias")


def _relative_size(weight: torch.Tensor) -> float:
    """The root mean square of a convolution's weights, in relation to torch's random ones."""
    random = 1 / math.sqrt(3 * weight[0].numel())  # uniform within +-1 / sqrt(inputs)
    return max(float(weight.square().mean().sqrt()), _SMALLEST) / random


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

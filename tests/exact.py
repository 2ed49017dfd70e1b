"""Networks whose arithmetic has no rounding, so that equality can be asked for bit by bit.

All weights are small integers (times powers of two) and everything is float64: sums come out the
same in whatever order they are added, which for ordinary weights depends on the shape of the
tensors. A pixel that is off is then an error in what was computed, never in how it was rounded.
"""

import torch

from edsr_cli.checkpoints.checkpoint import Checkpoint
from edsr_cli.inference.engines.torch.assembly import collapse_tail, stream, stream_ensemble
from edsr_cli.inference.engines.torch.node import Node
from edsr_cli.inference.engines.views import View
from edsr_cli.model.config import NetworkConfig
from edsr_cli.model.networks import EDSR, MDSR, build, tensors_of

ARCHITECTURES = [
    *(NetworkConfig("edsr", (scale,), 2, 6, 0.5) for scale in (2, 3, 4)),
    NetworkConfig("mdsr", (2, 3, 4), 2, 6),
]
CASES = [(config, scale) for config in ARCHITECTURES for scale in config.scales]


def exact_network(config: NetworkConfig, seed: int = 0) -> EDSR | MDSR:
    generator = torch.Generator().manual_seed(seed)

    def integers(shape: torch.Size, low: int, high: int, density: float) -> torch.Tensor:
        values = torch.randint(low, high + 1, shape, generator=generator).double()
        return values * (torch.rand(shape, generator=generator) < density)

    network = build(config).double().eval().requires_grad_(False)
    for name, parameter in network.named_parameters():
        if name.startswith(("sub_mean", "add_mean")):
            continue
        if name.endswith("weight"):
            parameter.copy_(integers(parameter.shape, -2, 2, 0.2))
        else:
            parameter.copy_(integers(parameter.shape, -9, 9, 1.0))
    network.sub_mean.bias.copy_(torch.tensor([-114.0, -111.0, -103.0]))
    network.add_mean.bias.copy_(torch.tensor([114.0, 111.0, 103.0]))
    # Outputs of about the range of pixels, for tests that look at those.
    probe = plain(network, exact_picture(16, 16), config.scales[0]) - 110
    network.tail[-1].weight.mul_(2.0 ** -round(float(torch.log2(probe.std() / 40))))
    network.tail[-1].bias.zero_()
    return network


def weights_of(network: EDSR | MDSR) -> Checkpoint:
    """A network as an upscaler takes it, in the network's own number format."""
    return Checkpoint(network.config, tensors_of(network))


def exact_picture(height: int, width: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (1, 3, height, width), generator=generator).double()


def plain(network: EDSR | MDSR, x: torch.Tensor, scale: int) -> torch.Tensor:
    with torch.inference_mode():
        return network(x, scale) if isinstance(network, MDSR) else network(x)


def plain_turned(network: EDSR | MDSR, view: View, x: torch.Tensor, scale: int) -> torch.Tensor:
    """What the plain network makes of a turned picture, turned back."""
    made = plain(network, torch.from_numpy(view.apply(x.numpy()).copy()), scale)
    return torch.from_numpy(view.undo(made.numpy()).copy())


def streamed(network: EDSR | MDSR, scale: int, ensemble: bool = False) -> Node:
    if ensemble:
        return stream_ensemble(network, scale)
    return stream(network, scale, collapsed=collapse_tail(network, scale))


def run(node: Node, x: torch.Tensor, strip_rows: int) -> torch.Tensor:
    """Feed a picture in strips and put together what comes out."""
    node.reset()
    outputs = []
    with torch.inference_mode():
        for top in range(0, x.shape[2], strip_rows):
            strip = x[:, :, top : top + strip_rows]
            outputs.append(node.push(strip, last=top + strip_rows >= x.shape[2]))
    node.reset()
    return torch.cat(outputs, dim=2)

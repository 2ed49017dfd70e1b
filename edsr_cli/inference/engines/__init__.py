"""The engines that there are; `edsr_cli.inference.engine` says what they do."""

from edsr_cli.inference.engine import Engine
from edsr_cli.inference.engines.torch.engine import TorchEngine


def engine_for(device: str) -> Engine:
    """The engine for a device that a user names; no engine is loaded by this.

    Another one comes in here: it says for which devices it is the better choice.

    Args:
        device: as for `Engine.device`.
    """
    return TorchEngine()

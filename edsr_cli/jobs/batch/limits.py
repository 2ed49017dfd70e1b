"""How much is done at the same time."""

from collections.abc import Sequence
from dataclasses import dataclass

from edsr_cli.inference import Upscaler, memory, processors

# Decoded pictures that wait for one device. A CPU takes far longer to upscale a picture than to
# decode one, so a few are enough; on a GPU it can be the other way round for a while.
_DECODED_BYTES = {"cpu": 8 << 20, "mps": 128 << 20, "cuda": 256 << 20}


@dataclass(frozen=True)
class Limits:
    """How much is done at the same time.

    Attributes:
        workers: threads that decode, and as many that encode.
        decoded_bytes: what decoded pictures may take that wait for a device.
        upscaled_bytes: what upscaled pictures may take that wait for an encoder or are encoded.
        batch: pictures of one size that are upscaled at once; None to leave it to the device.
    """

    workers: int
    decoded_bytes: int
    upscaled_bytes: int
    batch: int | None = None


def choose_limits(
    upscalers: Sequence[Upscaler],
    workers: int | None = None,
    queue_bytes: int | None = None,
    batch: int | None = None,
) -> Limits:
    """Limits for a machine.

    Args:
        upscalers: one for each device.
        workers: threads that decode, and as many that encode; None to go by the cores: all of
            them beside a GPU, a quarter where they do the upscaling, too.
        queue_bytes: memory for pictures between the stages; None for an amount that suits the
            devices, and at most a quarter of what is free.
        batch: pictures of one size that are upscaled at once; None to leave it to the device.
    """
    types = [upscaler.device.type for upscaler in upscalers]
    if workers is None:
        cores = processors.available()
        workers = max(2, cores // 4) if all(kind == "cpu" for kind in types) else max(2, cores)
    # The same number of pictures is to fit on either side of the device.
    growth = upscalers[0].scale ** 2
    if queue_bytes is None:
        wanted = sum(_DECODED_BYTES[kind] for kind in types) * (1 + growth)
        queue_bytes = min(wanted, memory.budget() // 2)
    decoded = queue_bytes // (1 + growth)
    return Limits(workers, decoded, queue_bytes - decoded, batch)

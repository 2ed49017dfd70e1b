"""A model becomes an upscaler: weights, restoring network, device and number format."""

from collections.abc import Sequence
from contextlib import suppress

from edsr_cli.api.fetching import finder
from edsr_cli.checkpoints import loader
from edsr_cli.checkpoints.convention import Stated
from edsr_cli.checkpoints.loader import LoadedNetwork
from edsr_cli.errors import UsageError
from edsr_cli.inference import Upscaler
from edsr_cli.inference.engines import engine_for
from edsr_cli.inference.processors import use_threads
from edsr_cli.jobs.spec import WorkerSpec
from edsr_cli.options.network import Network
from edsr_cli.options.pictures import Outputs
from edsr_cli.progress import Progress
from edsr_cli.restoration.networks import find_restoration, make_upscaler


def warm_up(options: Network) -> None:
    """Import what an engine computes with: it takes a while, and must not be interrupted."""
    with suppress(UsageError):  # which comes again
        engine_for(options.device, options.precision, options.engine).warm_up()


def worker_spec(options: Outputs, devices: Sequence[str]) -> WorkerSpec:
    """What workers for files are made from."""
    return WorkerSpec(options=options.part(Outputs, progress=None), devices=tuple(devices))


def open_upscaler(
    options: Network, scale: int | None, progress: Progress
) -> tuple[LoadedNetwork, Upscaler]:
    """A model on its device.

    Args:
        options: which model, and what it runs on.
        scale: the upscaling factor; None for the model's own, or 4.
        progress: told of a download.

    Returns:
        The network, which knows its name, and what upscales with it.

    Raises:
        WeightsError: the model is unknown, has no such scale, or its file cannot be used.
        UsageError: the options make no sense for this model or machine.
    """
    network = open_network(options, scale, progress)
    return network, put_on_device(options, network, options.device, progress)


def open_network(options: Network, scale: int | None, progress: Progress) -> LoadedNetwork:
    """A model's network, on no device yet. See `open_upscaler`."""
    use_threads(options.threads)
    stated = Stated(options.layout, options.value_range, options.mean_shift, options.residual_scale)
    return loader.load_network(options.model, scale, stated, finder(options.download, progress))


def put_on_device(
    options: Network,
    network: LoadedNetwork,
    device: str,
    progress: Progress,
    *,
    plain: bool = False,
) -> Upscaler:
    """An upscaler for a network, in every strength of restoring that may be chosen.

    Args:
        options, network, device, progress: see `open_upscaler`.
        plain: whether restoring is not even thought of.
    """
    restoration = None
    if not plain:
        find = finder(options.download, progress)
        restoration = find_restoration(network, options.model, options.restore, find)
    return make_upscaler(
        network, restoration, device, options.precision, options.max_memory, options.engine
    )

"""What a worker is made from."""

from msgspec import Struct

from edsr_cli.checkpoints import store
from edsr_cli.errors import UsageError
from edsr_cli.jobs.family import Family
from edsr_cli.jobs.worker import Worker
from edsr_cli.options.pictures import Outputs
from edsr_cli.restoration.networks import Find

_DEFAULTS = Outputs()


class WorkerSpec(Struct, frozen=True, kw_only=True):
    """What a worker is made from, wherever it is to work: values only, so it can be pickled.

    Tasks and records can be, too. So another process, or another machine that sees the same files,
    opens a worker of its own, with a ledger of its own, and gives a record for each task.

    Attributes:
        options: which network, what it runs with, and what holds for every picture.
        devices: names of devices; there is an upscaler for each.
    """

    options: Outputs = _DEFAULTS
    devices: tuple[str, ...] = ("auto",)

    def load(self, find: Find = store.resolve) -> Family:
        """The model, on the CPU; see `Family`."""
        return Family(self.options, find)

    def open(self, family: Family | None = None) -> Worker:
        """A worker with upscalers on its devices, and with no ledger.

        Args:
            family: what `load` has given; None to load it.

        Raises:
            WeightsError, UsageError: see `load`.
            UsageError: there is no such device, it cannot use the precision, or several devices
                would use different number formats.
        """
        family = family or self.load()
        upscalers = [family.upscaler(family.first, name) for name in self.devices]
        if len({upscaler.precision for upscaler in upscalers}) > 1:
            raise UsageError(
                "The devices would use different number formats, and so give different pictures.",
                "Choose one with --precision.",
            )
        return Worker(model=family.name, upscalers=upscalers, options=self.options, family=family)

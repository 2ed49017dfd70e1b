"""`edsr devices`."""

from edsr_cli.cli.options import command
from edsr_cli.cli.terminal import Terminal
from edsr_cli.options import values
from edsr_cli.options.definition import Options, group, option
from edsr_cli.text import one_line


@group
class DevicesOptions(Options):
    """What `edsr devices` takes."""

    json: bool = option(
        values.FLAG, "--json", "", "Print one JSON object per device.", default=False
    )


@command(DevicesOptions)
def devices(options: DevicesOptions) -> None:
    """List the devices that networks can run on, the one that is taken by itself first.

    Examples:
      edsr devices
          the table
      edsr upscale photo.jpg -d cuda:1
          uses one of them
      edsr batch photos/ -d all
          uses all, but the CPU only if it is the only one
    """
    from edsr_cli.api.devices import devices as found_devices

    found = found_devices()
    if options.json:
        for device in found:
            Terminal().json(device.to_dict())
        return
    from rich.table import Table

    table = Table(box=None)
    for heading in ("device", "what it is", "computes with", "free memory", ""):
        table.add_column(heading)
    for device in found:
        free = "" if device.free_bytes is None else f"{device.free_bytes / 1e9:.1f} GB"
        table.add_row(
            device.name, one_line(device.what), device.engine, free, one_line(device.trouble)
        )
    Terminal().table(table)

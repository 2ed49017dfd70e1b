"""The devices that networks can run on."""

from edsr_cli.inference.engines import listing


def devices() -> list[listing.Found]:
    """The devices that networks can run on, as `edsr devices` lists them.

    Returns:
        For each its `name`, for `device=` of the other functions; `what` it is; the `engine` that
        computes on it; `free_bytes` of memory, None where nobody can tell; and `trouble`, why it
        cannot be used, empty if it can. The first is what "auto" takes, unless it has trouble.

    Example:
        names = [device.name for device in edsr_cli.devices() if not device.trouble]
    """
    return listing.devices()

"""What a written picture says about how it was made."""

from edsr_cli import __version__
from edsr_cli.text import one_line

_LONGEST_NAME = 200


def provenance(model: str, scale: int, restore: float | None = None) -> str:
    """The record that every output carries: program, version, model, scale, restore strength.

    It is the same for the same work: no time, no machine, no folder.

    Args:
        model: the model's name.
        scale: the upscaling factor.
        restore: strength of the restoration, 0 to 1; None where there is none.
    """
    name = one_line(model)[:_LONGEST_NAME].encode("ascii", "replace").decode()
    strength = "" if restore is None else f" (restore {restore:.4g})"
    return f"edsr {__version__}, model {name} x{scale}{strength}"

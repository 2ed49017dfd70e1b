"""What output formats can be asked for."""

from edsr_cli.errors import UsageError
from edsr_cli.images import FORMATS, OutputFormat, alpha, sequences
from edsr_cli.options.choices import Depth
from edsr_cli.options.pictures import Outputs

_OF_FORMATS = ("compression", "quality", "chroma", "tiff")


def check_format(options: Outputs, output_format: OutputFormat, *, same: bool = False) -> None:
    """Refuse what a format cannot do.

    Args:
        options: what is asked for.
        output_format: the format.
        same: whether the format is that of an input, so that what others take may be said.

    Raises:
        UsageError: it cannot.
    """
    if same:
        return
    name = output_format.name
    for option in _OF_FORMATS:
        if getattr(options, option) is not None and option not in output_format.takes:
            able = [each.name for each in FORMATS if option in each.takes]
            named = " and ".join([", ".join(able[:-1]), able[-1]] if able[1:] else able)
            raise UsageError(f"--{option} is for {named}.", f"Leave it out for {name}.")
    if options.lossless and output_format.lossy:
        able = [each.name for each in FORMATS if not each.lossy]
        raise UsageError(
            f"--lossless: {name} is written with loss: {output_format.lossy}.",
            f"Choose one of {', '.join(able)}.",
        )
    if options.depth is not Depth.AUTO and int(options.depth) > output_format.depths[-1]:
        able = [each.name for each in FORMATS if int(options.depth) <= each.depths[-1]]
        raise UsageError(
            f"{name} cannot hold the {options.depth} bits a channel that --depth asks for.",
            f"Write {' or '.join(able)}, or leave it out.",
        )
    alpha.check_format(options.alpha, output_format)
    if options.frames is not None:
        sequences.check_several(output_format)

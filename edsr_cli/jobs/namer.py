"""What the user's names for outputs, with fields in braces, become for each picture."""

import re
from dataclasses import dataclass
from pathlib import Path

from edsr_cli.errors import PictureError
from edsr_cli.images import FORMATS, OutputFormat, format_for, probe
from edsr_cli.jobs.target import Target
from edsr_cli.options.template import fields_of

SAME = "same"
"""The name of a format that stands for that of each input."""

_UNSAFE = re.compile(r"[^\w.+-]+")  # in the name of a model, which files state by themselves
_ANY_SIZE = 2**62  # names need no limit: the header alone is read


@dataclass(frozen=True)
class Namer:
    """How outputs are called.

    Attributes:
        target: the size that they are to have.
        template: a name with fields, see `read_template`; None for {stem}_x{scale}{ext}, or for
            {stem}_{width}x{height}{ext} where the size is not said as a factor.
        model: the model's name.
    """

    target: Target
    template: str | None = None
    model: str = ""

    def name(self, stem: str, source: Path | None, ext: str) -> str:
        """The name of an output.

        The header of the picture is read where the name depends on its size. If it cannot be, or
        there is none to read yet, the size that was asked for stands there.

        Args:
            stem: of the input's name, or more of it.
            source: the input; None for standard input.
            ext: the ending of the output, with its dot.
        """
        template = self.template
        if template is None:
            by_factor = self.target.factor is not None
            template = "{stem}_x{scale}{ext}" if by_factor else "{stem}_{width}x{height}{ext}"
        fields = fields_of(template)
        values = {"stem": stem, "ext": ext, "model": _UNSAFE.sub("_", self.model)}
        if self.target.factor is not None:
            values["scale"] = f"{float(self.target.factor):g}"
        if fields <= values.keys():
            return template.format(**values)
        try:
            info = None if source is None else probe(source, _ANY_SIZE)
        except PictureError:
            info = None
        if info is None:
            return f"{stem}_{self.target.label}{ext}"
        width, height = self.target.size(info.width, info.height)
        ratio = max(width / info.width, height / info.height)
        sizes = {"width": str(width), "height": str(height), "scale": f"{ratio:.3g}"}
        return template.format(**sizes | values)


def same_format(source: Path | None) -> OutputFormat:
    """The format of an input, going by the ending of its name; PNG where none is written so."""
    suffix = source.suffix.lower() if source is not None else ""
    return next((each for each in FORMATS if suffix in each.suffixes), format_for(None, "png"))


def ending(source: Path | None, output_format: OutputFormat) -> str:
    """The ending of an output of the same format as its input, which keeps the input's own."""
    if source is not None and source.suffix.lower() in output_format.suffixes:
        return source.suffix
    return output_format.suffixes[0]

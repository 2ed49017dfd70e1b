"""How outputs are called, and which file each upscaled picture is written to.

Names that the user makes up have fields in braces, which become something for each picture.
"""

import os
import re
import sys
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import asdict, replace

from edsr_cli.errors import PictureError, UsageError
from edsr_cli.images import FORMATS, OutputFormat, format_for, probe
from edsr_cli.jobs.target import Target
from edsr_cli.jobs.task import STREAM, Task
from edsr_cli.options.reading import fields_of
from edsr_cli.text import one_line

SAME = "same"
"""The name of a format that stands for that of each input."""

_UNSAFE = re.compile(r"[^\w.+-]+")  # in the name of a model, which files state by themselves
_ANY_SIZE = 2**62  # names need no limit: the header alone is read


class Namer(Struct, frozen=True):
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

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values, of which `from_dict` makes it again."""
        factor = self.target.factor
        target = asdict(self.target) | {"factor": None if factor is None else str(factor)}
        return {"target": target, "template": self.template, "model": self.model}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Namer":
        """What `to_dict` gave."""
        target = dict(values["target"])
        factor = target["factor"]
        target["factor"] = None if factor is None else Fraction(factor)
        target["box"] = tuple(target["box"])
        return cls(Target(**target), values["template"], values["model"])


def is_same(format_name: str | None) -> bool:
    """Whether each output is to have the format of its input."""
    return format_name is not None and format_name.lower() == SAME


def same_format(source: Path | None) -> OutputFormat:
    """The format of an input, going by the ending of its name; PNG where none is written so."""
    suffix = source.suffix.lower() if source is not None else ""
    return next((each for each in FORMATS if suffix in each.suffixes), format_for(None, "png"))


def ending(source: Path | None, output_format: OutputFormat) -> str:
    """The ending of an output of the same format as its input, which keeps the input's own."""
    if source is not None and source.suffix.lower() in output_format.suffixes:
        return source.suffix
    return output_format.suffixes[0]


def assign_outputs(
    inputs: Sequence[str],
    output: str | None,
    namer: Namer,
    format_name: str | None,
    bind: Callable[[Task], Task] = lambda task: task,
) -> list[Task]:
    """Give every input its output; nothing is written, and read where names tell sizes.

    Args:
        inputs: paths, or "-" for standard input.
        output: a file, a folder, "-" for standard output, or None: beside each input, and to
            standard output for standard input. A path is a folder if it is one, ends in a
            separator or has no suffix, or if there are several inputs.
        namer: makes up names. Where that would be one name for several pictures (a.png and a.jpg),
            they keep their endings, as in `edsr batch`: `a.png_x4.png`, `a.jpg_x4.png`.
        format_name: output format; None to go by the output's suffix, or PNG; "same" for that of
            each input.
        bind: gives a task the objects of stores that its files stand for.

    Raises:
        UsageError: two inputs would write one output, an output would replace an input, the
            output cannot take several pictures, the format is unknown, or a name is asked for
            where none is made up.
    """
    same = is_same(format_name)
    if same and STREAM in inputs:
        raise UsageError(
            "--format same goes by the name of the input, and standard input has none.",
            "Name the format.",
        )

    default = "png" if format_name is None else format_name

    def chosen(source: Path | None) -> OutputFormat:
        return same_format(source) if same else format_for(None, default)

    if output == STREAM or (output is None and STREAM in inputs):
        if len(inputs) > 1:
            raise UsageError(
                f"Standard output can take one picture, not {len(inputs)}.",
                "Give a folder with -o.",
            )
        source = None if inputs[0] == STREAM else Path(inputs[0])
        return [bind(Task(source, None, chosen(source)))]
    folder = None if output is None or not _is_folder(output, inputs) else Path(output)
    tasks = []
    for name in inputs:
        source = None if name == STREAM else Path(name)
        if output is not None and folder is None:
            destination = Path(output)
            form = chosen(source).name if same else format_name
            tasks.append(Task(source, destination, format_for(destination, form)))
            continue
        parent = folder if folder is not None else (source or Path()).parent
        stem = "stdin" if source is None else source.stem
        task = Task(source, parent, chosen(source))
        tasks.append(_named(task, stem, namer, same=same))
    if output is None or folder is not None:
        tasks = _apart(tasks, namer, same=same)
    elif namer.template is not None:
        raise UsageError("--name is for outputs that -o does not name.", "Give a folder with -o.")
    tasks = [bind(task) for task in tasks]
    _refuse_conflicts(tasks)
    return tasks


def _named(task: Task, stem: str, namer: Namer, *, same: bool) -> Task:
    """A task whose destination, a folder, becomes a file in it."""
    assert task.destination is not None
    form = task.output_format
    suffix = ending(task.source, form) if same else form.suffixes[0]
    return replace(task, destination=task.destination / namer.name(stem, task.source, suffix))


def _apart(tasks: list[Task], namer: Namer, *, same: bool) -> list[Task]:
    """Give pictures that would have one output, and differ in their ending, outputs that do too."""
    sharing: dict[str, list[Task]] = {}
    for task in tasks:
        assert task.destination is not None
        sharing.setdefault(identity(task.destination), []).append(task)
    result = []
    for task in tasks:
        assert task.destination is not None
        others = sharing[identity(task.destination)]
        names = {other.source.name for other in others if other.source is not None}
        if len(names) > 1 and task.source is not None:
            folder = replace(task, destination=task.destination.parent)
            task = _named(folder, task.source.name, namer, same=same)
        result.append(task)
    return result


def _is_folder(output: str, inputs: Sequence[str]) -> bool:
    separators = tuple(filter(None, (os.sep, os.altsep)))
    path, shown = Path(output), one_line(output)
    exists = os.path.lexists(path)
    if os.path.isdir(path) or output.endswith(separators):
        return True
    if len(inputs) > 1 and path.suffix and not exists:
        # A forgotten input is likelier than a folder called "out.png".
        raise UsageError(
            f"{len(inputs)} pictures cannot be written to one file, {shown}.",
            f"For a folder of that name, write {shown}{os.sep}",
        )
    if len(inputs) > 1 and exists:
        raise UsageError(f"{shown} is a file; {len(inputs)} pictures need a folder.")
    return not path.suffix and not exists


def _refuse_conflicts(tasks: list[Task]) -> None:
    sources = {identity(task.source) for task in tasks if task.source is not None}
    writers: dict[str, Task] = {}
    for task in tasks:
        assert task.destination is not None
        written = identity(task.destination)
        if written in sources:
            raise UsageError(
                f"{one_line(task.destination_name)} is an input and would be replaced by an "
                "output.",
                "Give another output with -o.",
            )
        if written in writers:
            inputs = " and ".join(one_line(each.source_name) for each in (writers[written], task))
            raise UsageError(
                f"{inputs} would both be written to {one_line(task.destination_name)}.",
                "Upscale them in two runs with different -o folders, or rename one.",
            )
        writers[written] = task


def identity(path: Path) -> str:
    """A text that is equal for paths that name one file, also where file systems ignore case."""
    name = os.path.normcase(os.path.realpath(path))
    if sys.platform == "darwin":
        name = unicodedata.normalize("NFD", name).casefold()
    return name

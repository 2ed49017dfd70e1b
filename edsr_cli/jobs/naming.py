"""Which file each upscaled picture is written to."""

import os
import sys
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from edsr_cli.errors import UsageError
from edsr_cli.images import OutputFormat, format_for
from edsr_cli.jobs.namer import SAME, Namer, ending, same_format
from edsr_cli.jobs.task import STREAM, Task


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
    same = format_name is not None and format_name.lower() == SAME
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
    path = Path(output)
    exists = os.path.lexists(path)
    if (exists and path.is_dir()) or output.endswith(separators):
        return True
    if len(inputs) > 1 and path.suffix and not exists:
        # A forgotten input is likelier than a folder called "out.png".
        raise UsageError(
            f"{len(inputs)} pictures cannot be written to one file, {output}.",
            f"For a folder of that name, write {output}{os.sep}",
        )
    if len(inputs) > 1 and exists:
        raise UsageError(f"{output} is a file; {len(inputs)} pictures need a folder.")
    return not path.suffix and not exists


def _refuse_conflicts(tasks: list[Task]) -> None:
    sources = {identity(task.source) for task in tasks if task.source is not None}
    writers: dict[str, Task] = {}
    for task in tasks:
        assert task.destination is not None
        written = identity(task.destination)
        if written in sources:
            raise UsageError(
                f"{task.destination_name} is an input and would be replaced by an output.",
                "Give another output with -o.",
            )
        if written in writers:
            first = writers[written]
            raise UsageError(
                f"{first.source_name} and {task.source_name} would both be written to "
                f"{task.destination_name}.",
                "Upscale them in two runs with different -o folders, or rename one.",
            )
        writers[written] = task


def identity(path: Path) -> str:
    """A text that is equal for paths that name one file, also where file systems ignore case."""
    name = os.path.normcase(os.path.realpath(path))
    if sys.platform == "darwin":
        name = unicodedata.normalize("NFD", name).casefold()
    return name

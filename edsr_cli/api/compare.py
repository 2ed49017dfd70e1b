"""Compare versions of pictures by eye: models, strengths of restoring, interpolation, files."""

import logging
import shlex
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from msgspec import Struct

from edsr_cli.api.versions import Subject, load_choices
from edsr_cli.checkpoints import registry
from edsr_cli.errors import UsageError
from edsr_cli.files.names import display_name
from edsr_cli.images import DEFAULT_MAX_PIXELS
from edsr_cli.inference.processors import use_threads
from edsr_cli.jobs.inputs import sort_inputs
from edsr_cli.jobs.task import STREAM
from edsr_cli.options.comparing import CompareOptions
from edsr_cli.options.definition import takes
from edsr_cli.progress import Progress, calling
from edsr_cli.report.comparison import Comparison
from edsr_cli.report.comparison_page import ComparisonPage
from edsr_cli.report.pictures import DEFAULT_MAX_EMBED
from edsr_cli.report.places import COMPARISON, SHEET
from edsr_cli.report.sheet import write_sheet
from edsr_cli.text import size

logger = logging.getLogger(__name__)

NO_MODEL = "none"
"""What -m takes for no network at all."""

INTERPOLATIONS = ("bicubic", "nearest")
"""What --with takes besides files."""


@takes(CompareOptions)
def compare(options: CompareOptions) -> list[Comparison]:
    """Compare versions of pictures by eye, as `edsr compare` does.

    Each input is enlarged by every model, in every strength of restoring, and by interpolation;
    finished pictures of the same size go beside them. The page works from any folder, without a
    network.

    Returns:
        For each input, or each part of it that was asked for, what is on the page: `name`, `size`
        and `versions`, each with its `label`, `pixels`, how it was `made`, and `scores` if there is
        a reference. `to_dict()` is what `edsr compare --json` prints.

    Raises:
        UsageError: the request makes no sense, a picture is not of the size of the others, or an
            output would replace somebody else's file.
        PictureError: a picture cannot be read, or an output not be written.
        WeightsError: a model is unknown or its file cannot be used.
        TypeError, ValueError: an option is not what it should be; the message names it.

    Example:
        [seen] = edsr_cli.compare("photo.jpg", "page.html", model=["edsr-free", "edsr-photo"])
        print([version.label for version in seen.versions])
    """
    made = []
    for comparison in comparing(options, calling(options.progress)):
        if options.each is not None:
            options.each(comparison)
        made.append(comparison)
    return made


def outputs(options: CompareOptions) -> tuple[Path | None, Path | None]:
    """The page and the sheet that are to be written; None for none."""
    sheet = None if options.sheet is None else Path(options.sheet)
    if options.output is not None:
        return Path(options.output), sheet
    if sheet is not None:
        return None, sheet
    first = Path(options.inputs[0])
    return first.with_name(f"{first.stem}_compare.html"), None


def comparing(options: CompareOptions, progress: Progress) -> Iterator[Comparison]:
    """Compare one picture after the other. When the last is given, all is written.

    Raises:
        As `compare`.
    """
    plan = _plan(options)
    page_path, sheet_path = outputs(options)
    for written in (page_path, sheet_path):
        _refuse_inputs(written, [*options.inputs, *plan.files, *options.reference])
    if page_path is not None:
        COMPARISON.check(page_path, options.overwrite)
    if sheet_path is not None:
        SHEET.check(sheet_path, options.overwrite)
    use_threads(options.threads)
    choices = load_choices(options, plan.models, progress)
    scale = choices[0].upscaler.scale if choices else options.scale
    most = options.max_pixels or DEFAULT_MAX_PIXELS
    command = shlex.join(["edsr", "compare", *options.words()])
    page = None if page_path is None else ComparisonPage(page_path, command)
    for_sheet: list[Comparison] = []
    for number, path in enumerate(options.inputs):
        reference = options.reference[number] if options.reference else None
        subject = Subject.read(path, plan.files, reference, scale, most)
        for note in subject.source.notes:
            logger.info("%s: %s", display_name(Path(path)), note)
        for comparison in subject.compare(plan.interpolations, choices, options, progress):
            if page is not None:
                page.add(comparison)
            if sheet_path is not None:
                for_sheet.append(comparison)
            yield comparison
    if page is not None:
        most_embedded = DEFAULT_MAX_EMBED if options.max_embed is None else options.max_embed
        _write_page(page, most_embedded, overwrite=options.overwrite)
    if sheet_path is not None:
        write_sheet(sheet_path, for_sheet, overwrite=options.overwrite)
        logger.info("The sheet is in %s.", display_name(sheet_path))


class _Plan(Struct, frozen=True):
    """What versions there are to be.

    Attributes:
        models: names of networks.
        interpolations, files: what goes beside them.
    """

    models: Sequence[str]
    interpolations: Sequence[str]
    files: Sequence[str]


def _plan(options: CompareOptions) -> _Plan:
    """What is asked for.

    Raises:
        UsageError: it makes no sense.
    """
    _, refused = sort_inputs(options.inputs)
    for error in [*refused.values()][:1]:
        raise UsageError(error.what, error.hint, about=error.about)
    if STREAM in options.inputs:
        raise UsageError("Standard input cannot be compared.", "Give a file.")
    asked = tuple(dict.fromkeys(options.beside)) or ("bicubic",)
    files = [each for each in asked if each not in INTERPOLATIONS]
    if files and len(options.inputs) > 1:
        raise UsageError(
            "--with takes files for one input.", "Compare one picture after the other."
        )
    models = tuple(dict.fromkeys(options.model)) or (registry.DEFAULT_MODEL,)
    if models == (NO_MODEL,):
        models = ()
    versions = len(models) * max(1, len(options.restore)) + len(asked) + len(options.reference)
    if versions < 2:
        raise UsageError("There is one version only.", "Give another one with -m or --with.")
    return _Plan(models, [each for each in asked if each in INTERPOLATIONS], files)


def _refuse_inputs(path: Path | None, inputs: Sequence[str]) -> None:
    """Refuse to write over what is read, also with --overwrite.

    Raises:
        UsageError: that is what is asked for.
    """
    for name in inputs:
        with suppress(OSError, ValueError):
            if path is not None and path.samefile(name):
                raise UsageError(
                    "this is one of the pictures to compare.",
                    "Give what is written another name.",
                    about=display_name(path),
                )


def _write_page(page: ComparisonPage, most: int, *, overwrite: bool) -> None:
    apart = page.write(most, overwrite=overwrite)
    logger.info("The page is in %s.", display_name(page.path))
    if apart:
        logger.info(
            "Its pictures, %s, are in %s, which belongs to it. To have them in the page, take a "
            "part with --crop, or a larger --max-embed.",
            size(page.bytes),
            display_name(page.folder),
        )

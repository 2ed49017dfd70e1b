"""The report as a page of HTML that needs nothing but itself."""

from collections.abc import Iterator, Sequence
from importlib.resources import files
from pathlib import Path

from edsr_cli.batch.summary import Summary
from edsr_cli.jobs.batch.report import sections
from edsr_cli.jobs.batch.report.about import About
from edsr_cli.jobs.batch.report.markup import shown
from edsr_cli.jobs.batch.report.previews import Preview
from edsr_cli.jobs.batch.report.records import RecordFile

_BEGIN = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>{title}</title>
<style>
{style}</style>
</head>
<body>
<main>
"""

_END = """<footer>Written by edsr {version}. The manifest in the output folder remembers what is
done: started again, the same command does only the rest.</footer>
</main>
</body>
</html>
"""


def page(
    about: About,
    summary: Summary,
    records: RecordFile,
    previews: Sequence[Preview],
    folder: Path,
) -> Iterator[str]:
    """The page, piece by piece.

    Every name is shown in one line without control characters, and escaped. Nothing is loaded
    from anywhere; the page even forbids itself to.

    Args:
        about: what was asked for.
        summary: what it came to.
        records: of all files.
        previews: of some of the pictures that are done.
        folder: where the page is going to be, for links to the outputs.
    """
    names = ", ".join(path.name or str(path) for path in about.inputs)
    style = files(__package__).joinpath("page.css").read_text("utf-8")
    yield _BEGIN.format(title=shown(f"edsr batch: {names}"), style=style)
    yield from sections.totals(about, summary)
    yield from sections.failures(summary, records)
    yield from sections.pictures(about, summary, previews, folder)
    yield from sections.times(summary)
    yield from sections.settings(about)
    yield from sections.others(summary)
    yield from sections.all_files(summary, records)
    yield _END.format(version=shown(about.version))

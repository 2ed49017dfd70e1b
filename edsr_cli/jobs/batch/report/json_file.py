"""The report as JSON."""

import json
from collections.abc import Iterator

from edsr_cli.batch.summary import Summary
from edsr_cli.jobs.batch.report.about import About
from edsr_cli.jobs.batch.report.records import RecordFile


def json_report(about: About, summary: Summary, records: RecordFile) -> Iterator[str]:
    """One JSON object, piece by piece: what `About` and `Summary` have, and "files", a line each.

    Args:
        about: what was asked for.
        summary: what it came to.
        records: of all files, in the order in which they ended.
    """
    head = about.to_dict() | {"summary": summary.to_dict()}
    yield json.dumps(head, indent=2).removesuffix("\n}")
    yield ',\n  "files": ['
    separator = "\n    "
    for line in records.lines():
        yield separator + line
        separator = ",\n    "
    yield "\n  ]\n}\n"

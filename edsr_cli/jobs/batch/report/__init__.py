"""What `--report` writes at the end of a run: JSON for programs, a page for people."""

from edsr_cli.jobs.batch.report.about import About
from edsr_cli.jobs.batch.report.report import Report, check_path

__all__ = ["About", "Report", "check_path"]

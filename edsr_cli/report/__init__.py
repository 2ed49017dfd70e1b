"""What `--report` writes at the end of a run: JSON for programs, a page for people."""

from edsr_cli.report.records import About
from edsr_cli.report.report import Report, check_path

__all__ = ["About", "Report", "check_path"]

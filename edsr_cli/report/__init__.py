"""What is written for people to look at, as pages, and for programs, as JSON.

`Report` is what `edsr batch --report` writes, `comparison` what `edsr compare` does.
"""

from edsr_cli.report.places import REPORT
from edsr_cli.report.records import About
from edsr_cli.report.report import Report

__all__ = ["REPORT", "About", "Report"]

"""What is written for people to look at, as pages, and for programs, as JSON.

`Report` is what `edsr batch --report` writes. `comparison_page` and `sheet` are what `edsr compare`
shows, `evaluation_page` and `training_page` what `edsr evaluate --html` and `edsr train` do; and
`before_after` what `edsr upscale --preview` draws in a terminal.
"""

from edsr_cli.report.places import REPORT
from edsr_cli.report.records import About
from edsr_cli.report.report import Report

__all__ = ["REPORT", "About", "Report"]

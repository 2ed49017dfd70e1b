"""What a download looks like on a terminal and elsewhere."""

import io

import pytest
from rich.console import Console

from edsr_cli.api.fetching import Fetching
from edsr_cli.checkpoints import registry
from edsr_cli.cli import progress
from edsr_cli.cli.terminal import Terminal

ROW = registry.find("mdsr", 2)


@pytest.fixture
def show(monkeypatch):
    """Show a download in steps of half; what is written."""
    monkeypatch.setattr(progress, "PLAIN_INTERVAL", 0.0)

    def run(verbosity: int = 0, **console) -> str:
        terminal = Terminal(verbosity)
        terminal.console = Console(file=io.StringIO(), width=200, **console)
        with terminal.log(), Fetching(ROW, terminal.progress) as fetching:
            for total in (None, 8_000_000):  # the first source states no length
                report = fetching.begin(ROW.sources[0])
                for done in (0, 4_000_000, 8_000_000):
                    report(done, total)
        return terminal.console.file.getvalue()

    return run


def test_a_bar_on_a_terminal(show):
    text = show(force_terminal=True, legacy_windows=False)
    assert "mdsr x2 x3 x4: fetching https://cv.snu.ac.kr/" in text
    assert "━" in text and "8.0 of 8.0 MB" in text and "MB/s" in text


def test_plain_lines_elsewhere(show):
    text = show()
    assert "\x1b" not in text and "━" not in text
    assert text.count("fetching https://cv.snu.ac.kr/") == 2
    assert "mdsr x2 x3 x4: 4.0 of 8.0 MB\n" in text
    assert "mdsr x2 x3 x4: 4.0 MB\n" in text


def test_nothing_with_quiet(show):
    assert show(verbosity=-1, force_terminal=True) == ""
    assert show(verbosity=-1) == ""

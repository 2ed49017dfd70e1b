import os

import pytest

from tests.report import chromium, firefox


@pytest.fixture(scope="session")
def start_browser():
    """What starts the browser that pages are tried in: called with a folder, and a density."""
    name = os.environ.get("EDSR_BROWSER", "chromium")
    program, start = {
        "chromium": (chromium.PROGRAM, chromium.Chromium),
        "firefox": (firefox.PROGRAM, firefox.Firefox),
    }[name]
    if not program:
        pytest.skip(f"needs {name.capitalize()} (apt-get install chromium, or firefox-esr)")
    return start


@pytest.fixture(scope="session")
def browser(start_browser, tmp_path_factory):
    """One browser for all tests, which takes a second to start."""
    with start_browser(tmp_path_factory.mktemp("browser")) as browser:
        yield browser

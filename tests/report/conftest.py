import pytest

from tests.report.browser import PROGRAM, Browser


@pytest.fixture(scope="session")
def browser(tmp_path_factory):
    """One browser for all tests, which takes a second to start."""
    if not PROGRAM:
        pytest.skip("needs Chromium (apt-get install chromium)")
    with Browser(tmp_path_factory.mktemp("browser")) as browser:
        yield browser

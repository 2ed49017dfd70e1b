"""What tests of batches use."""

from pathlib import Path

import pytest

from tests.jobs.batch.engine import Engine
from tests.jobs.conftest import one_thread as one_thread


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    """A batch engine over the empty folder `in`."""
    (tmp_path / "in").mkdir()
    return Engine(tmp_path / "in")

import pytest

from edsr_cli.inference.engines import VARIABLE


@pytest.fixture(autouse=True, scope="package")
def torch_computes():
    """Whatever is the best engine here; in processes that tests start, too."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(VARIABLE, "torch")
        yield

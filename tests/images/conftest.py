import pytest

from edsr_cli.images import bands


@pytest.fixture
def small_bands(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small pictures are decoded in several bands, and streamed as large ones are."""
    monkeypatch.setattr(bands, "_BAND_BYTES", 1024)

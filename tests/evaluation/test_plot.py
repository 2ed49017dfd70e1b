"""What stands on the axis of JPEG qualities."""

import pytest

from edsr_cli.evaluation.plot import default_degradations, jpeg_quality


@pytest.mark.parametrize(
    ("degradation", "place"),
    [
        ("clean", 100),
        ("jpeg:50", 50),
        ("jpeg:50-50", 50),
        ("jpeg:50-60", None),
        ("jpeg:50@0.5", None),  # half of the pictures are clean
        ("jpeg:50,444", None),  # the axis is that of 4:2:0
        ("noise:2,jpeg:50", None),
        ("noise:2", None),
        ("unknown:kernel.npy", None),
    ],
)
def test_only_compression_of_every_picture_at_one_quality(
    degradation: str, place: float | None
) -> None:
    assert jpeg_quality(degradation) == place


def test_what_is_measured_by_itself_is_drawn() -> None:
    assert all(jpeg_quality(each) for each in default_degradations())

import pytest

from edsr_cli.text import duration, significant, size


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 ms"),
        (0.0064, "6 ms"),
        (0.9994, "999 ms"),
        (0.9996, "1.0 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (59.4, "59 s"),
        (59.6, "1 min 0 s"),
        (185, "3 min 5 s"),
        (3599.6, "1 h 0 min"),
        (9600, "2 h 40 min"),
        (3_600_000, "1,000 h 0 min"),
    ],
)
def test_durations(seconds, words):
    assert duration(seconds) == words


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.00 kB"),
        (12_345, "12.3 kB"),
        (999_499, "999 kB"),
        (999_500, "1.00 MB"),
        (4_560_000_000, "4.56 GB"),
        (7_890_000_000_000, "7.89 TB"),
        (7_890_000_000_000_000, "7,890 TB"),
    ],
)
def test_sizes(count, words):
    assert size(count) == words


@pytest.mark.parametrize(
    ("value", "words"),
    [(0, "0.000"), (0.4051, "0.405"), (0.9996, "1.00"), (9.996, "10.0"), (99.96, "100"),
     (12_345.6, "12,346")],
)  # fmt: skip
def test_numbers(value, words):
    assert significant(value) == words

from edsr_cli.errors import Kind
from edsr_cli.jobs.record import FAILED, SKIPPED


def test_every_kind_is_skipped_or_failed_and_has_a_label():
    assert SKIPPED.keys() | FAILED.keys() == set(Kind)
    assert not SKIPPED.keys() & FAILED.keys()

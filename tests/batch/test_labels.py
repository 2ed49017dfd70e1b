from edsr_cli.batch.labels import FAILED, SKIPPED
from edsr_cli.batch.record import Kind


def test_every_kind_is_skipped_or_failed_and_has_a_label():
    assert SKIPPED.keys() | FAILED.keys() == set(Kind)
    assert not SKIPPED.keys() & FAILED.keys()

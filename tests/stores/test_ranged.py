"""Objects that are read piece by piece; those of real servers are in `test_batches.py`."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edsr_cli.stores.ranged import BLOCK, TooMuchError, ranged

CONTENT = bytes(range(251)) * 2000


class Fake:
    """An object, and what was read of it."""

    def __init__(self, content=CONTENT, knows_ranges=True):
        self.content, self.knows_ranges, self.asked = content, knows_ranges, []

    def read(self, begin, end):
        self.asked.append((begin, end))
        return self.content[begin:end] if self.knows_ranges else self.content


@given(st.lists(st.tuples(st.integers(0, len(CONTENT) + 9), st.integers(0, 200_000)), max_size=9))
def test_it_reads_as_a_file_of_the_same_content(reads):
    fake, same = Fake(), io.BytesIO(CONTENT)
    with ranged(fake, len(CONTENT)) as file:
        for position, count in reads:
            assert file.seek(position) == same.seek(position)
            assert file.read(count) == same.read(count)
            assert file.tell() == same.tell()
        assert file.seek(-5, io.SEEK_END) == len(CONTENT) - 5 and file.read(9) == CONTENT[-5:]
    assert len(set(fake.asked)) == len(fake.asked), "no block is fetched twice"
    assert all(begin % BLOCK == 0 and end - begin <= BLOCK for begin, end in fake.asked)


def test_what_is_better_fetched_whole():
    large = Fake(bytes(40 * BLOCK))
    with ranged(large, len(large.content)) as file, pytest.raises(TooMuchError):
        file.read()
    assert large.asked == []
    with ranged(large, len(large.content)) as file, pytest.raises(TooMuchError):
        while file.read(BLOCK):
            pass
    assert len(large.asked) == 16
    deaf = Fake(knows_ranges=False)
    with ranged(deaf, len(CONTENT)) as file, pytest.raises(TooMuchError):
        file.read(5)
    assert len(deaf.asked) == 1

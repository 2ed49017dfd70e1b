import itertools
import threading
from typing import Any

import numpy as np
import pytest
import torch

from edsr_cli.degradations.patches import Degradation
from edsr_cli.degradations.spec import parse
from edsr_cli.training.feed import Feed, Layout
from edsr_cli.training.patches import Batch, Draw, Sampler
from edsr_cli.training.photos import Photos

CPU = torch.device("cpu")
NUMBERS = {"rate": torch.zeros((), dtype=torch.float64), "share": torch.zeros(())}


class Noting(Sampler):
    """A sampler that notes what was drawn."""

    def __init__(self, photos: Photos) -> None:
        super().__init__(photos, (2, 3, 4), 3, 7, 5, CPU)
        self.drawn: list[int] = []

    def draw(self, number: int) -> Draw:
        self.drawn.append(number)
        return super().draw(number)


def test_tensors_in_a_block_are_apart() -> None:
    like = {
        "bytes": torch.zeros(3, 5, dtype=torch.uint8),
        "number": torch.zeros((), dtype=torch.float64),
        "table": torch.zeros(2, 7, dtype=torch.int64),
        "share": torch.zeros(()),
    }
    layout = Layout(like)
    block = torch.zeros(layout.size, dtype=torch.uint8)
    views = layout.views(block)
    for value, (name, view) in enumerate(views.items(), 1):
        assert (view.shape, view.dtype) == (like[name].shape, like[name].dtype)
        view.fill_(value)
    for value, view in enumerate(views.values(), 1):
        assert (view == value).all()


@pytest.mark.parametrize("ahead", [0, 1, 3])
@pytest.mark.parametrize("elsewhere", [False, True], ids=["tables are sent", "patches are sent"])
def test_batches_come_in_order_with_their_numbers(
    photos: Photos, ahead: int, elsewhere: bool
) -> None:
    expected = Noting(photos)
    sampler = Noting(photos)
    if elsewhere:  # the pictures are on another device than the training
        sampler.device = torch.device("meta")
    feed = Feed(sampler, NUMBERS, CPU, ahead)
    begin = 4
    with feed.from_batch(begin) as slots:
        for number, slot in enumerate(itertools.islice(slots, 12), begin):
            slot.write({"rate": 1 / number, "share": number})
            feed.send(slot)
            batch, true = feed.batch(slot.scale), expected.batch(number)
            assert batch.scale == true.scale
            assert torch.equal(batch.lr, true.lr) and torch.equal(batch.hr, true.hr)
            assert batch.lr.dtype == batch.hr.dtype == torch.float32
            assert float(feed.numbers["rate"]) == 1 / number
            assert float(feed.numbers["share"]) == number
            assert len(sampler.drawn) <= number - begin + max(ahead, 1)  # and no further ahead
    assert sampler.drawn == list(range(begin, begin + len(sampler.drawn)))  # each once, in order


def test_what_was_sent_stays_while_the_next_is_filled(photos: Photos) -> None:
    feed = Feed(Noting(photos), NUMBERS, CPU, 2)
    with feed.from_batch(0) as slots:
        first = next(slots)
        feed.send(first)
        kept = {name: table.clone() for name, table in feed._views[first.scale].items()}
        next(slots)
        for name, table in feed._views[first.scale].items():
            assert torch.equal(table, kept[name])


def test_a_slot_is_filled_when_it_has_been_sent(photos: Photos) -> None:
    """On a GPU a copy is made later; an event, for which one stands here, says when it was."""
    feed = Feed(Noting(photos), NUMBERS, CPU, 2)
    calls: list[str] = []

    class Event:
        def record(self) -> None:
            calls.append("sent")

        def synchronize(self) -> None:
            assert threading.current_thread() is not threading.main_thread()
            calls.append("waited")

    for slot in feed._slots:
        slot._sent = Event()
    with feed.from_batch(0) as slots:
        for number in range(1, 5):
            feed.send(next(slots))
            # Nothing waits for a slot before it was asked for again.
            assert calls.count("sent") == number
            assert calls.count("waited") <= 2 + number


def test_what_goes_with_patches_is_sent_too(photos: Photos) -> None:
    class More(Noting):
        """Adds what a degradation would."""

        def draw(self, number: int) -> Draw:
            return self._with_more(super().draw(number), number)

        def example(self, scale: int) -> Draw:
            return self._with_more(super().example(scale), 0)

        def _with_more(self, draw: Draw, number: int) -> Draw:
            more = torch.from_numpy(np.random.default_rng(number).random((3, 2)))
            return Draw(draw.scale, {**draw.tables, "more": more})

        def finish(self, scale: int, lr: Any, hr: Any, tables: Any) -> Batch:
            batch = super().finish(scale, lr, hr, tables)
            return Batch(scale, batch.lr + tables["more"][:, :1, None, None], batch.hr)

    expected, sampler = More(photos), More(photos)
    sampler.device = torch.device("meta")
    for samplers in (expected, sampler):
        feed = Feed(samplers, NUMBERS, CPU, 2)
        with feed.from_batch(0) as slots:
            for number, slot in enumerate(itertools.islice(slots, 4)):
                feed.send(slot)
                batch, true = feed.batch(slot.scale), expected.batch(number)
                assert torch.equal(batch.lr, true.lr) and torch.equal(batch.hr, true.hr)
                assert not torch.equal(batch.lr, batch.lr.round())


def test_the_thread_ends_with_its_user(photos: Photos) -> None:
    before = threading.active_count()
    feed = Feed(Noting(photos), NUMBERS, CPU, 3)
    with pytest.raises(KeyError), feed.from_batch(0) as slots:
        next(slots)
        raise KeyError
    assert threading.active_count() == before


def test_an_error_of_the_thread_is_the_users(photos: Photos) -> None:
    class Failing(Noting):
        def draw(self, number: int) -> Any:
            if number == 5:
                raise MemoryError
            return super().draw(number)

    feed = Feed(Failing(photos), NUMBERS, CPU, 3)
    with feed.from_batch(0) as slots:
        for slot in itertools.islice(slots, 5):
            feed.send(slot)
        with pytest.raises(MemoryError):
            next(slots)


def test_patches_are_degraded_where_the_training_is(photos: Photos) -> None:
    """Whether pictures are there, too, or patches are sent with what they suffer."""
    here, elsewhere = (
        Sampler(photos, (2,), 3, 5, 3, CPU, Degradation(parse("noise:5,jpeg:30"))) for _ in range(2)
    )
    elsewhere.device = torch.device("meta")  # the feed takes it for another device
    feed = Feed(elsewhere, NUMBERS, CPU, 1)
    with feed.from_batch(0) as slots:
        for number in range(3):
            feed.send(next(slots))
            batch, expected = feed.batch(2), here.batch(number)
            assert torch.equal(batch.lr, expected.lr) and torch.equal(batch.hr, expected.hr)
            assert batch.lr.shape == (3, 3, 5, 5)

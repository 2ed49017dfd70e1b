"""What is made, skipped and replaced, tried against a folder's whole life."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from msgspec.structs import replace

from edsr_cli.errors import Kind
from edsr_cli.folders.ledger import Wanted, judge
from edsr_cli.folders.manifest import Made
from edsr_cli.jobs.ledger import FileState, Verdict

SECOND = 10**9
SOURCE, OLD, NEW = (FileState(size, size * 100 * SECOND) for size in (1, 2, 3))
MADE = Made("a.png", "a.jpg", SOURCE, NEW, "recipe", replaces=OLD)
WANTED = Wanted("a.jpg", SOURCE, "recipe")
REDO = {"overwrite": True}


@pytest.mark.parametrize(
    ("wanted", "found", "made", "verdict"),
    [
        (WANTED, None, None, Verdict()),
        (WANTED, None, MADE, Verdict()),  # deleted, or never appeared
        (WANTED, NEW, MADE, Verdict(Kind.COMPLETE)),
        (WANTED, OLD, MADE, Verdict(None, True, OLD)),  # killed before the new one appeared
        (WANTED, NEW, None, Verdict()),  # somebody else's
        (WANTED, FileState(9, 9), MADE, Verdict(Kind.EDITED)),
        # An empty file is no output, but if no line is about it, it is somebody's.
        (WANTED, FileState(0, 9), MADE, Verdict(None, True, FileState(0, 9))),
        (WANTED, FileState(0, 9), None, Verdict()),
        (
            WANTED,
            FileState(0, 9),
            replace(MADE, result=FileState(0, 9)),
            Verdict(None, True, FileState(0, 9)),
        ),
        # Out of date.
        (replace(WANTED, recipe="other"), NEW, MADE, Verdict(None, True, NEW)),
        (replace(WANTED, input="a.gif"), NEW, MADE, Verdict(None, True, NEW)),
        (replace(WANTED, source=OLD), NEW, MADE, Verdict(None, True, NEW)),
        (replace(WANTED, recipe="other"), OLD, MADE, Verdict(None, True, OLD)),
        (replace(WANTED, recipe="other"), FileState(9, 9), MADE, Verdict()),
    ],
)
def test_decisions(wanted, found, made, verdict):
    assert judge(wanted, found, made) == verdict
    forced = judge(wanted, found, made, overwrite=True)
    assert forced.skip is None and forced.overwrite
    ours = made and found and (found in (NEW, OLD) or found.size == 0)
    assert forced.replaces == (found if ours else None)


def test_times_may_be_rounded_by_the_file_system():
    for shift, kind in ((0, "complete"), (2 * SECOND, "complete"), (3 * SECOND, "edited")):
        for sign in (1, -1):
            found = replace(NEW, mtime_ns=NEW.mtime_ns + sign * shift)
            assert judge(WANTED, found, MADE).skip == kind
    # What is not rounded is another file, however near.
    found = replace(NEW, mtime_ns=NEW.mtime_ns + 1)
    assert judge(WANTED, found, MADE).skip is Kind.EDITED
    # An input's time is not ours to be lenient with.
    moved = replace(WANTED, source=replace(SOURCE, mtime_ns=SOURCE.mtime_ns + 1))
    assert judge(moved, NEW, MADE) == Verdict(None, True, NEW)


def test_the_older_of_two_that_are_alike_is_not_taken_for_the_newer():
    older, newer = FileState(5, 100 * SECOND), FileState(5, 101 * SECOND)
    made = replace(MADE, result=newer, replaces=older)
    redo = Verdict(None, True, older)
    assert judge(WANTED, older, made) == redo
    assert judge(WANTED, newer, made).skip is Kind.COMPLETE
    between = FileState(5, 100 * SECOND + SECOND // 2)  # rounded, and either
    assert judge(WANTED, between, made) == replace(redo, replaces=between)
    same = replace(made, result=older)
    assert judge(WANTED, older, same) == redo


def test_content_instead_of_size_and_time():
    digest = iter(["same", "other"])
    wanted = replace(WANTED, source=OLD, sha256=lambda: next(digest))
    made = replace(MADE, sha256="same")
    assert judge(wanted, NEW, made).skip is Kind.COMPLETE
    assert judge(wanted, NEW, made).skip is None
    # Nothing is read for outputs that are made anyway, or that have no digest on record.
    assert judge(wanted, None, made) == Verdict()
    assert judge(replace(wanted, recipe="other"), NEW, made).skip is None
    assert judge(wanted, NEW, MADE).skip is None
    assert judge(replace(wanted, source=SOURCE), NEW, MADE).skip is Kind.COMPLETE
    assert list(digest) == []


class Folder(RuleBasedStateMachine):
    """One output, its manifest line, and everything that may happen to them.

    What must hold: nothing of the user's is replaced unasked, a run that is not killed leaves an
    output that is up to date or the user's, and a second run then does nothing.
    """

    def __init__(self):
        super().__init__()
        self.clock = 0
        self.sizes, self.step = 3, SECOND // 20
        self.source, self.recipe = self.now(), "one"
        self.output, self.owner = None, None
        self.made_of = None
        self.line = None

    def now(self):
        self.clock += 1
        return FileState(1 + self.clock % self.sizes, self.clock * self.step + 1)  # no rounded time

    @rule(recipe=st.sampled_from(["one", "two"]))
    def choose_options(self, recipe):
        self.recipe = recipe

    @rule()
    def change_input(self):
        self.source = self.now()

    @rule()
    def edit_output(self):
        self.output, self.owner = self.now(), "user"

    @rule()
    def lose_its_content(self):
        """As a power cut does it, or another program that is killed."""
        self.output, self.owner = replace(self.now(), size=0), "nobody"

    @rule()
    def delete_output(self):
        self.output = self.owner = None

    @rule(
        killed=st.sampled_from([None, "before the line", "before the rename"]), force=st.booleans()
    )
    def run_once(self, killed, force):
        wanted = Wanted("in", self.source, self.recipe)
        verdict = judge(wanted, self.output, self.line, overwrite=force)
        if verdict.skip is not None:
            assert not force
            assert verdict.skip is (Kind.EDITED if self.owner == "user" else Kind.COMPLETE)
            return
        if self.output is not None and not verdict.overwrite:
            assert self.owner == "user" or (self.owner == "nobody" and self.line is None)
            return  # it fails, as the file exists
        if self.owner == "user":
            assert force
        if killed == "before the line":
            return
        result = self.now()
        self.line = Made("out", "in", self.source, result, self.recipe, None, verdict.replaces)
        if killed == "before the rename":
            return
        self.output, self.owner = result, "us"
        self.made_of = self.source, self.recipe

    @invariant()
    def what_is_skipped_is_up_to_date(self):
        wanted = Wanted("in", self.source, self.recipe)
        verdict = judge(wanted, self.output, self.line)
        if verdict.skip is Kind.COMPLETE:
            assert self.owner == "us" and self.made_of == (self.source, self.recipe)
        if self.owner == "us" and verdict.skip is None:
            assert verdict.overwrite  # ours can always be made again


Folder.TestCase.settings = settings(max_examples=200, stateful_step_count=20, deadline=None)
TestFolder = Folder.TestCase

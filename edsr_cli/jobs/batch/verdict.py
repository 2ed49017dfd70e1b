"""Whether an output has to be made, and whether it may replace what is there."""

from collections.abc import Callable
from dataclasses import dataclass

from edsr_cli.errors import Kind
from edsr_cli.jobs.batch.made import FileState, Made

# Times of finished files may be rounded later: to 2 seconds on FAT, to 10 ms on exFAT.
_MTIME_SLACK_NS, _MTIME_GRID_NS = 2 * 10**9, 10**7


@dataclass(frozen=True)
class Verdict:
    """What to do about a picture.

    Attributes:
        skip: why it need not be made; None to make it.
        overwrite: whether the output that is there may be replaced.
        replaces: that output, if it is ours.
    """

    skip: Kind | None = None
    overwrite: bool = False
    replaces: FileState | None = None


@dataclass(frozen=True)
class Wanted:
    """What is to be made.

    Attributes:
        input: the task's name.
        source: the input as it is now.
        recipe: identity of the model and the options.
        sha256: gives the input's digest, if that counts instead of its size and time.
    """

    input: str
    source: FileState
    recipe: str
    sha256: Callable[[], str] | None = None

    def made_by(self, made: Made) -> bool:
        """Whether an output is what would be made now."""
        if (made.input, made.recipe) != (self.input, self.recipe):
            return False
        if self.sha256 is not None and made.sha256 is not None:
            return made.sha256 == self.sha256()
        return made.source == self.source


def judge(
    wanted: Wanted, found: FileState | None, made: Made | None, overwrite: bool = False
) -> Verdict:
    """Decide about one picture.

    Args:
        wanted: what is to be made.
        found: what is at the output's place; None for nothing.
        made: what the manifest says about the output.
        overwrite: whether to make it in any case, whatever it replaces.
    """
    if found is None:
        return Verdict(overwrite=overwrite)
    if made is None:
        # Somebody else's: without leave to replace it, writing it will fail, and say so.
        return Verdict(overwrite=overwrite)
    # An empty file is no output: somebody was kept from writing it, here by a kill or power cut.
    current = found.size > 0 and _is_result(found, made)
    ours = current or found.size == 0 or (made.replaces is not None and _near(found, made.replaces))
    if overwrite:
        return Verdict(overwrite=True, replaces=found if ours else None)
    if ours and not current:
        return Verdict(overwrite=True, replaces=found)
    if wanted.made_by(made):
        return Verdict(skip=Kind.COMPLETE if ours else Kind.EDITED)
    # Out of date; but what somebody has edited is too good to replace.
    return Verdict(overwrite=True, replaces=found) if ours else Verdict()


def _is_result(found: FileState, made: Made) -> bool:
    """Whether a file is the output of a line, not the one that it was to replace.

    Where nobody can tell, because both have one size and were made within the slack, it is not.
    """
    if found == made.result:
        return found != made.replaces
    older = made.replaces is not None and _near(found, made.replaces)
    return _near(found, made.result) and not older


def _near(found: FileState, known: FileState) -> bool:
    """Whether a file is a known one, its time perhaps rounded."""
    if found.size != known.size or found.mtime_ns == known.mtime_ns:
        return found == known
    rounded = found.mtime_ns % _MTIME_GRID_NS == 0
    return rounded and abs(found.mtime_ns - known.mtime_ns) <= _MTIME_SLACK_NS

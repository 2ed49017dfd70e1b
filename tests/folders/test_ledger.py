"""The ledger, asked directly."""

import os

import pytest

from edsr_cli.errors import FileError, Kind
from edsr_cli.files.atomic import atomic_write
from edsr_cli.folders.ledger import FolderLedger
from edsr_cli.folders.recipe import Recipe
from edsr_cli.folders.scanning import BatchTask
from edsr_cli.images import format_for
from edsr_cli.jobs.ledger import FileState, state_of

RECIPE = Recipe(
    model="model", weights="weights", scale=2, ensemble=False, precision="fp32", format="png"
)


def arriving(source, folder):
    return BatchTask(
        format_for(None, "png"),
        source=source,
        destination=folder / "a.png",
        name=source.name,
        folder=folder,
    )


# A worker that outlives its run, as those of a cluster may: it has promised its output when the
# run is killed, and is stopped before that takes its name.


@pytest.mark.skipif(os.name == "nt", reason="an open file cannot be removed there")
@pytest.mark.parametrize("there", [False, True], ids=["new", "replacing"])
def test_a_worker_of_an_earlier_run_comes_too_late(tmp_path, there):
    task = arriving(tmp_path / "a.gif", tmp_path / "out")
    task.source.write_bytes(b"picture")

    def begin():
        ledger = FolderLedger([task.folder], RECIPE)
        ledger.arrive(task)
        return ledger, ledger.judge(task, state_of(task.source), overwrite=there)

    def make(ledger, verdict, content, between=lambda: None):
        def commit(status):
            ledger.promise(task, state_of(task.source), verdict, FileState.of(status))
            between()

        with atomic_write(task.destination, verdict.overwrite, commit=commit) as file:
            file.write(content)

    def second_run():
        first.close()
        second, verdict = begin()
        assert verdict.skip is None
        make(second, verdict, b"of the second run")
        second.close()

    if there:
        ledger, verdict = begin()
        make(ledger, verdict, b"of a run before both")
        ledger.close()
    first, verdict = begin()
    with pytest.raises(FileError, match="its temporary file has been removed"):
        make(first, verdict, b"of the first run", second_run)
    assert task.destination.read_bytes() == b"of the second run"
    third = FolderLedger([task.folder], RECIPE)
    third.arrive(task)
    assert third.judge(task, state_of(task.source), overwrite=False).skip is Kind.COMPLETE
    third.close()
    assert not list(task.folder.glob("*.tmp"))


@pytest.mark.skipif(os.name == "nt", reason="an open file cannot be moved there")
def test_nothing_is_promised_for_a_folder_that_has_gone(tmp_path):
    """A worker on another machine may see it still."""
    out = tmp_path / "out"
    task = arriving(tmp_path / "a.gif", out)
    task.source.write_bytes(b"picture")
    source = state_of(task.source)
    ledger = FolderLedger([out], RECIPE)
    verdict = ledger.judge(task, source, overwrite=False)
    out.rename(tmp_path / "away")
    with pytest.raises(FileError, match="the output folder has gone"):
        ledger.promise(task, source, verdict, FileState(1, 1))
    ledger.close()
    assert "made" not in (tmp_path / "away" / ".edsr-manifest.jsonl").read_text()

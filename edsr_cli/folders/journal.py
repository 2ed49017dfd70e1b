"""Manifests in stores, where nothing can be appended to: objects that a run writes again and again.

The lines of a part, such as shard 3 of 16, are in a folder of the name that its manifest has on a
disk. Each run has objects of its own there, so that no other can take lines away. It writes the
last one anew, whole, whenever a line has to be durable, until that has `_LINES` lines, and then
begins another: for a million pictures some 4,000 small objects, which the next run reads.
"""

import secrets
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from edsr_cli.folders.shards import STEM, Shard, manifest_shard
from edsr_cli.jobs.ledger import LedgerError
from edsr_cli.stores.failures import StoreError
from edsr_cli.stores.store import Store

_LINES = 512  # two for each picture
_MOMENT, _MOMENT_LENGTH = "%Y%m%dT%H%M%S", 15


class Journal:
    """The manifest of one part in a store, and a file here that has all its lines.

    Args:
        store: the output folder.
        shard: the part.
    """

    def __init__(self, store: Store, shard: Shard) -> None:
        self._store = store.folder(shard.manifest)
        self._run, self._number, self._begin = "", 0, -1

    def fetch(self, path: Path) -> None:
        """Make a file of all lines of earlier runs, one run after the other.

        Raises:
            StoreError: they cannot be read.
        """
        names = sorted(entry.name for entry in self._store.entries() if entry.state is not None)
        with path.open("wb") as file:
            for content in self._store.read_all(names):
                file.write(content if content.endswith(b"\n") else content + b"\n")

    def keep(self, descriptor: int, path: Path, begin: int) -> None:
        """Write what was added to the file to the store; see `Manifest`.

        Raises:
            LedgerError: it cannot be written.
        """
        if self._begin < 0:
            self._begin = begin
        with path.open("rb") as file:  # whoever finds a line meanwhile moves the descriptor
            file.seek(self._begin)
            data = file.read()
        if not data:
            return
        try:
            self._run = self._run or self._name()
            self._store.blob(f"{self._run}-{self._number:06}.jsonl").put_bytes(data)
        except StoreError as error:
            raise LedgerError(
                f"the list of what is done cannot be kept: {error.what}",
                error.hint,
                about=error.about,
                kind=error.kind,
            ) from None
        whole = data.rfind(b"\n") + 1
        if data.count(b"\n", 0, whole) >= _LINES:
            self._number, self._begin = self._number + 1, self._begin + whole

    def _name(self) -> str:
        """A name that stands behind those of earlier runs, whatever the clocks of machines say.

        Of two lines about an output the last one counts, and lines are in the order of names.
        """
        moment = datetime.now(UTC)
        for entry in self._store.entries():
            with suppress(ValueError):
                earlier = datetime.strptime(entry.name[:_MOMENT_LENGTH], _MOMENT)
                moment = max(moment, earlier.replace(tzinfo=UTC) + timedelta(seconds=1))
        return f"{moment.strftime(_MOMENT)}-{secrets.token_hex(4)}"


def journals(store: Store) -> list[Shard]:
    """The parts of which there are manifests in a folder of a store, in order.

    Raises:
        StoreError: it cannot be listed.
    """
    folders = store.entries(STEM)
    names = (entry.name for entry in folders if entry.state is None)
    return sorted(shard for name in names if (shard := manifest_shard(name)) is not None)

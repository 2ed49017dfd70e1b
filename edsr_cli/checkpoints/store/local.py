"""A model without the network: cached, or made from a file that is on this machine."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edsr_cli.checkpoints.model_row import ModelRow, Source
from edsr_cli.checkpoints.store import hub
from edsr_cli.checkpoints.store.cached import cached_path, damaged_path, metadata
from edsr_cli.checkpoints.store.convert import PROVENANCE, Provenance, convert
from edsr_cli.checkpoints.store.digests import checked_by, file_digests, mismatch
from edsr_cli.checkpoints.store.errors import SourceError
from edsr_cli.checkpoints.store.folder import canonical_path, locked, visible_files

logger = logging.getLogger(__name__)

SLACK = 2**20  # bytes that a file may have besides its tensors, however small these are


@dataclass(frozen=True)
class Fetched:
    """A model that is on this machine now.

    Attributes:
        row: the model.
        path: its canonical file.
        how: "bundled" (comes with the program), "cached" (was there), "adopted" (from a file that
            was on this machine) or "fetched".
        source: where the bytes are from; empty if it was there.
    """

    row: ModelRow
    path: Path
    how: str
    source: str = ""

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values, with what the file states about where it is from."""
        stated = metadata(self.path)
        return {
            "name": self.row.name,
            "scales": list(self.row.scales),
            "status": self.how,
            "path": str(self.path),
            "licence": self.row.licence,
            **{key: stated[key] for key in PROVENANCE if key in stated},
        }


def find_local(row: ModelRow, folder: Path) -> Fetched | None:
    """A model without the network: cached, or made from a file in the folder or the hub's cache.

    Raises:
        WeightsError: such a file was found, and the canonical one cannot be written.
    """
    path = cached_path(row, folder)
    if path is not None:
        return Fetched(row, path, "cached")
    damaged = damaged_path(row, folder)
    if damaged is not None:
        logger.warning("%s is not used: %s", *damaged)
    for raw, source, stated in _local_files(row, folder):
        with locked(folder, row):
            adopted = _adopt(row, folder, raw, source, stated)
        if adopted is not None:
            return adopted
    return None


def _local_files(row: ModelRow, folder: Path) -> Iterator[tuple[Path, Source, str]]:
    """Files that may be a source's, that source, and the digest that was stated for the file."""
    # Sizes that this model's file may have, in bytes: spares taking the digests of most others.
    plausible = range(row.size * 3 // 4 - SLACK, row.size * 5 // 4 + SLACK)
    for path, size in visible_files(folder):
        # What is a canonical file already is somebody's published file no more.
        if size in plausible and not metadata(path):
            yield from ((path, source, "") for source in row.sources if source.has_digest)
    for source in row.sources:
        found = hub.in_hub_cache(source) if source.kind == "huggingface" else None
        if found is not None:
            stated = "" if source.has_digest else hub.cached_sha256(found)
            if source.can_be_checked and (source.has_digest or stated):
                yield found, source, stated


def _adopt(row: ModelRow, folder: Path, raw: Path, source: Source, stated: str) -> Fetched | None:
    """Convert a file that is here already, if it is the one that a source has."""
    try:
        digests = file_digests(raw)
    except OSError:
        return None
    if mismatch(source, digests, stated):
        return None
    target = canonical_path(folder, row)
    try:
        convert(raw, row, Provenance(source, digests, checked_by(source, stated)), target)
    except SourceError as error:
        logger.warning("%s is not used: %s", raw, error)
        return None
    return Fetched(row, target, "adopted", str(raw))

"""A second look at every byte of what is on this machine."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edsr_cli.checkpoints.bundled import REINSTALL, bundled_file
from edsr_cli.checkpoints.model_row import ModelRow
from edsr_cli.checkpoints.store.cached import cached_path, damaged_path, metadata
from edsr_cli.checkpoints.store.folder import remembered
from edsr_cli.errors import WeightsError


@dataclass(frozen=True)
class Verdict:
    """What was found of a model.

    Attributes:
        row: the model.
        state: "good", "damaged" or "missing".
        path: its file; None if it is missing.
        detail: what is wrong and what to do; or, of a good file, what it was checked by when it
            was fetched.
    """

    row: ModelRow
    state: str
    path: Path | None = None
    detail: str = ""

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values."""
        return {
            "name": self.row.name,
            "scales": list(self.row.scales),
            "status": self.state,
            "path": None if self.path is None else str(self.path),
            "detail": self.detail,
        }


def verify_row(row: ModelRow, folder: Path) -> Verdict:
    """Take the digest of a model's file again. Does not raise for what is wrong with the file."""
    source = row.bundled
    if source is not None and source.size is not None:
        try:
            path = bundled_file(source.file, source.size, source.sha256)
        except WeightsError as error:
            return Verdict(row, "damaged", None, str(error))
        return Verdict(row, "good", path, "sha256")
    damaged = damaged_path(row, folder)
    if damaged is not None:
        again = f"{damaged[1]}. {refetch(row)}"
        return Verdict(row, "damaged", damaged[0], again)
    found = cached_path(row, folder)
    if found is None:
        return Verdict(row, "missing", None, refetch(row))
    stated = metadata(found)
    # What a file says of itself was compared already. Whoever exchanges it can change that, too, so
    # it counts for less than the registry, or than what was noted when the file was made.
    known = row.tensors_sha256 or remembered(folder, row)
    if not known:
        itself = "what it says of itself (there is no record of it, as of what was fetched here)"
        return Verdict(row, "good", found, itself)
    if stated.get("tensors_sha256") != known:
        again = f"wrong digest: expected sha256 {known} of the tensors, as fetched. {refetch(row)}"
        return Verdict(row, "damaged", found, again)
    checked = f"{stated.get('source_checked_by', 'nothing')} when it came, unchanged since"
    return Verdict(row, "good", found, checked)


def refetch(row: ModelRow) -> str:
    """What to do about a model whose file is damaged or missing."""
    if row.bundled is not None:
        return REINSTALL
    only = f" -s {row.scales[0]}" if len(row.scales) == 1 else ""
    return f"Fetch it with: edsr fetch-weights {row.name}{only}"

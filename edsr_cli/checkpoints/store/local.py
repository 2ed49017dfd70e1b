"""A model without the network: cached, or made from a file that is on this machine; and checked."""

import io
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from edsr_cli.checkpoints.registry import REINSTALL, ModelRow, Source, bundled_file
from edsr_cli.checkpoints.store import hub
from edsr_cli.checkpoints.store.answers import SourceError
from edsr_cli.checkpoints.store.cache import (
    FileDigests,
    cached_path,
    canonical_path,
    checked_by,
    damaged_path,
    file_digests,
    locked,
    metadata,
    mismatch,
    remember,
    remembered,
    tensors_sha256,
    visible_files,
)
from edsr_cli.errors import WeightsError
from edsr_cli.files.names import display_name

logger = logging.getLogger(__name__)

PROVENANCE = ("source", "source_sha256", "source_checked_by", "tensors_sha256")
"""The metadata of a cached file that say where it is from, and what was looked at."""

SLACK = 2**20  # bytes that a file may have besides its tensors, however small these are


class Fetched(Struct, frozen=True):
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
        path, what = damaged
        logger.warning("%s is not used: %s", display_name(path), what)
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
        logger.warning("%s is not used: %s", display_name(raw), error)
        return None
    return Fetched(row, target, "adopted", str(raw))


class Provenance(Struct, frozen=True):
    """Where a file of weights is from, for the canonical file's metadata.

    Attributes:
        source: the registry's source that it is, or is equal to.
        digests: what was found of it.
        checked: what was compared, see `checked_by`.
    """

    source: Source
    digests: FileDigests
    checked: str


def convert(raw: Path, row: ModelRow, provenance: Provenance, target: Path) -> None:
    """Read a published file and write its network as a canonical file.

    Args:
        raw: the published file, its digest checked.
        row: the model that it should hold.
        provenance: for the metadata.
        target: the file to write; an older one is replaced.

    Raises:
        SourceError: the file does not hold this network.
        WeightsError: `target` cannot be written.
    """
    # Who lists models need not wait for NumPy.
    import safetensors.numpy

    from edsr_cli.checkpoints.checkpoint import save_canonical
    from edsr_cli.checkpoints.convention import Stated
    from edsr_cli.checkpoints.reader import read_checkpoint

    stated = Stated(provenance.source.layout, row.value_range, row.mean_shift, row.residual_scale)
    try:
        checkpoint = read_checkpoint(raw, stated)
    except WeightsError as error:
        # A working file's name says little.
        what = error.what.removesuffix(".")
        raise SourceError(f"the file cannot be used: {what}", wrong=True) from error
    wanted = replace(row.config, residual_scale=1.0)
    if replace(checkpoint.config, residual_scale=1.0) != wanted:
        raise SourceError(f"it holds another network than {row.label}", wrong=True)
    digest = tensors_sha256(io.BytesIO(safetensors.numpy.save(checkpoint.tensors)))
    if row.tensors_sha256 and digest != row.tensors_sha256:
        raise SourceError(
            f"wrong tensors: expected sha256 {row.tensors_sha256}, found {digest}", wrong=True
        )
    found = (provenance.source.place, provenance.digests.sha256, provenance.checked, digest)
    metadata = {
        "name": row.name,
        "licence": row.licence,
        "origin": row.origin,
        **dict(zip(PROVENANCE, found, strict=True)),
    }
    save_canonical(target, checkpoint.tensors, checkpoint.config, metadata)
    remember(target.parent, row, digest)


class Verified(Struct, frozen=True):
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


def verify_row(row: ModelRow, folder: Path) -> Verified:
    """Take the digest of a model's file again. Does not raise for what is wrong with the file."""
    source = row.bundled
    if source is not None and source.size is not None:
        try:
            path = bundled_file(source.file, source.size, source.sha256)
        except WeightsError as error:
            return Verified(row, "damaged", None, str(error))
        return Verified(row, "good", path, "sha256")
    damaged = damaged_path(row, folder)
    if damaged is not None:
        again = f"{damaged[1]}. {refetch(row)}"
        return Verified(row, "damaged", damaged[0], again)
    found = cached_path(row, folder)
    if found is None:
        return Verified(row, "missing", None, refetch(row))
    stated = metadata(found)
    # What a file says of itself was compared already. Whoever exchanges it can change that, too, so
    # it counts for less than the registry, or than what was noted when the file was made.
    known = row.tensors_sha256 or remembered(folder, row)
    if not known:
        itself = "what it says of itself (there is no record of it, as of what was fetched here)"
        return Verified(row, "good", found, itself)
    if stated.get("tensors_sha256") != known:
        again = f"wrong digest: expected sha256 {known} of the tensors, as fetched. {refetch(row)}"
        return Verified(row, "damaged", found, again)
    checked = f"{stated.get('source_checked_by', 'nothing')} when it came, unchanged since"
    return Verified(row, "good", found, checked)


def refetch(row: ModelRow) -> str:
    """What to do about a model whose file is damaged or missing."""
    if row.bundled is not None:
        return REINSTALL
    only = f" -s {row.scales[0]}" if len(row.scales) == 1 else ""
    return f"Fetch it with: edsr fetch-weights {row.name}{only}"

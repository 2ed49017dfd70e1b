"""A downloaded or hand-placed file becomes the cache's canonical one."""

import io
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from edsr_cli.checkpoints.model_row import ModelRow, Source
from edsr_cli.checkpoints.store.digests import FileDigests, tensors_sha256
from edsr_cli.checkpoints.store.errors import SourceError
from edsr_cli.checkpoints.store.folder import remember
from edsr_cli.errors import WeightsError

if TYPE_CHECKING:
    from edsr_cli.checkpoints.checkpoint import Checkpoint


PROVENANCE = ("source", "source_sha256", "source_checked_by", "tensors_sha256")
"""The metadata of a cached file that say where it is from, and what was looked at."""


@dataclass(frozen=True)
class Provenance:
    """Where a file of weights is from, for the canonical file's metadata.

    Attributes:
        source: the registry's source that it is, or is equal to.
        digests: what was found of it.
        checked: what was compared, see `digests.checked_by`.
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
    import safetensors.numpy

    from edsr_cli.checkpoints.canonical import save_canonical

    try:
        checkpoint = _read(raw, row, provenance.source)
    except WeightsError as error:
        what = error.message.removeprefix(str(raw)).strip(
            " :."
        )  # a working file's name says little
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


def _read(raw: Path, row: ModelRow, source: Source) -> "Checkpoint":
    from edsr_cli.checkpoints.reader import read_checkpoint

    return read_checkpoint(
        raw,
        layout=source.layout,
        value_range=row.value_range,
        mean_shift=row.mean_shift,
        residual_scale=row.residual_scale,
    )

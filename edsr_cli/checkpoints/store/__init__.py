"""Fetched weights: found in the cache folder, checked, or brought there.

    cache     where it is, names in it, locks, canonical files in it, digests
    https     downloads over HTTPS; `answers` says what servers mean
    hub       downloads from the Hugging Face hub
    local     a model -> its canonical file, by what is on this machine; a second look at every file
    fetching  a model -> its canonical file, by all of these

Nothing here imports torch before a file is converted, nor reads a weight file that was not checked.

What counts as checked: the sha256 that somebody published, or its first 8 digits, or the file's
git object id; for a commit on the Hugging Face hub also the sha256 that the hub states. A file with
neither could be anything, so it is only taken with `allow_unverified`, after all other sources, and
says so in its metadata; that its tensors fit the network, and that loading runs no code, is checked
even then.
"""

import os
from collections.abc import Callable
from pathlib import Path

from edsr_cli.checkpoints.registry import ModelRow, Source, bundled_file
from edsr_cli.checkpoints.store.cache import cache_folder
from edsr_cli.errors import WeightsError

__all__ = ["Begin", "Progress", "cache_folder", "resolve"]

Progress = Callable[[int, int | None], None]
"""Called with the bytes that are there, and that there will be, if that is known."""

Begin = Callable[[Source], Progress]
"""Called when a download begins, for something to show its progress with."""


def resolve(
    row: ModelRow,
    download: bool = False,
    cache_dir: str | os.PathLike[str] | None = None,
    begin: Begin | None = None,
) -> Path:
    """The canonical file of a row: bundled, cached, or, if `download`, fetched.

    Raises:
        WeightsError: it is not on this machine, and may not or cannot be fetched.
    """
    if row.bundled is not None and row.bundled.size is not None:
        return bundled_file(row.bundled.file, row.bundled.size, row.bundled.sha256)
    # Most models are bundled, and need nothing that knows of networks.
    from edsr_cli.checkpoints.store.fetching import Options, fetch_row
    from edsr_cli.checkpoints.store.local import find_local, refetch

    folder = cache_folder(cache_dir)
    if download:
        options = Options() if begin is None else Options(begin=begin)
        return fetch_row(row, folder, options).path
    found = find_local(row, folder)
    if found is None:
        scales = " ".join(f"x{scale}" for scale in row.scales)
        raise WeightsError(
            f"Model {row.name!r} {scales} is not on this machine.",
            f"{refetch(row)} ({row.size / 1e6:.1f} MB), or add --download.",
        )
    return found.path

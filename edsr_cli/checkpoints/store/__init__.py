"""Fetched weights: found in the cache folder, checked, or brought there.

    folder    where the cache is, names in it, locks
    digests   of files, and of the tensors in a safetensors file
    cached    canonical files in the cache
    https     downloads over HTTPS; `answers` says what servers mean
    hub       downloads from the Hugging Face hub
    convert   a published file -> the cache's canonical one
    local     a model -> its canonical file, by what is on this machine
    fetching  a model -> its canonical file, by all of these
    verify    a second look at every file

Nothing here imports torch before a file is converted, nor reads a weight file that was not checked.

What counts as checked: the sha256 that somebody published, or its first 8 digits, or the file's
git object id; for a commit on the Hugging Face hub also the sha256 that the hub states. A file with
neither could be anything, so it is only taken with `allow_unverified`, after all other sources, and
says so in its metadata; that its tensors fit the network, and that loading runs no code, is checked
even then.
"""

import os
from pathlib import Path

from edsr_cli.checkpoints import registry
from edsr_cli.checkpoints.bundled import bundled_file
from edsr_cli.checkpoints.model_row import ModelRow
from edsr_cli.checkpoints.store.fetching import Options, fetch_row
from edsr_cli.checkpoints.store.folder import cache_folder
from edsr_cli.checkpoints.store.local import Fetched, find_local
from edsr_cli.checkpoints.store.verify import refetch
from edsr_cli.errors import WeightsError

__all__ = [
    "Fetched",
    "Options",
    "cache_folder",
    "cached_file",
    "fetch",
    "fetch_row",
    "refetch",
    "resolve",
]


def cached_file(
    name: str, scale: int, cache_dir: str | os.PathLike[str] | None = None
) -> Path | None:
    """The canonical file of a model that has been fetched, its digest checked; None if it has not.

    A published file that lies in the folder under any name, or in the Hugging Face hub's own cache,
    is recognised by its digest and converted.

    Raises:
        WeightsError: there is no such model, or the converted file cannot be written.
    """
    found = find_local(registry.find(name, scale), cache_folder(cache_dir))
    return None if found is None else found.path


def fetch(
    name: str,
    scale: int,
    cache_dir: str | os.PathLike[str] | None = None,
    options: Options | None = None,
) -> Path:
    """Make sure that a model is on this machine; its canonical file.

    Raises:
        WeightsError: there is no such model, it cannot be had, or it cannot be written.
    """
    row = registry.find(name, scale)
    return fetch_row(row, cache_folder(cache_dir), options or Options()).path


def resolve(
    row: ModelRow,
    download: bool = False,
    cache_dir: str | os.PathLike[str] | None = None,
    options: Options | None = None,
) -> Path:
    """The canonical file of a row: bundled, cached, or, if `download`, fetched.

    Raises:
        WeightsError: it is not on this machine, and may not or cannot be fetched.
    """
    if row.bundled is not None and row.bundled.size is not None:
        return bundled_file(row.bundled.file, row.bundled.size, row.bundled.sha256)
    folder = cache_folder(cache_dir)
    if download:
        return fetch_row(row, folder, options or Options()).path
    found = find_local(row, folder)
    if found is None:
        scales = " ".join(f"x{scale}" for scale in row.scales)
        raise WeightsError(
            f"Model {row.name!r} {scales} is not on this machine.",
            f"{refetch(row)} ({row.size / 1e6:.1f} MB), or add --download.",
        )
    return found.path

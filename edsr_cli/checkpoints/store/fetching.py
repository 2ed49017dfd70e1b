"""Bring a model into the cache from a source, the first that has it."""

import contextlib
import hashlib
import logging
import shutil
from pathlib import Path

from msgspec import Struct, field

from edsr_cli.checkpoints.registry import BYTES_PER_PARAMETER, ModelRow, Source, bundled_file
from edsr_cli.checkpoints.store import Begin, Progress, https, hub
from edsr_cli.checkpoints.store.answers import SourceError
from edsr_cli.checkpoints.store.cache import (
    cached_path,
    canonical_path,
    checked_by,
    file_digests,
    locked,
    mismatch,
    work_folder,
)
from edsr_cli.checkpoints.store.https import Access, Patience, download
from edsr_cli.checkpoints.store.local import SLACK, Fetched, Provenance, convert, find_local
from edsr_cli.errors import WeightsError
from edsr_cli.files.names import display_name

logger = logging.getLogger(__name__)


class Options(Struct, frozen=True):
    """How to fetch.

    Attributes:
        offline: use what is on this machine only.
        allow_unverified: after all others, use sources whose file nobody has published a digest of.
        patience: how long to wait for servers.
        begin: see `Begin`.
    """

    offline: bool = False
    allow_unverified: bool = False
    patience: Patience = field(default_factory=lambda: https.USUAL)
    begin: Begin = lambda source: lambda done, total: None


def fetch_row(row: ModelRow, folder: Path, options: Options) -> Fetched:
    """Make sure that a model is on this machine.

    Raises:
        WeightsError: it cannot be had, or not be written.
    """
    if row.bundled is not None and row.bundled.size is not None:
        path = bundled_file(row.bundled.file, row.bundled.size, row.bundled.sha256)
        return Fetched(row, path, "bundled")
    here = find_local(row, folder)
    if here is not None:
        return here
    if options.offline or hub.is_offline():
        raise WeightsError(
            f"{row.label} is not in {display_name(folder)}, and this is offline.",
            "Fetch it while there is a network, or put its file into this folder.",
        )
    with locked(folder, row):
        fetched = cached_path(row, folder)  # by another process, while this one waited
        if fetched is not None:
            return Fetched(row, fetched, "cached")
        return _from_sources(row, folder, options)


def _from_sources(row: ModelRow, folder: Path, options: Options) -> Fetched:
    """Try the sources in order; those without any digest last, and only if that is allowed."""
    checked = [source for source in row.sources if source.can_be_checked]
    unverified = [source for source in row.sources if not source.can_be_checked]
    sources = checked + (unverified if options.allow_unverified else [])
    failures: list[tuple[Source, SourceError]] = []
    for source in sources:
        try:
            target = _from_source(row, source, folder, options)
        except SourceError as error:
            failures.append((source, error))
            level = logging.WARNING if error.wrong else logging.INFO
            logger.log(level, "%s from %s: %s", row.label, source.host, error)
        else:
            shutil.rmtree(work_folder(folder, row), ignore_errors=True)
            return Fetched(row, target, "fetched", source.place)
    work = work_folder(folder, row)
    with contextlib.suppress(OSError):  # it stays if it holds the beginning of a download
        work.rmdir()
    raise _not_fetched(row, folder, failures, [] if options.allow_unverified else unverified)


def _from_source(row: ModelRow, source: Source, folder: Path, options: Options) -> Path:
    """Download, check and convert; the canonical file.

    Raises:
        SourceError: this source does not give the model.
        WeightsError: a file cannot be written.
    """
    work = work_folder(folder, row)
    progress = options.begin(source)
    stated = ""
    if source.kind == "huggingface":
        if not source.has_digest:
            stated = hub.stated_sha256(source, options.patience)
        if not (source.has_digest or stated or options.allow_unverified):
            raise SourceError("nobody states a digest of its file, so it cannot be checked")
    raw, reason = _over_https(row, source, work, progress, options.patience, stated)
    if reason:
        raw.unlink(missing_ok=True)
        raise SourceError(reason, wrong=True)
    target = canonical_path(folder, row)
    try:
        convert(raw, row, Provenance(source, file_digests(raw), checked_by(source, stated)), target)
    finally:
        raw.unlink(missing_ok=True)
    return target


def _over_https(
    row: ModelRow,
    source: Source,
    work: Path,
    progress: Progress,
    patience: Patience,
    stated: str,
) -> tuple[Path, str]:
    """Download to a working file; the file, and how it differs from what it should be."""
    on_hub = source.kind == "huggingface"
    url, access = (hub.address(source), hub.access()) if on_hub else (source.url, Access())
    part = work / f"{hashlib.sha256(url.encode()).hexdigest()[:16]}.part"
    limit = 2 * BYTES_PER_PARAMETER * row.parameters + SLACK
    while True:
        resumed = download(url, part, source.size, limit, progress, patience, access)
        reason = mismatch(source, file_digests(part), stated)
        if not (reason and resumed):
            return part, reason
        # A beginning from an earlier run may have been damaged since: once more, from the start.
        part.unlink()


def _not_fetched(
    row: ModelRow,
    folder: Path,
    failures: list[tuple[Source, SourceError]],
    left_out: list[Source],
) -> WeightsError:
    """The error that says what every source said, and what else can be done."""
    hints = []
    if failures and all(error.unreachable for _, error in failures):
        hints.append("Check the network, and HTTPS_PROXY if there is a proxy.")
    if left_out:
        hosts = ", ".join(dict.fromkeys(source.host for source in left_out))
        hints.append(
            f"edsr fetch-weights {row.name} --allow-unverified also takes the file of {hosts}, on"
            " trust: nobody has published its digest."
        )
    if any(source.has_digest for source in row.sources):
        hints.append(
            f"A copy from elsewhere can be put into {display_name(folder)}: it is recognised by"
            " its digest, whatever its name."
        )
    hosts_by_reason: dict[str, list[str]] = {}
    for source, error in failures:
        hosts_by_reason.setdefault(str(error), []).append(source.host)
    reasons = "; ".join(
        f"{', '.join(dict.fromkeys(hosts))}: {reason}" for reason, hosts in hosts_by_reason.items()
    )
    return WeightsError(
        f"{row.label} could not be fetched: {reasons or 'no source of it can be checked'}.",
        " ".join(hints),
    )

"""One file from the Hugging Face hub, by its own client.

The client brings what its users rely on: HF_ENDPOINT, HF_HUB_OFFLINE, HF_TOKEN, proxies, and files
that HF_HOME holds already. It does not look at what it downloads: a file of the right length
passes. So files come into a working folder, not into the hub's cache, and get a name of ours only
after their digest was checked.
"""

import contextlib
import logging
import re
import shutil
import socket
import urllib.request
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from edsr_cli import __version__
from edsr_cli.checkpoints.model_row import Source
from edsr_cli.checkpoints.store.answers import certificate_reason, no_connection
from edsr_cli.checkpoints.store.errors import SourceError, cannot_write, is_local
from edsr_cli.checkpoints.store.https import Patience, Progress

FOLDER = "hub"
"""What `download` calls the folder that it creates."""

_SHA256 = re.compile(r"[0-9a-f]{64}")


def is_offline() -> bool:
    """Whether HF_HUB_OFFLINE asks for no network at all."""
    from huggingface_hub import constants

    return bool(constants.HF_HUB_OFFLINE)


def in_hub_cache(source: Source) -> Path | None:
    """The file in the hub's own cache (HF_HOME), if another program has fetched it."""
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(source.repo, source.file, revision=source.revision)
    return Path(found) if isinstance(found, str) else None


def cached_sha256(path: Path) -> str:
    """The sha256 that the hub stated for a file in its cache: the name of what the link leads to.

    Empty if it stated none, as for small files and on systems without links.
    """
    name = path.resolve().name
    return name if _SHA256.fullmatch(name) else ""


def stated_sha256(source: Source, patience: Patience) -> str:
    """The sha256 that the hub states for a file at a commit; empty if it states none.

    Raises:
        SourceError: the hub does not answer, or has no such file.
    """
    from huggingface_hub import get_hf_file_metadata, hf_hub_url

    _check_reachable(patience)
    try:
        with _explained(), _quiet():
            url = hf_hub_url(source.repo, source.file, revision=source.revision)
            etag = get_hf_file_metadata(url, retry_on_errors=True).etag or ""
    except OSError as error:
        raise SourceError(error.strerror or str(error)) from error
    return etag if _SHA256.fullmatch(etag) else ""


def download(source: Source, work: Path, progress: Progress, patience: Patience) -> Path:
    """Fetch a file into a new folder, `FOLDER`, in the folder `work`.

    Args:
        source: of kind "huggingface".
        work: a folder that exists.
        progress: called with bytes done and in all.
        patience: its `stall` limits the wait for a connection; the client's own limits are
            HF_HUB_DOWNLOAD_TIMEOUT and HF_HUB_ETAG_TIMEOUT.

    Raises:
        SourceError: the hub does not give the file.
        WeightsError: the file cannot be written here.
    """
    from huggingface_hub import hf_hub_download

    folder = work / FOLDER
    # The client takes a file that is there for the right one, and never goes on with another
    # process's beginning.
    shutil.rmtree(folder, ignore_errors=True)
    _check_reachable(patience)
    try:
        with _explained(), _quiet():
            path = hf_hub_download(
                source.repo,
                source.file,
                revision=source.revision,
                local_dir=folder,
                library_name="edsr",
                library_version=__version__,
                tqdm_class=_bar(progress),
            )
    except OSError as error:
        raise cannot_write(folder, error) from error
    return Path(path)


def _check_reachable(patience: Patience) -> None:
    """Find out at once that there is no network; the client would try for 23 seconds.

    Behind a proxy there is nothing to find out: it is the proxy that connects.

    Raises:
        SourceError: the hub cannot be reached.
    """
    from huggingface_hub import constants

    address = urlsplit(constants.ENDPOINT)
    if address.hostname is None or urllib.request.getproxies():
        return
    port = address.port or (443 if address.scheme == "https" else 80)
    try:
        socket.create_connection((address.hostname, port), timeout=patience.stall).close()
    except OSError as error:
        found = no_connection(error, patience.stall)
        raise SourceError(str(found), unreachable=True) from error


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the client's warnings off the terminal; what fails is explained in one line."""
    from huggingface_hub.utils import logging as hub_logging

    before = hub_logging.get_verbosity()
    hub_logging.set_verbosity(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that the disk may be too small, for one
            yield
    finally:
        hub_logging.set_verbosity(before)


@contextlib.contextmanager
def _explained() -> Iterator[None]:
    """Turn what the client raises into a SourceError, except what this machine's disk raises."""
    from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError

    try:
        yield
    except Exception as error:
        # The client lets through what its HTTP library raises, which differs between its versions,
        # and wraps it at times. So the whole chain of causes is looked at.
        chain = list(_causes(error))
        for each in chain:
            if isinstance(each, HfHubHTTPError) and each.response is not None:
                raise SourceError(_refused(each.response.status_code)) from error
            if "CERTIFICATE_VERIFY_FAILED" in str(each):
                detail = re.search(r"verify failed: ([^(]*\S)", str(each))
                found = detail[1] if detail else "it cannot be verified"
                raise SourceError(certificate_reason(found)) from error
        if isinstance(error, OSError) and is_local(error):
            raise
        if isinstance(error, EntryNotFoundError):  # wraps what kept it from asking the hub
            error = chain[-1] if isinstance(chain[-1], Exception) else error
        reason = (str(error).strip().splitlines() or [""])[0].rstrip(".") or type(error).__name__
        raise SourceError(reason) from error


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _refused(status: int) -> str:
    if status in (401, 403):
        return f"HTTP {status}: access was refused (a token goes into HF_TOKEN)"
    return f"HTTP {status}"


def _bar(progress: Progress) -> Any:
    """A progress bar of the client's kind that draws nothing and reports to `progress`."""
    from huggingface_hub.utils.tqdm import tqdm

    class Bar(tqdm):
        def __init__(self, *args: Any, **options: Any) -> None:
            self._total = options.get("total")
            self._done = options.get("initial") or 0
            super().__init__(*args, **options | {"disable": True})  # type: ignore[no-untyped-call]

        def update(self, n: float | None = 1) -> None:
            self._done += int(n or 0)
            progress(self._done, self._total)

    return Bar

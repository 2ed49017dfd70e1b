"""One file over HTTPS: with retries, resumed where the connection was cut, never without checks.

The client is the standard library's. huggingface-hub's own has changed twice (requests, httpx,
httpx2), so code written for it would tie this program to a few versions of that library, while
urllib knows all that is needed here: proxies from the environment, the system's certificates (or
those in SSL_CERT_FILE), redirects, and a limit on every wait for the network.
"""

import http.client
import logging
import re
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from email.message import Message
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any, TypeVar
from urllib.parse import urlsplit

from msgspec import Struct

from edsr_cli import __version__
from edsr_cli.checkpoints.store import Progress
from edsr_cli.checkpoints.store.answers import (
    PassingError,
    SourceError,
    no_connection,
    refusal,
    version_of,
)
from edsr_cli.checkpoints.store.cache import cannot_write

logger = logging.getLogger(__name__)

T = TypeVar("T")

_CHUNK = 2**16  # bytes
_WORTHWHILE = 2**18  # bytes gained that make up for a failed attempt


class Patience(Struct, frozen=True):
    """How long to wait for a server.

    Attributes:
        stall: seconds without a byte until a connection counts as dead.
        attempts: how often in a row to try with next to nothing gained.
        pause: seconds before the second attempt; it doubles from one to the next.
        longest_pause: seconds; a server that asks for more is given up.
    """

    stall: float = 30.0
    attempts: int = 4
    pause: float = 1.0
    longest_pause: float = 60.0


USUAL = Patience()
"""Where nothing else is said."""


class Access(Struct, frozen=True):
    """How a server wants to be asked.

    Attributes:
        token: sent to the server itself, and to none that it redirects to.
        plain: the beginning of addresses that may do without encryption, such as a mirror's on this
            machine; empty for none.
    """

    token: str = ""
    plain: str = ""

    def allows(self, url: str) -> bool:
        """Whether an address may be asked."""
        return urlsplit(url).scheme == "https" or bool(self.plain and url.startswith(self.plain))


NO_ACCESS = Access()


class _OnlyHttps(urllib.request.HTTPRedirectHandler):
    """Follows redirects, but never to where anybody on the way could change the file."""

    def __init__(self, access: Access) -> None:
        self._access = access

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Any,
        newurl: str,
    ) -> urllib.request.Request | None:  # fmt: skip
        if not self._access.allows(newurl):
            raise SourceError(f"it redirects to {newurl}, which is not https")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def download(
    url: str,
    part: Path,
    size: int | None,
    limit: int,
    progress: Progress,
    patience: Patience,
    access: Access = NO_ACCESS,
) -> bool:
    """Bring `part` to hold the whole file; an earlier run's beginning of it is continued.

    Beside `part` goes a file with what the server calls this version of the file, so that two
    versions are never joined.

    Args:
        url: https, or what `access` allows.
        part: the file to write, in a folder that exists. It is left as far as it came.
        size: bytes it must have, if known.
        limit: bytes it may have at most.
        progress: see `Progress`.
        patience: how long to wait.
        access: how to ask.

    Returns:
        Whether a part of it is from an earlier run.

    Raises:
        SourceError: the server does not give the file.
        WeightsError: the file cannot be written here.
    """
    transfer = _Transfer(url, part, size, limit, progress, patience.stall, access)
    resumed = transfer.offset() > 0
    with_patience(transfer.run, url, patience, transfer.offset)
    transfer.version_file.unlink(missing_ok=True)
    return resumed and transfer.continued


def with_patience(
    work: Callable[[], T], url: str, patience: Patience, offset: Callable[[], int] = lambda: 0
) -> T:
    """Do something that a server may fail to answer, as often as is worth it.

    Args:
        work: what to do; a `PassingError` asks for another attempt.
        url: for messages.
        patience: how long to wait.
        offset: how many bytes have been gained.

    Raises:
        SourceError: the server does not answer.
    """
    failures = 0
    while True:
        before = offset()
        try:
            return work()
        except PassingError as error:
            failures = 1 if offset() - before >= _WORTHWHILE else failures + 1
            pause = patience.pause * 2 ** (failures - 1) if error.after is None else error.after
            if failures >= patience.attempts or pause > patience.longest_pause:
                waiting = f", and asks to wait {pause:.0f} s" if error.after else ""
                raise SourceError(f"{error}{waiting}") from error
            logger.debug("%s: %s; again in %.0f s", url, error, pause)
            time.sleep(pause)


def stated_headers(url: str, patience: Patience, access: Access = NO_ACCESS) -> Message:
    """The headers with which a server answers a HEAD request, before it redirects elsewhere.

    Args:
        url: https, or what `access` allows.
        patience: how long to wait.
        access: how to ask.

    Raises:
        SourceError: the server does not answer, or has no such file.
    """

    def ask() -> Message:
        opener = _opener(access, _SameHost)
        with _answer(opener, _request(url, access, method="HEAD"), patience.stall) as response:
            return response.headers

    return with_patience(ask, url, patience)


class _SameHost(_OnlyHttps):
    """Follows redirects on one host, and takes one to another host for the answer."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Any,
        newurl: str,
    ) -> urllib.request.Request | None:  # fmt: skip
        if urlsplit(newurl).netloc != urlsplit(req.full_url).netloc:
            return None
        again = super().redirect_request(req, fp, code, msg, headers, newurl)
        if again is not None:
            again.method = req.method
        return again


def _request(
    url: str, access: Access, method: str = "GET", headers: Mapping[str, str] = MappingProxyType({})
) -> urllib.request.Request:
    own = {"User-Agent": f"edsr/{__version__}", "Accept-Encoding": "identity"}
    request = urllib.request.Request(url, headers={**own, **headers}, method=method)
    if access.token:
        request.add_unredirected_header("Authorization", f"Bearer {access.token}")
    return request


def _opener(access: Access, follow: type[_OnlyHttps]) -> urllib.request.OpenerDirector:
    return urllib.request.build_opener(
        urllib.request.HTTPSHandler(context=ssl.create_default_context()), follow(access)
    )


def _answer(
    opener: urllib.request.OpenerDirector, request: urllib.request.Request, stall: float
) -> http.client.HTTPResponse:
    """Send a request; an error that the server answers with is a PassingError or a SourceError."""
    try:
        return opener.open(request, timeout=stall)
    except urllib.error.HTTPError as error:
        if request.method == "HEAD" and 300 <= error.code < 400:
            return error  # type: ignore[return-value]  # it is a response, too
        with error:
            raise _RefusedError if error.code == 416 else refusal(error) from error
    except urllib.error.URLError as error:
        raise no_connection(error.reason, stall) from error
    except (OSError, http.client.HTTPException) as error:
        raise no_connection(error, stall) from error


class _RefusedError(Exception):
    """HTTP 416: what we have is longer than the file."""


class _Transfer:
    """The attempts to get one file."""

    def __init__(
        self,
        url: str,
        part: Path,
        size: int | None,
        limit: int,
        progress: Progress,
        stall: float,
        access: Access,
    ) -> None:
        self.url, self.part, self.size, self.limit = url, part, size, limit
        self.progress, self.stall = progress, stall
        self.version_file = part.with_name(part.name + ".version")
        self.continued = True  # whether the part's beginning is still that of the start
        self.access = access
        self.opener = _opener(access, _OnlyHttps)

    def offset(self) -> int:
        """Bytes that are there already and may be continued."""
        try:
            return self.part.stat().st_size if self.version_file.stat().st_size else 0
        except OSError:
            return 0

    def run(self) -> None:
        """Ask for what is missing, once."""
        offset = self.offset()
        headers = {}
        if offset:
            # If-Range: the rest of this very version, or else the whole of the new one.
            headers["Range"] = f"bytes={offset}-"
            headers["If-Range"] = self.version_file.read_text(encoding="latin-1")
        with self._open(_request(self.url, self.access, headers=headers)) as response:
            start, total = self._extent(response, offset)
            self._check_size(total)
            if start == 0:
                self.continued = False
                self._forget()  # first, so that no older part ever stands beside a newer version
                version = version_of(response) if total is not None else ""
                self._write_version(version)
            self._receive(response, start, total)

    def _open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        try:
            return _answer(self.opener, request, self.stall)
        except _RefusedError as error:
            self._forget()
            raise PassingError("HTTP 416") from error

    def _extent(self, response: http.client.HTTPResponse, offset: int) -> tuple[int, int | None]:
        """Where the body starts in the file, and how long the file is, if that is said."""
        if response.status == 206:
            given = re.fullmatch(
                r"bytes (\d{1,18})-\d{1,18}/(\d{1,18}|\*)",
                response.headers.get("Content-Range", "").strip(),
            )
            if not offset or given is None or int(given[1]) != offset:
                self._forget()
                raise PassingError("it answered with another part of the file")
            return offset, None if given[2] == "*" else int(given[2])
        if response.status != 200:
            raise SourceError(f"HTTP {response.status} {response.reason}".rstrip())
        length = response.headers.get("Content-Length", "")
        return 0, int(length) if re.fullmatch(r"\d{1,18}", length) else None

    def _check_size(self, total: int | None) -> None:
        if total is not None and self.size is not None and total != self.size:
            reason = f"wrong size: expected {self.size} bytes, found {total}"
            raise SourceError(reason, wrong=True)
        if total is not None and total > self.limit:
            reason = f"wrong size: {total} bytes are too many for this model"
            raise SourceError(reason, wrong=True)

    def _receive(self, response: http.client.HTTPResponse, start: int, total: int | None) -> None:
        """Write the body behind the first `start` bytes."""
        done = start
        with self._opened(start) as file:
            self.progress(done, total)
            while chunk := self._read(response, done):
                done += len(chunk)
                if done > self.limit:
                    self._forget()
                    reason = f"wrong size: more than {self.limit} bytes"
                    raise SourceError(reason, wrong=True)
                self._write(file, chunk)
                self.progress(done, total)
        if total is not None and done < total:
            raise PassingError(f"the connection was cut after {done} of {total} bytes")

    def _read(self, response: http.client.HTTPResponse, done: int) -> bytes:
        try:
            return response.read1(_CHUNK)
        except TimeoutError as error:
            raise PassingError(f"no data for {self.stall:g} s after {done} bytes") from error
        except (OSError, http.client.HTTPException) as error:
            raise PassingError(f"the connection was cut after {done} bytes") from error

    def _opened(self, start: int) -> IO[bytes]:
        try:
            # Unbuffered: what is counted as written is written, whatever happens next.
            file = self.part.open("r+b" if start else "wb", buffering=0)
            file.seek(start)
            return file
        except OSError as error:
            raise cannot_write(self.part, error) from error

    def _write(self, file: IO[bytes], chunk: bytes) -> None:
        left = memoryview(chunk)
        try:
            while left:
                left = left[file.write(left) :]
        except OSError as error:
            file.close()
            self._forget()  # gives the space back
            raise cannot_write(self.part, error) from error

    def _write_version(self, version: str) -> None:
        try:
            self.version_file.write_text(version, encoding="latin-1")
        except OSError as error:
            raise cannot_write(self.version_file, error) from error

    def _forget(self) -> None:
        self.part.unlink(missing_ok=True)
        self.version_file.unlink(missing_ok=True)

"""Folders of objects, and single objects, in stores that fsspec knows.

Everything is tried again, with growing pauses, when a store says that it is busy, does not answer,
or a connection is cut. An object appears whole or not at all: that is how stores are.
"""

import logging
import random
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime
from functools import cache, partial
from operator import methodcaller
from pathlib import Path
from typing import Any, TypeVar

from msgspec import Struct

from edsr_cli.errors import Kind, UsageError
from edsr_cli.files.state import FileState
from edsr_cli.stores.addresses import SCHEMES, is_file_name, is_web, scheme_of, shown
from edsr_cli.stores.failures import StoreError, explain

logger = logging.getLogger(__name__)

T = TypeVar("T")

PAUSES = (0.5, 1.0, 2.0, 4.0, 8.0)
"""Seconds between two tries, each up to twice as long."""

_CONNECTING, _READING = 10.0, 30.0  # seconds that a store may take for that
_INNER_TRIES = 2  # of s3fs, within each of ours: it goes on in the middle of an object
_PAGE = 1000  # objects that S3 lists at once
_PART, _PARTS_AT_ONCE = 16 << 20, 2  # bytes; objects of less than two parts are sent whole
_WHOLE_TO_GOOGLE = 5 << 20  # bytes from which gcsfs sends an object in parts


class Entry(Struct, frozen=True):
    """What is in a folder of a store.

    Attributes:
        name: without the folder.
        state: of an object; None for a folder.
    """

    name: str
    state: FileState | None


class Blob(Struct, frozen=True):
    """An object, there or yet to be.

    Attributes:
        address: where it is.
        known: its state when it was listed; None if it was not.
    """

    address: str
    known: FileState | None = None

    @property
    def shown(self) -> str:
        """Its address for people."""
        return shown(self.address)

    def state(self) -> FileState | None:
        """What it is now, or was when it was listed; None for nothing.

        Raises:
            StoreError: the store does not say.
        """
        return self.known or self.look()

    def look(self) -> FileState | None:
        """What it is now, whatever was listed; None for nothing.

        Raises:
            StoreError: the store does not say.
        """
        try:
            found = _tried(self.address, lambda fs: fs.info(self.address))
        except StoreError as error:
            if error.kind is Kind.MISSING:
                return None
            raise
        return None if found["type"] == "directory" else _state(found)

    def fetch(self, path: Path) -> None:
        """Make a file of it.

        Args:
            path: the file.

        Raises:
            StoreError: it cannot be read, or not whole.
        """

        def fetch(fs: Any) -> None:
            path.parent.mkdir(parents=True, exist_ok=True)
            fs.get_file(self.address, str(path), **_in_parts(self.address))
            size = path.stat().st_size
            if self.known and self.known.size != size and not is_web(self.address):
                raise EOFError(f"{size} of {self.known.size} bytes")

        _tried(self.address, fetch)

    def read(self, begin: int, end: int) -> bytes:
        """Some of its bytes; all of them on the web where a server knows no ranges.

        Args:
            begin, end: which.

        Raises:
            StoreError: it cannot be read.
        """
        return _tried(self.address, lambda fs: fs.cat_file(self.address, start=begin, end=end))

    def put(self, path: Path, *, replace: bool) -> FileState:
        """Make it of a file, and give its state.

        Args:
            path: the file.
            replace: whether an object of this name may be replaced. If not, and there is one with
                the same bytes, that is taken for this one: the answer to an earlier try was lost.

        Raises:
            StoreError: it cannot be written, or there is another.
        """
        how = _in_parts(self.address)

        def put(fs: Any) -> None:
            if replace:
                fs.put_file(str(path), self.address, **how)
                return
            # Google's hears of the condition when an upload in parts begins, if it does.
            parts = scheme_of(self.address) == "gs" and path.stat().st_size >= _WHOLE_TO_GOOGLE
            if parts and self.look() is not None:
                raise FileExistsError
            try:
                fs.put_file(str(path), self.address, mode="create", **how)
            except NotImplementedError:  # a store without conditional requests
                if self.look() is not None:
                    raise FileExistsError from None
                fs.put_file(str(path), self.address, **how)

        try:
            _tried(self.address, put)
        except StoreError as error:
            if error.kind is not Kind.EXISTS or not self._holds(path):
                raise
        found = self.look()
        if found is None:
            raise StoreError("it was removed at once.", "Try again.", about=self.shown)
        return found

    def check_writable(self) -> None:
        """Find out whether it can be written, before there is anything to write.

        Nothing is to be seen of it. S3 is told that an upload in parts begins, and that it is given
        up; another store gets an empty object beside this one, which is removed.

        Raises:
            StoreError: it cannot.
        """
        trial = _begin_parts if scheme_of(self.address) == "s3" else _put_beside
        _tried(self.address, partial(trial, address=self.address))

    def put_bytes(self, data: bytes) -> None:
        """Make it of bytes, whatever was there.

        Raises:
            StoreError: it cannot be written.
        """
        _tried(self.address, lambda fs: fs.pipe_file(self.address, data))

    def _holds(self, path: Path) -> bool:
        """Whether it has the bytes of a file."""
        found = self.look()
        if found is None or found.size != path.stat().st_size:
            return False

        def same(fs: Any) -> bool:
            with path.open("rb") as ours, fs.open(self.address, "rb") as theirs:
                while chunk := ours.read(1 << 20):
                    if theirs.read(len(chunk)) != chunk:
                        return False
            return True

        return _tried(self.address, same)


class Store(Struct, frozen=True):
    """A folder of objects.

    Attributes:
        address: where it is, without a "/" at the end.
    """

    address: str

    @classmethod
    def at(cls, address: str) -> "Store":
        """The folder of an address."""
        return cls(address.rstrip("/"))

    @property
    def shown(self) -> str:
        """Its address for people."""
        return shown(self.address)

    def folder(self, below: str) -> "Store":
        """A folder in it; "" for itself."""
        return Store(f"{self.address}/{below}") if below else self

    def blob(self, below: str, known: FileState | None = None) -> Blob:
        """An object in it."""
        return Blob(f"{self.address}/{below}", known)

    def entries(self, beginning: str = "") -> Iterator[Entry]:
        """What is in it, page by page; nothing where there is no such folder.

        Names that could lead elsewhere on this machine, such as "..", are left out.

        Args:
            beginning: of the names that are wanted.

        Raises:
            StoreError: it cannot be listed, or there is no such bucket.
        """
        pages = _pages_of_s3 if scheme_of(self.address) == "s3" else _one_page
        for page in pages(self.address, beginning):
            for entry in page:
                if is_file_name(entry.name) and entry.name.startswith(beginning):
                    yield entry

    def read_all(self, names: list[str]) -> Iterator[bytes]:
        """The contents of small objects in it, in order.

        Raises:
            StoreError: one cannot be read.
        """
        addresses = [f"{self.address}/{name}" for name in names]
        for begin in range(0, len(addresses), 64):  # as many at once
            part = addresses[begin : begin + 64]
            yield from _tried(self.address, partial(_contents, addresses=part))


def _begin_parts(fs: Any, address: str) -> None:
    bucket, _, key = address.partition("://")[2].partition("/")
    place = {"Bucket": bucket, "Key": key}
    begun = fs.call_s3("create_multipart_upload", **place)
    # Whoever may write need not be allowed to give up, too; without a part, nothing is kept.
    with suppress(Exception):
        fs.call_s3("abort_multipart_upload", **place, UploadId=begun["UploadId"])


def _put_beside(fs: Any, address: str) -> None:
    trial = f"{address.rpartition('/')[0]}/.edsr-{secrets.token_hex(8)}.tmp"
    fs.pipe_file(trial, b"")
    try:
        fs.rm_file(trial)
    except Exception:  # whoever may write need not be allowed to remove
        logger.warning("%s: this empty object could be made, but not removed.", shown(trial))


def _contents(fs: Any, addresses: list[str]) -> list[bytes]:
    found = fs.cat(addresses)
    return [found[fs._strip_protocol(address)] for address in addresses]


def _pages_of_s3(address: str, beginning: str) -> Iterator[list[Entry]]:
    """By pages of its own, since s3fs keeps a thousand bytes for each object until the last."""
    bucket, _, prefix = address.partition("://")[2].partition("/")
    prefix = prefix and f"{prefix}/"
    wanted = {
        "Bucket": bucket,
        "Prefix": prefix + beginning,
        "Delimiter": "/",
        "MaxKeys": _PAGE,
    }
    more: dict[str, str] = {}
    while True:
        ask = methodcaller("call_s3", "list_objects_v2", **wanted, **more)
        page: dict[str, Any] = _tried(address, ask)
        yield [
            Entry(each["Key"].removeprefix(prefix), _state(each))
            for each in page.get("Contents", ())
        ] + [
            Entry(each["Prefix"].removeprefix(prefix).rstrip("/"), None)
            for each in page.get("CommonPrefixes", ())
        ]
        if not page.get("IsTruncated"):
            return
        more = {"ContinuationToken": page["NextContinuationToken"]}


def _one_page(address: str, beginning: str) -> Iterator[list[Entry]]:
    try:
        found = _tried(address, lambda fs: fs.ls(address, detail=True))
    except StoreError as error:
        if error.kind is not Kind.MISSING:
            raise
        return
    yield [
        Entry(
            each["name"].rstrip("/").rpartition("/")[2],
            None if each["type"] == "directory" else _state(each),
        )
        for each in found
    ]


def _in_parts(address: str) -> dict[str, int]:
    """How large objects are sent and fetched; s3fs would take half a gigabyte for it."""
    if scheme_of(address) != "s3":
        return {}
    return {"chunksize": _PART, "max_concurrency": _PARTS_AT_ONCE}


def _state(values: dict[str, Any]) -> FileState:
    """The state of an object, from what the libraries for stores say of it."""

    def first(*names: str) -> Any:
        return next((values[name] for name in names if values.get(name)), None)

    size = first("Size", "size")
    version = first("ETag", "etag", "md5Hash", "content_md5", "generation")
    time_of = first("LastModified", "updated", "last_modified", "Last-Modified", "mtime")
    return FileState(size or 0, _nanoseconds(time_of), str(version or "").strip('"'))


def _nanoseconds(moment: Any) -> int:
    """A time as stores give it, in nanoseconds since 1970; 0 for none."""
    if isinstance(moment, str):
        from email.utils import parsedate_to_datetime

        for read in (datetime.fromisoformat, parsedate_to_datetime):
            with suppress(ValueError):
                return _nanoseconds(read(moment))
    if isinstance(moment, datetime):
        moment = moment.timestamp()
    return round(moment * 10**6) * 1000 if isinstance(moment, int | float) else 0


def _tried(address: str, action: Callable[[Any], T]) -> T:
    """Do something with the file system of an address, again if it may go well then.

    Raises:
        UsageError: a package is missing.
        StoreError: it does not work.
    """
    scheme = scheme_of(address)
    assert scheme is not None
    fs = _file_system(scheme)
    pauses = iter(PAUSES)
    while True:
        try:
            return action(fs)
        except StoreError:  # of something that was tried within
            raise
        except Exception as error:
            failure = explain(error, address)
        pause = next(pauses, None)
        if not failure.passing or pause is None:
            raise failure
        logger.debug("%s Tried again.", failure.message)
        time.sleep(pause * (1 + random.random()))  # not all at once, where many are at work


@cache
def _file_system(scheme: str) -> Any:
    """The file system of fsspec for addresses that begin so.

    Raises:
        UsageError: a package is missing.
    """
    known = SCHEMES[scheme]
    try:
        import fsspec

        options = _settings(scheme, fsspec.config.conf)
        fs = fsspec.filesystem(scheme, use_listings_cache=False, **options)
    except ImportError as error:
        raise UsageError(
            f"Addresses with {scheme}:// need {known.package}, which is not installed.",
            f"pip install 'edsr-cli[{known.extra}]'",
        ) from error
    if scheme == "s3":
        fs.retries = _INNER_TRIES
    if scheme == "gs":  # which prints whatever fails; what counts is raised
        logging.getLogger("gcsfs").setLevel(logging.CRITICAL)
    return fs


def _settings(scheme: str, chosen: dict[str, Any]) -> dict[str, Any]:
    """Time limits and tries, where the user has not set others for fsspec (FSSPEC_S3, ...)."""
    own = chosen.get(scheme, {})
    if scheme == "s3":
        config = {
            "connect_timeout": _CONNECTING,
            "read_timeout": _READING,
            "retries": {"total_max_attempts": 1},  # ours are enough
        }
        return {"config_kwargs": config | own.get("config_kwargs", {})}
    if is_web(f"{scheme}://"):
        import aiohttp

        limits = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECTING, sock_read=_READING)
        return {"client_kwargs": {"timeout": limits} | own.get("client_kwargs", {})}
    return {}

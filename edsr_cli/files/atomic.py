"""Files that appear complete or not at all."""

import errno
import io
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

from edsr_cli.errors import EdsrError, FileError
from edsr_cli.files.disk import rename_new, sync
from edsr_cli.files.names import display_name
from edsr_cli.files.reasons import kind_of_system_error, why_not_written
from edsr_cli.files.temporary import create

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

_BUFFER_BYTES = 2**20

_GONE = "its temporary file has been removed meanwhile"


@contextmanager
def atomic_write(
    path: Path,
    overwrite: bool = False,
    error: type[EdsrError] = FileError,
    commit: Callable[[os.stat_result], None] | None = None,
    mtime_ns: int | None = None,
) -> Iterator[BinaryIO]:
    """Give a binary file whose content becomes the file `path` when the block ends well.

    The content goes to a hidden temporary file in the same folder, reaches the disk (see `sync`),
    and only then takes the name. If the block raises anything, Ctrl-C included, the temporary file
    is removed and nothing has changed. Without `overwrite`, a file that somebody else creates
    meanwhile is not touched (see `rename_new`). The new file has the permissions of the one it
    replaces, or those of any new file.

    A symbolic link stays a link: the file it points to is replaced.

    Args:
        path: the file to write.
        overwrite: whether a file of that name may be replaced.
        error: what to raise.
        commit: called with the status of the finished file before it takes its name. If it raises
            anything, nothing has changed.
        mtime_ns: the time of change that the file is to have, in nanoseconds since 1970; None for
            that of writing.

    Raises:
        EdsrError: of the class `error`: the file exists and may not be replaced, or cannot be
            written. Exceptions of the block itself, and of `commit`, pass unchanged.
    """
    name = display_name(path)
    try:
        target, mode = _target(path, overwrite)
        temporary, raw = _create(target.parent, mode)
        guard = None
        try:
            try:
                guard = _guard(raw)
                buffered = cast(BinaryIO, io.BufferedWriter(raw, _BUFFER_BYTES))
                try:
                    yield buffered
                except OSError as problem:
                    # The block may do other things that fail; only this file's are explained.
                    if problem is raw.failure:
                        raise _WriteFailedError(problem) from problem
                    raise
                _finish(buffered, raw, target)
            finally:
                raw.close()
            if mtime_ns is not None:
                with suppress(OSError):  # some file systems have no times, or not such
                    os.utime(temporary, ns=(mtime_ns, mtime_ns))
            if commit is not None:
                with _failing(temporary):
                    status = temporary.stat()
                commit(status)
            _commit(temporary, target, overwrite)
        finally:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
            if guard is not None:
                os.close(guard)
        _sync_folder(target.parent)
    except _WriteFailedError as failed:
        raise _explain(failed.problem, name, error) from failed.problem


def check_writable(folder: Path, error: type[EdsrError] = FileError, touch: bool = True) -> None:
    """Find out whether files can be written to a folder.

    Args:
        folder: the folder.
        error: what to raise.
        touch: whether to create and remove an empty file, which is the only way to be sure. If not,
            nothing is changed, and only what the permissions forbid is found.

    Raises:
        EdsrError: of the class `error`: they cannot.
    """
    try:
        if not touch:
            with _failing():
                _look_at(folder)
            return
        temporary, raw = _create(folder, None)
        try:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
        finally:
            raw.close()
        with suppress(OSError):  # on Windows, only now
            temporary.unlink(missing_ok=True)
    except _WriteFailedError as failed:
        if failed.problem.errno == errno.ENOENT:
            raise error(
                "there is no such folder.", "Create it first.", about=display_name(folder)
            ) from failed.problem
        raise _explain(failed.problem, display_name(folder), error) from failed.problem


def _look_at(folder: Path) -> None:
    if not stat.S_ISDIR(folder.stat().st_mode):
        raise NotADirectoryError(errno.ENOTDIR, "not a folder")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, "no permission")


class _WriteFailedError(Exception):
    """A failure of the file system, to be explained with the name that the user gave."""

    def __init__(self, problem: OSError) -> None:
        super().__init__(str(problem))
        self.problem = problem


class _RawFile(io.FileIO):
    """A file that remembers the error its writing failed with."""

    failure: OSError | None = None

    def write(self, data: "ReadableBuffer", /) -> int:
        try:
            return super().write(data)
        except OSError as problem:
            self.failure = problem
            raise


@contextmanager
def _failing(temporary: Path | None = None) -> Iterator[None]:
    try:
        yield
    except OSError as problem:
        if problem.errno == errno.ENOENT and temporary is not None and temporary.parent.is_dir():
            raise _WriteFailedError(OSError(errno.ENOENT, _GONE)) from problem
        raise _WriteFailedError(problem) from problem
    except ValueError as problem:  # a name with a null character
        raise _WriteFailedError(OSError(errno.ENOENT, str(problem))) from problem


def _target(path: Path, overwrite: bool) -> tuple[Path, int | None]:
    """The file to write in the end, and the permissions of the one it replaces, if there is one."""
    with _failing():
        if not overwrite:
            if os.path.lexists(path):
                raise FileExistsError(errno.EEXIST, "exists")
            return path, None
        try:
            target = path.resolve()
            status = target.stat()
        except FileNotFoundError:
            return path.resolve(), None
        except RuntimeError as problem:  # Python < 3.13 says so of a loop of links
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP)) from problem
        if stat.S_ISDIR(status.st_mode):
            raise IsADirectoryError(errno.EISDIR, "folder")
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EEXIST, "not a regular file")
        return target, stat.S_IMODE(status.st_mode) & 0o777


def _create(folder: Path, mode: int | None) -> tuple[Path, _RawFile]:
    """Create a temporary file; its permissions follow the umask unless given."""
    with _failing():
        temporary, descriptor = create(folder)
        raw = _RawFile(descriptor, "wb")
    if mode is not None and hasattr(os, "fchmod"):
        with suppress(OSError):  # some file systems have no permissions
            os.fchmod(descriptor, mode)
    return temporary, raw


def _guard(raw: _RawFile) -> int | None:
    """Keep the temporary file locked when it is closed, until it has its name.

    It is closed before, since some file systems set a file's time only then. On Windows, where
    nobody removes what is open, a file that is open cannot be renamed either.
    """
    with _failing():
        return None if os.name == "nt" else os.dup(raw.fileno())


def _finish(buffered: BinaryIO, raw: _RawFile, target: Path) -> None:
    with _failing():
        buffered.flush()
        sync(raw.fileno(), target)
        buffered.close()


def _commit(temporary: Path, target: Path, overwrite: bool) -> None:
    with _failing(temporary):
        if overwrite:
            os.replace(temporary, target)  # noqa: PTH105 - the name says what it does
        else:
            rename_new(temporary, target)


def _sync_folder(folder: Path) -> None:
    """Make the new name survive a power cut, where the system can do that."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _explain(problem: OSError, name: str, error: type[EdsrError]) -> EdsrError:
    what, hint = _in_words(problem)
    return error(what, hint, about=name, kind=kind_of_system_error(problem, reading=False))


def _in_words(problem: OSError) -> tuple[str, str]:
    """What happened, and what to do."""
    if problem.errno == errno.EEXIST:
        if problem.strerror == "not a regular file":
            return "this is a device or a pipe, not a file.", "Choose another name."
        return "the file exists already.", "Use --overwrite to replace it."
    if problem.strerror == _GONE:
        return f"it cannot be written: {_GONE}.", "Try again."
    reason, hint = why_not_written(problem)
    return f"it cannot be written: {reason}.", hint

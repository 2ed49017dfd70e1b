"""What stores and the libraries for them say when something goes wrong, in our words.

Their own words are not passed on: they may hold signed addresses, and differ from store to store.
"""

import errno
from collections.abc import Iterator
from typing import Any

from edsr_cli.errors import FileError, Kind
from edsr_cli.files.reasons import FULL
from edsr_cli.stores.addresses import SCHEMES, scheme_of, shown

_NO_CREDENTIALS = ("credential", "clientauthentication", "unauthorizedsso", "tokenretrieval")
_OURS = (TypeError, AttributeError, KeyError, IndexError, NotImplementedError, ValueError)
_PASSING = frozenset((408, 425, 429))  # and all from 500
_AT_ODDS = frozenset(("ConditionalRequestConflict", "OperationAborted"))  # S3's, of 409: try again
_MISTAKEN = frozenset(("ParamValidationError", "InvalidURL", "InvalidUrlClientError"))


class StoreError(FileError):
    """An object of a store cannot be read or written.

    Args:
        passing: whether it may go well when it is tried again.
        others: as of `EdsrError`.
    """

    def __init__(
        self,
        what: str,
        hint: str = "",
        *,
        about: str = "",
        kind: Kind | None = None,
        passing: bool = False,
    ) -> None:
        super().__init__(what, hint, about=about, kind=kind)
        self.passing = passing


def explain(error: BaseException, address: str) -> StoreError:
    """The error to raise for what a library has raised about an address.

    Args:
        error: what it was.
        address: of the object, or of the folder.
    """
    name = shown(address)
    scheme = SCHEMES[scheme_of(address) or ""]
    if isinstance(error, FileNotFoundError) and error.__cause__ is not None:
        error = error.__cause__  # fsspec says so of the web whatever has happened
    chain = list(_chain(error))
    status, code = _answer(chain)
    detail = f" ({code or status})" if code or status else ""
    if code == "NoSuchBucket":
        return StoreError(
            "there is no such bucket.", "Check the address.", about=name, kind=Kind.MISSING
        )
    if status in (401, 403) or isinstance(error, PermissionError):
        what = f"the store does not permit this{detail}."
        return StoreError(what, scheme.credentials, about=name, kind=Kind.PERMISSION)
    if any(_is_about_credentials(each) for each in chain):
        what = "no credentials for the store are to be found here, or they do not work."
        return StoreError(what, scheme.credentials, about=name, kind=Kind.PERMISSION)
    at_odds = code in _AT_ODDS
    if (status in (409, 412) and not at_odds) or isinstance(error, FileExistsError):
        what = "there is an object of this name already."
        return StoreError(what, "To replace it, add --overwrite.", about=name, kind=Kind.EXISTS)
    if status in (404, 410) or (status is None and isinstance(error, FileNotFoundError)):
        return StoreError(
            "there is nothing at this address.", "Check it.", about=name, kind=Kind.MISSING
        )
    for each in chain:
        if isinstance(each, OSError) and each.errno in FULL and status is None:
            what = "there is no room for it on the disk where it is kept meanwhile."
            hint = "Set TMPDIR to a folder on a disk with more room."
            return StoreError(what, hint, about=name, kind=Kind.DISK_FULL)
    if status is None and isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG:
        return StoreError(
            "the name is too long.", "Choose a shorter name.", about=name, kind=Kind.NAME
        )
    if status is not None:
        passing = at_odds or status in _PASSING or status >= 500
    else:
        passing = not isinstance(error, _OURS) and type(error).__name__ not in _MISTAKEN
    if passing:
        what = f"the store does not answer as it should{detail or f' ({type(error).__name__})'}."
        return StoreError(
            what, "Try again later: the same command goes on.", about=name, passing=True
        )
    what = f"the store does not take this{detail or f' ({type(error).__name__})'}."
    return StoreError(what, "Check the address, and the settings for the store.", about=name)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error, and what is behind it."""
    for _ in range(10):
        if error is None:
            return
        yield error
        error = error.__cause__ or error.__context__


def _answer(chain: list[BaseException]) -> tuple[int | None, str]:
    """The HTTP status and the code that a store has answered with, as far as they are known."""
    for error in chain:
        answer: Any = getattr(error, "response", None)
        if isinstance(answer, dict):  # botocore
            code = str(answer.get("Error", {}).get("Code", ""))
            status = answer.get("ResponseMetadata", {}).get("HTTPStatusCode")
            status = status or (int(code) if code.isdigit() else None)
            return status, "" if code.isdigit() else code
        for name, library in (("status", ""), ("status_code", ""), ("code", "gcsfs.")):
            known = type(error).__module__.startswith(library)
            value = getattr(error, name, None) if known else None
            if isinstance(value, int | str) and str(value).isdigit() and 400 <= int(value) < 600:
                return int(value), ""
    return None, ""


def _is_about_credentials(error: BaseException) -> bool:
    name = type(error).__name__.lower()
    return any(part in name for part in _NO_CREDENTIALS)

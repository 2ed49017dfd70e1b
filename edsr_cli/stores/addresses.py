"""Addresses: which are taken, and how they are shown, without what is secret in them."""

import re
from pathlib import PurePath
from urllib.parse import unquote

from msgspec import Struct

from edsr_cli.errors import UsageError
from edsr_cli.text import one_line

_ADDRESS = re.compile(r"([a-z][a-z0-9+.-]{1,15})://", re.IGNORECASE)


class Scheme(Struct, frozen=True):
    """A kind of store.

    Attributes:
        package: what fsspec needs for it.
        extra: the extra of this package that brings that along.
        credentials: where its credentials come from, as a hint.
        writable: whether objects can be put there.
    """

    package: str
    extra: str
    credentials: str
    writable: bool = True


_S3 = Scheme(
    "s3fs",
    "cloud",
    "Credentials come from the environment (AWS_ACCESS_KEY_ID and what belongs to it), from "
    "~/.aws, where AWS_PROFILE chooses, or from the role of the machine.",
)
_GOOGLE = Scheme(
    "gcsfs",
    "gcs",
    "Credentials come from GOOGLE_APPLICATION_CREDENTIALS, from "
    "gcloud auth application-default login, or from the role of the machine.",
)
_AZURE = Scheme(
    "adlfs",
    "azure",
    "Credentials come from the environment: AZURE_STORAGE_CONNECTION_STRING, or "
    "AZURE_STORAGE_ACCOUNT_NAME with a key, a token, or the role of the machine.",
)
_WEB = Scheme("aiohttp", "cloud", "Look at the address in a browser.", writable=False)

SCHEMES = {
    "s3": _S3,
    "gs": _GOOGLE,
    "az": _AZURE,
    "abfs": _AZURE,
    "abfss": _AZURE,
    "http": _WEB,
    "https": _WEB,
}
"""The kinds of stores that are taken, by how their addresses begin."""


def scheme_of(name: str) -> str | None:
    """How an address begins, in lower case; None for what is no address."""
    found = _ADDRESS.match(name)
    return found[1].lower() if found else None


def is_address(name: str) -> bool:
    """Whether a name is an address of a store that is taken."""
    return scheme_of(name) in SCHEMES


def is_web(name: str) -> bool:
    """Whether it is an address on the web, which has no folders."""
    return scheme_of(name) in ("http", "https")


def shown(address: str) -> str:
    """An address in one line, for people and for files, without passwords and signatures.

    On the web all that stands behind "?" may be a signature. Elsewhere it is a part of a name.
    """
    scheme = scheme_of(address)
    if scheme is None:
        return one_line(address)
    head, _, rest = address.partition("://")
    path, query = _split(rest) if is_web(address) else (rest, "")
    place, slash, key = path.partition("/")
    user, at, host = place.rpartition("@")
    if at and (":" in user or is_web(address)):
        place = f"***@{host}"
    return one_line(f"{head}://{place}{slash}{key}{'?***' if query else ''}")


def _split(rest: str) -> tuple[str, str]:
    """What stands in front of the "?" of an address on the web, and behind it; without the "#".

    `urllib` would refuse what is no address, for which there has to be a message.
    """
    path, _, query = rest.partition("#")[0].partition("?")
    return path, query


def last_part(address: str) -> str:
    """The name of the object at an address; "" if there is none, or it could not be that of a file.

    On the web, what stands behind "?" does not belong to it.
    """
    _, _, path = address.partition("://")[2].partition("/")
    if is_web(address):
        path = unquote(_split(path)[0])
    name = path.rpartition("/")[2]
    return name if is_file_name(name) else ""


def is_file_name(name: str) -> bool:
    """Whether a file here may have that name, and does not lie elsewhere than it seems to."""
    return name not in ("", ".", "..") and PurePath(name).name == name


def check_address(address: str, *, writing: bool = False) -> None:
    """Refuse addresses that cannot be used as they are.

    Raises:
        UsageError: credentials are in it, it names no place, or nothing can be written there.
    """
    scheme = scheme_of(address)
    assert scheme is not None
    place = address.partition("://")[2].partition("/")[0]
    if not place:
        raise UsageError("this address names no place.", "Check it.", about=shown(address))
    if not is_web(address) and ":" in place.rpartition("@")[0]:
        raise UsageError(
            "credentials do not belong into an address, which others may see.",
            SCHEMES[scheme].credentials,
            about=shown(address),
        )
    if writing and not SCHEMES[scheme].writable:
        raise UsageError(
            "nothing can be written to an address on the web.",
            "Give a folder, or a place in a store, with -o.",
            about=shown(address),
        )

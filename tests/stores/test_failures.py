"""What the libraries for stores raise, in our words. S3's is tried on a server in test_store."""

import errno
import socket

import pytest

from edsr_cli.errors import Kind
from edsr_cli.stores.failures import explain

ADDRESS = "https://host/a.png?signature=SECRET"


def named(name, module="library", **values):
    """An error of a class with that name."""
    return (
        type(name, (Exception,), {"__module__": module})("SECRET")
        if not values
        else type(name, (Exception,), {"__module__": module} | values)("SECRET")
    )


def behind(error, cause):
    error.__cause__ = cause
    return error


def answered(code):
    """What botocore raises of a conditional PUT that S3 refuses."""
    return named(
        "ClientError",
        response={"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": 409}},
    )


RESPONSE = {"Error": {"Code": "ExpiredToken"}, "ResponseMetadata": {"HTTPStatusCode": 400}}


@pytest.mark.parametrize(
    ("error", "kind", "passing"),
    [
        (named("ClientResponseError", status=503), None, True),
        (named("ClientResponseError", status=429), None, True),
        (named("ClientResponseError", status=404), Kind.MISSING, False),
        (named("ClientResponseError", status=403), Kind.PERMISSION, False),
        (named("ClientResponseError", status=400), None, False),
        (named("HttpResponseError", status_code=500), None, True),
        (named("ResourceExistsError", status_code=409), Kind.EXISTS, False),
        (named("HttpError", "gcsfs.retry", code=412), Kind.EXISTS, False),
        (named("HttpError", "gcsfs.retry", code="502"), None, True),
        (named("ContentLengthError", "aiohttp.http_exceptions", code=400), None, True),
        (named("ClientError", response=RESPONSE), None, False),
        (answered("ConditionalRequestConflict"), None, True),
        (answered("OperationAborted"), None, True),
        (answered("BucketAlreadyExists"), Kind.EXISTS, False),
        (named("NoCredentialsError"), Kind.PERMISSION, False),
        (named("DefaultCredentialsError"), Kind.PERMISSION, False),
        (named("ClientAuthenticationError"), Kind.PERMISSION, False),
        (named("ParamValidationError"), None, False),
        (named("FSTimeoutError"), None, True),
        (FileNotFoundError("SECRET"), Kind.MISSING, False),
        (behind(FileNotFoundError("SECRET"), named("X", status=503)), None, True),
        (behind(FileNotFoundError("SECRET"), ConnectionRefusedError()), None, True),
        (behind(OSError("SECRET"), named("X", response=RESPONSE)), None, False),
        (PermissionError("SECRET"), Kind.PERMISSION, False),
        (FileExistsError(), Kind.EXISTS, False),
        (OSError(errno.ENOSPC, "full"), Kind.DISK_FULL, False),
        (OSError(errno.ENAMETOOLONG, "long"), Kind.NAME, False),
        (socket.gaierror("SECRET"), None, True),
        (TimeoutError("SECRET"), None, True),
        (ConnectionResetError("SECRET"), None, True),
        (EOFError("SECRET"), None, True),
        (TypeError("SECRET"), None, False),
    ],
    ids=repr,
)
def test_failures_in_our_words(error, kind, passing):
    found = explain(error, ADDRESS)
    assert (found.kind, found.passing) == (kind, passing)
    assert "SECRET" not in str(found) and found.about == "https://host/a.png?***"
    assert found.what.endswith(".") and found.hint

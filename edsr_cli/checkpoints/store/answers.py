"""What an HTTP server's answer, or its silence, means for a download."""

import errno
import http.client
import socket
import ssl
import urllib.error
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any


class SourceError(Exception):
    """A source does not give the file; the next one may.

    Args:
        reason: what happened, without a full stop.
        unreachable: whether there was no connection at all.
        wrong: whether there was a file, and it is not the one that was promised.
    """

    def __init__(self, reason: str, unreachable: bool = False, wrong: bool = False) -> None:
        super().__init__(reason)
        self.unreachable, self.wrong = unreachable, wrong


PASSING = {408, 425, 429, 500, 502, 503, 504}
"""Statuses that may be better a moment later."""

_NO_ROUTE = {errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.ECONNREFUSED}


class PassingError(Exception):
    """A failure that the next attempt may not meet.

    Args:
        reason: what happened, without a full stop.
        after: the pause in seconds that the server asks for, if it does.
    """

    def __init__(self, reason: str, after: float | None = None) -> None:
        super().__init__(reason)
        self.after = after


def refusal(error: urllib.error.HTTPError) -> Exception:
    """What an error status means: a SourceError, or a PassingError."""
    text = f"HTTP {error.code} {error.reason}".rstrip()
    if error.code in PASSING:
        return PassingError(text, retry_after(error.headers.get("Retry-After")))
    if error.code in (401, 403):
        text += ": access was refused (for the Hugging Face hub a token goes into HF_TOKEN)"
    return SourceError(text)


def version_of(response: http.client.HTTPResponse) -> str:
    """What tells this version of the file from others: a strong ETag, or its date; or nothing."""
    etag = response.headers.get("ETag", "")
    if etag and not etag.startswith("W/"):
        return etag
    return response.headers.get("Last-Modified", "")


def retry_after(text: str | None) -> float | None:
    """Seconds to wait by a Retry-After header: a number, or a date."""
    if not text:
        return None
    if text.strip().isdecimal():
        return float(text)
    try:
        when = parsedate_to_datetime(text)
    except (ValueError, TypeError):
        return None
    if when.tzinfo is None:
        when = when.replace(tzinfo=UTC)
    return max(0.0, (when - datetime.now(UTC)).total_seconds())


def no_connection(reason: Any, stall: float) -> Exception:
    """What a failure before the answer means: worth another attempt, or not."""
    if isinstance(reason, ssl.SSLCertVerificationError):
        return SourceError(certificate_reason(reason.verify_message))
    if isinstance(reason, socket.gaierror):
        return SourceError("the host's name is not known", unreachable=True)
    if isinstance(reason, OSError) and reason.errno in _NO_ROUTE:
        return SourceError(reason.strerror or str(reason), unreachable=True)
    if isinstance(reason, TimeoutError):
        return PassingError(f"no answer for {stall:g} s")
    return PassingError(str(reason) or type(reason).__name__)


def certificate_reason(found: str) -> str:
    """A refused certificate, with what usually is behind it."""
    return (
        f"its certificate was not accepted ({found.lower()}): the clock may be wrong, a proxy may"
        " replace certificates (name its own in SSL_CERT_FILE), or this Python may have none (on"
        " macOS run 'Install Certificates.command')"
    )

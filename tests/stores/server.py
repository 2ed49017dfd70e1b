"""A real S3 server on this machine, and a proxy in front of it that puts faults in."""

import http.client
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SLOW_DOWN = b"<Error><Code>SlowDown</Code><Message>Please go easy.</Message></Error>"
DENIED = b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"
AT_ODDS = b"<Error><Code>ConditionalRequestConflict</Code><Message>Try again.</Message></Error>"


class Fault(StrEnum):
    """What may happen to a request."""

    BUSY = "answered with 503"
    DENIED = "answered with 403"
    AT_ODDS = "answered with 409, since another request is about the same object"
    CUT_ANSWER = "its answer is cut in the middle"
    CUT_BODY = "its own body is cut in the middle, and the server never hears of it"
    LOST_ANSWER = "done, but the connection is cut before the answer"
    STALLED = "its answer stops in the middle, and nothing more comes for a while"


ANSWERS = {Fault.BUSY: (503, SLOW_DOWN), Fault.DENIED: (403, DENIED), Fault.AT_ODDS: (409, AT_ODDS)}
"""Status and content of the answers that are faults."""


@dataclass
class Rule:
    """A fault for some requests.

    Attributes:
        fault: what happens.
        method: of the requests, such as "PUT".
        part: what their path has in it.
        count: how many more it happens to.
        seen: how many it has happened to.
    """

    fault: Fault
    method: str = ""
    part: str = ""
    count: int = 10**9
    seen: int = 0


class Proxy:
    """Passes requests on to a server; `address` is where it listens.

    Args:
        server: host and port of the server.
        seconds: how long an answer stalls.

    Attributes:
        sent: bytes of answers that were sent whole, by path.
    """

    def __init__(self, server: tuple[str, int], seconds: float = 3.0) -> None:
        self.server, self.seconds = server, seconds
        self.rules: list[Rule] = []
        self.requests: list[tuple[str, str]] = []
        self.sent: Counter[str] = Counter()
        self.before: Callable[[str, str], None] = lambda method, path: None
        self._lock = threading.Lock()
        handler = type("Handler", (_Handler,), {"proxy": self})
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._http.daemon_threads = True
        self.address = f"http://127.0.0.1:{self._http.server_port}"
        threading.Thread(target=self._http.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Stop listening."""
        self._http.shutdown()
        self._http.server_close()

    def clear(self) -> None:
        """No faults any more, and no requests so far."""
        with self._lock:
            self.rules, self.requests, self.sent = [], [], Counter()

    def fault(self, method: str, path: str) -> Fault | None:
        """What is to happen to a request."""
        self.before(method, path)
        with self._lock:
            self.requests.append((method, path))
            for rule in self.rules:
                if rule.count > rule.seen and rule.method in method and rule.part in path:
                    rule.seen += 1
                    return rule.fault
        return None


class _Handler(BaseHTTPRequestHandler):
    proxy: Proxy
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments: object) -> None:
        pass

    def handle_one_request(self) -> None:
        try:
            super().handle_one_request()
        except OSError:  # the other side has gone
            self.close_connection = True

    def do_GET(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        fault = self.proxy.fault(self.command, self.path)
        if fault is Fault.CUT_BODY:
            self.rfile.read(length // 2)
            return self._cut()
        body = self.rfile.read(length)
        if fault in ANSWERS:
            status, content = ANSWERS[fault]
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(b"" if self.command == "HEAD" else content)
            return None
        server = http.client.HTTPConnection(*self.proxy.server)
        server.request(self.command, self.path, body, dict(self.headers.items()))
        answer = server.getresponse()
        content = answer.read()
        server.close()
        if fault is Fault.LOST_ANSWER:
            return self._cut()
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("transfer-encoding", "connection", "content-length"):
                self.send_header(name, value)
        length = int(answer.getheader("Content-Length") or len(content))
        self.send_header("Content-Length", str(length))
        self.end_headers()
        if fault in (Fault.CUT_ANSWER, Fault.STALLED):
            self.wfile.write(content[: len(content) // 2])
            if fault is Fault.STALLED:
                time.sleep(self.proxy.seconds)
            return self._cut()
        self.wfile.write(content)
        self.proxy.sent[self.path] += len(content)
        return None

    do_HEAD = do_PUT = do_POST = do_DELETE = do_GET  # noqa: N815 - http.server wants such names

    def _cut(self) -> None:
        self.close_connection = True
        self.wfile.flush()
        self.connection.shutdown(socket.SHUT_RDWR)

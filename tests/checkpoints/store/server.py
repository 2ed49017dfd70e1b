"""Servers on 127.0.0.1 that misbehave in a chosen way."""

import contextlib
import hashlib
import re
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

CERTIFICATE = Path(__file__).with_name("localhost.pem")


@dataclass(frozen=True)
class Act:
    """What to do with one request.

    Attributes:
        status: of an answer without a file; 0 for the file.
        headers: to add.
        cut: bytes of the body after which the connection is closed; None for all of it.
        stall: seconds of silence after `cut` bytes.
        ignore_range: answer a range request with the whole file.
        shift: bytes by which the answered range begins too late.
        drop: headers to leave out.
        body: to send instead of the file.
    """

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    cut: int | None = None
    stall: float = 0.0
    ignore_range: bool = False
    shift: int = 0
    drop: tuple[str, ...] = ()
    body: bytes | None = None


@dataclass
class Request:
    method: str
    path: str
    headers: dict[str, str]


class Server:
    """A running server.

    Attributes:
        files: what is at a path.
        acts: for a path, what to do with its next GET requests; then all is well.
        heads: the same for HEAD requests.
        requests: those that came.
    """

    def __init__(self, server: ThreadingHTTPServer, scheme: str) -> None:
        self.port = server.server_address[1]
        self.url = f"{scheme}://127.0.0.1:{self.port}"
        self.files: dict[str, bytes] = {}
        self.acts: dict[str, list[Act]] = {}
        self.heads: dict[str, list[Act]] = {}
        self.requests: list[Request] = []

    def ranges(self) -> list[str | None]:
        return [each.headers.get("range") for each in self.requests if each.method == "GET"]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    state: Server

    def log_message(self, *arguments: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        state, path = self.state, self.path.split("?")[0]
        headers = {key.lower(): value for key, value in self.headers.items()}
        state.requests.append(Request(self.command, path, headers))
        acts = (state.acts if self.command == "GET" else state.heads).get(path, [])
        act = acts.pop(0) if acts else Act()
        self.close_connection = True
        if act.status:
            self._send(act.status, {"Content-Length": "0", **act.headers})
            return
        if path not in state.files:
            self._send(404, {"Content-Length": "0", "X-Error-Code": "EntryNotFound"})
            return
        self._file(act, state.files[path] if act.body is None else act.body, headers)

    def _file(self, act: Act, body: bytes, headers: dict[str, str]) -> None:
        etag = f'"{hashlib.sha256(body).hexdigest()}"'
        status, answer = 200, {"ETag": etag, "X-Linked-Etag": etag}
        answer["X-Linked-Size"] = str(len(body))
        commit = re.search(r"/resolve/([^/]+)/", self.path)
        if commit:
            answer["X-Repo-Commit"] = commit[1]
        wanted = re.fullmatch(r"bytes=(\d+)-", headers.get("range", ""))
        fresh = headers.get("if-range", etag) == etag
        if wanted and fresh and not act.ignore_range:
            start = int(wanted[1])
            if start >= len(body):
                self._send(416, {"Content-Length": "0"})
                return
            start += act.shift
            answer["Content-Range"] = f"bytes {start}-{len(body) - 1}/{len(body)}"
            status, body = 206, body[start:]
        answer["Content-Length"] = str(len(body))
        answer |= act.headers
        self._send(status, {key: value for key, value in answer.items() if key not in act.drop})
        if self.command == "HEAD":
            return
        with contextlib.suppress(OSError):
            self.wfile.write(body[: act.cut])
            self.wfile.flush()
            time.sleep(act.stall)
            if act.cut is not None:
                self.connection.shutdown(socket.SHUT_RDWR)

    def _send(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key, value)
        self.send_header("Connection", "close")
        self.end_headers()


class _QuietServer(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        pass


@contextlib.contextmanager
def serving(tls: bool) -> Iterator[Server]:
    """A server that runs until the end of the block."""
    handler = type("Handler", (_Handler,), {})
    with _QuietServer(("127.0.0.1", 0), handler) as server:
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(CERTIFICATE)
            server.socket = context.wrap_socket(
                server.socket, server_side=True, do_handshake_on_connect=False
            )
        state = handler.state = Server(server, "https" if tls else "http")
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield state
        finally:
            server.shutdown()


def closed_port() -> int:
    """A port on 127.0.0.1 where nobody listens."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])

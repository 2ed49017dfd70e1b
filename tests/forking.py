"""Processes of Python that start at once: forked off one that has imported the package already.

Importing the package and PyTorch takes most of the time of a small command, and a run of all tests
starts hundreds. `Popen` and `run` here are those of `subprocess`, for `python -m MODULE ...`, with
-c CODE and with a script: a process with a number, streams, a folder and an environment of its own,
which can be killed like any other. Take the real ones to test what is imported and what happens
meanwhile, for what is read at the very start (PYTHONWARNINGS, LD_PRELOAD, ...), for how the
interpreter ends, for limits (they are the server's), and for measurements of memory.

All processes of one run of tests (`pytest -n`) share one server, which the first that needs it
starts, and which ends with the last of them.

As a program it has two parts:

    python -m tests.forking serve SOCKET             # imports everything, forks when it is asked
    python -SE tests/forking.py call SOCKET ARGS...  # asks for `python ARGS...`, ends as that does
"""

import atexit
import contextlib
import functools
import gc
import importlib
import json
import os
import pkgutil
import runpy
import selectors
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import types
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

# As they are before the first test changes them for itself.
_ENVIRONMENT, _TEMPORARY = dict(os.environ), tempfile.gettempdir()

NUMBER = struct.Struct("q")
"""An answer: the number of the process when it starts, and its exit code when it ends."""


# The server


class Server:
    """Forks off a process for each connection, and tells it how that ended.

    Args:
        path: of the socket.
    """

    def __init__(self, path: str) -> None:
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(path)
        self._listener.listen()
        self._ended, self._alarm = socket.socketpair()
        self._alarm.setblocking(False)
        self._children: dict[int, socket.socket] = {}

    def serve(self) -> dict[str, Any] | None:
        """Answer until standard input ends; in a process that was forked off, give its task."""
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._alarm.fileno())
        with selectors.DefaultSelector() as selector:
            for source in (self._listener, self._ended, sys.stdin):
                selector.register(source, selectors.EVENT_READ)
            while True:
                for key, _ in selector.select():
                    if key.fileobj is sys.stdin:
                        return None
                    if key.fileobj is self._ended:
                        self._ended.recv(4096)
                        self._tell_of_ends()
                    elif task := self._start(self._listener.accept()[0]):
                        return task

    def _start(self, caller: socket.socket) -> dict[str, Any] | None:
        data, streams, _, _ = socket.recv_fds(caller, 2**20, 3)
        child = os.fork()
        if child == 0:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for each in (caller, self._listener, self._ended, self._alarm):
                each.close()
            for each in self._children.values():
                each.close()
            for number, stream in enumerate(streams):
                os.dup2(stream, number)
        for stream in streams:
            os.close(stream)  # or readers of a pipe would wait for us
        if child == 0:
            return json.loads(data)  # type: ignore[no-any-return]
        self._children[child] = caller
        caller.sendall(NUMBER.pack(child))
        return None

    def _tell_of_ends(self) -> None:
        for child in list(self._children):
            number, status = os.waitpid(child, os.WNOHANG)
            if number:
                answer = NUMBER.pack(os.waitstatus_to_exitcode(status))
                with self._children.pop(child) as caller, contextlib.suppress(OSError):
                    caller.sendall(answer)  # if somebody still waits for it


def serve(path: str) -> None:
    """Import all modules of the package, and fork when asked; what was forked off runs its task.

    In the end the folder of the socket is removed.
    """
    import typer.core
    import typer.main

    import edsr_cli
    from edsr_cli.cli.app import application

    for module in pkgutil.walk_packages(edsr_cli.__path__, "edsr_cli."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    commands = typer.main.get_command(application())
    assert isinstance(commands, typer.core.TyperGroup)
    for name in ("upscale", "batch"):  # Typer imports more when it reads arguments
        with commands.make_context("edsr", [name, "a.png"]) as context:
            commands.commands[name].make_context(name, ["a.png"], parent=context)
    gc.freeze()  # or processes would copy what they look through
    server = Server(path)
    print("ready", flush=True)  # noqa: T201
    if task := server.serve():
        end(become(**task))
    shutil.rmtree(Path(path).parent)


def become(arguments: list[str], cwd: str, env: dict[str, str], new_session: bool) -> int:
    """Do in this process what a new `python ARGUMENTS...` does; gives its exit code."""
    if new_session:
        os.setsid()
    os.environ.clear()
    os.environ.update(env)
    os.chdir(cwd)
    stream = functools.partial(open, encoding="utf-8", closefd=False)
    sys.stdin = sys.__stdin__ = stream(0)
    sys.stdout = sys.__stdout__ = stream(1, "w", buffering=1 if os.isatty(1) else -1)
    sys.stderr = sys.__stderr__ = stream(2, "w", buffering=1, errors="backslashreplace")
    try:
        match arguments:
            case ["-m", module, *rest]:
                sys.path[0], sys.argv = cwd, ["-m", *rest]
                runpy.run_module(module, run_name="__main__", alter_sys=True)
            case ["-c", code, *rest]:
                sys.path[0], sys.argv = "", ["-c", *rest]
                sys.modules["__main__"] = types.ModuleType("__main__")
                exec(compile(code, "<string>", "exec"), vars(sys.modules["__main__"]))
            case [script, *_]:
                sys.path[0], sys.argv = str(Path(script).parent), arguments
                runpy.run_path(script, run_name="__main__")
    except SystemExit as how:
        if how.code is not None and not isinstance(how.code, int):
            raise
        return how.code or 0
    return 0


def end(code: int) -> NoReturn:
    """End this process; all but taking its objects apart, which takes longer than most commands."""
    threading._shutdown()  # type: ignore[attr-defined]  # waits for threads
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        if stream is not None and not stream.closed:
            stream.flush()
    os._exit(code)


# The other side


def call(path: str, task: dict[str, Any], streams: list[int]) -> tuple[socket.socket, int]:
    """Have a task done by a process; gives the connection, which tells its end, and its number."""
    caller = socket.socket(socket.AF_UNIX)
    caller.connect(path)
    socket.send_fds(caller, [json.dumps(task).encode()], streams)
    return caller, NUMBER.unpack(caller.recv(NUMBER.size))[0]


@functools.cache
def server() -> str:
    """The socket of a server that lives at least as long as this process."""
    import fcntl  # not on Windows

    if run := os.environ.get("PYTEST_XDIST_TESTRUNUID"):
        folder = Path(_TEMPORARY) / f"edsr-tests-{run}"
        folder.mkdir(mode=0o700, exist_ok=True)
    else:
        folder = Path(tempfile.mkdtemp(prefix="edsr-tests-", dir=_TEMPORARY))
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        path, alive = folder / "socket", folder / "alive"
        if not alive.exists():
            os.mkfifo(alive)
            _start_server(path, alive)
        # Its standard input ends when no process has the other end open any more.
        atexit.register(os.close, os.open(alive, os.O_WRONLY | os.O_NONBLOCK))
    return str(path)


def _start_server(path: Path, alive: Path) -> None:
    root = str(Path(__file__).parents[1])
    # Opened for both, since to open one end waits for the other.
    held = os.open(alive, os.O_RDWR)
    with alive.open("rb", buffering=0) as end:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.forking", "serve", path],
            stdin=end,
            stdout=subprocess.PIPE,
            cwd=root,
            env=_ENVIRONMENT | {"PYTHONPATH": root, "OMP_NUM_THREADS": "1"},
        )
    assert process.stdout is not None and process.stdout.readline() == b"ready\n"

    @atexit.register
    def wait() -> None:
        os.close(held)
        process.communicate()


class _Popen(subprocess.Popen[Any]):
    """`subprocess.Popen` whose process is forked off the server's."""

    def _execute_child(self, *given: Any) -> None:
        """Start it; the arguments are those that CPython gives, from 3.11 on."""
        preexec_fn, pass_fds, shell = given[2], given[4], given[9]
        assert not (preexec_fn or pass_fds or shell), "only a real process can have that"
        pipes = given[10:16]
        streams = [0, 1, 2]
        for number, stream in enumerate((pipes[0], pipes[3], pipes[5])):
            if stream != -1:
                streams[number] = stream
        environment = os.environ if given[6] is None else given[6]
        unheard = {"LD_PRELOAD", "PYTHONWARNINGS", "PYTHONUNBUFFERED"} & set(environment)
        assert all(environment[name] == os.environ.get(name) for name in unheard), unheard
        task = {
            "arguments": [os.fspath(each) for each in given[0][1:]],
            "cwd": os.fspath(given[5] or Path.cwd()),
            "env": {key: os.fspath(value) for key, value in environment.items()},
            "new_session": bool(given[21]),
        }
        self._caller, self.pid = call(server(), task, streams)
        self._child_created = True
        self._close_pipe_fds(*pipes)  # type: ignore[attr-defined]

    def _wait(self, timeout: float | None) -> int:
        if self.returncode is None:
            self._caller.settimeout(timeout)
            try:
                answer = self._caller.recv(NUMBER.size)
            except (TimeoutError, BlockingIOError):
                raise subprocess.TimeoutExpired(self.args, timeout or 0) from None
            assert answer, "the server has ended"
            self.returncode = NUMBER.unpack(answer)[0]
            self._caller.close()
        return self.returncode

    def _internal_poll(self, *_: Any, **__: Any) -> int | None:
        try:
            return self._wait(0)
        except subprocess.TimeoutExpired:
            return None


Popen = _Popen if sys.platform == "linux" else subprocess.Popen


def run(
    arguments: Sequence[str | os.PathLike[str]], timeout: float | None = None, **options: Any
) -> subprocess.CompletedProcess[Any]:
    """Start `Popen`, wait for its end, and give what it wrote to pipes."""
    with Popen(arguments, **options) as process:
        try:
            out, err = process.communicate(timeout=timeout)
        except BaseException:
            process.kill()
            raise
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def main() -> NoReturn:
    """Be one of the two parts."""
    part, path, *arguments = sys.argv[1:]
    if part == "serve":
        serve(path)
        sys.exit()
    task = {"cwd": str(Path.cwd()), "env": dict(os.environ), "new_session": False}
    caller, _ = call(path, {"arguments": arguments, **task}, [0, 1, 2])
    sys.exit(NUMBER.unpack(caller.recv(NUMBER.size))[0])


if __name__ == "__main__":
    main()

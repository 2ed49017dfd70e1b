"""Processes of `edsr` that start at once: forked off one that has imported everything already.

Run as a script, it reads the arguments of one command after the other from standard input, each as
a line of JSON, with the file for its messages in front. Of each it writes the process's number when
it starts and, asked for it by an empty line, waits for its end and writes its exit code, or minus
the signal that killed it. Until then the number stays taken, so that no other process can get it.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.conftest import REPOSITORY


class Forks:
    """Starts commands, one at a time. Use it in a `with` statement."""

    def __init__(self, folder: Path) -> None:
        environment = os.environ | {"PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"}
        self._messages = folder / "messages.txt"
        self._process = subprocess.Popen(
            [sys.executable, __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )

    def __enter__(self) -> "Forks":
        return self

    def __exit__(self, *exception: object) -> None:
        self._process.communicate()
        assert self._process.returncode == 0

    def start(self, *arguments: object) -> int:
        """Start a command; gives its process's number."""
        self._send(json.dumps([str(self._messages), *map(str, arguments)]))
        return self._number()

    def wait(self) -> tuple[int, str]:
        """Wait for the end of the command; gives its exit code and what it said."""
        self._send("")
        return self._number(), self._messages.read_text("utf-8")

    def _send(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def _number(self) -> int:
        assert self._process.stdout is not None
        return int(self._process.stdout.readline())


def _serve() -> None:
    from edsr_cli.cli import main

    while line := sys.stdin.readline():
        messages, *arguments = json.loads(line)
        child = os.fork()
        if child == 0:
            output = os.open(messages, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            for descriptor in (1, 2):
                os.dup2(output, descriptor)
            sys.argv = ["edsr", *arguments]
            main()
        print(child, flush=True)  # noqa: T201
        sys.stdin.readline()
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)  # noqa: T201


if __name__ == "__main__":
    _serve()

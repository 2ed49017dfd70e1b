"""`edsr` for shell scripts in tests, as processes that start at once.

Run as a script, `serve SOCKET` imports everything once, and then forks off a process for each
command that `call SOCKET ARGUMENT...` sends it, with the caller's folder and standard streams. The
caller ends with the command's exit code.
"""

import importlib
import json
import os
import pkgutil
import socket
import sys
from pathlib import Path


def serve(path: str) -> None:
    """Answer callers, one after the other, until none has come for ten minutes."""
    import edsr_cli
    from edsr_cli.cli import main

    for module in pkgutil.walk_packages(edsr_cli.__path__, "edsr_cli."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)

    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        server.listen()
        server.settimeout(600)
        print("ready", flush=True)  # noqa: T201
        while True:
            caller, _ = server.accept()
            with caller:
                data, streams, _, _ = socket.recv_fds(caller, 2**20, 3)
                folder, *arguments = json.loads(data)
                child = os.fork()
                if child == 0:
                    for number, stream in enumerate(streams):
                        os.dup2(stream, number)
                        os.close(stream)  # or readers of a pipe would wait for us
                    os.chdir(folder)
                    sys.argv = ["edsr", *arguments]
                    main()
                for stream in streams:
                    os.close(stream)
                _, status = os.waitpid(child, 0)
                caller.sendall(str(os.waitstatus_to_exitcode(status)).encode())


def call(path: str, arguments: list[str]) -> None:
    """Have a command run, and end as it does."""
    with socket.socket(socket.AF_UNIX) as server:
        server.connect(path)
        socket.send_fds(server, [json.dumps([str(Path.cwd()), *arguments]).encode()], [0, 1, 2])
        sys.exit(int(server.recv(16)))


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(sys.argv[2])
    call(sys.argv[2], sys.argv[3:])

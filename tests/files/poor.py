"""A file system that can do less, for a process of its own: system calls that fail or kill.

A library is put in front of the C library (LD_PRELOAD), so that nothing in the program itself is
exchanged. It needs a C compiler and Linux.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

# What a call does is in the environment, as POOR_fsync=EINVAL or POOR_rename=KILL; names of errors
# are given as numbers.
_SOURCE = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

static int poor(const char *call) {
    char name[64];
    snprintf(name, sizeof name, "POOR_%s", call);
    const char *value = getenv(name);
    if (!value) return 0;
    if (!strcmp(value, "KILL")) { raise(SIGKILL); for (;;); }
    errno = atoi(value);
    return 1;
}

#define FAILING(call, declared, given) \
    int call declared { \
        if (poor(#call)) return -1; \
        int (*real) declared = (int (*) declared) dlsym(RTLD_NEXT, #call); \
        return real given; \
    }

FAILING(renameat2, (int a, const char *b, int c, const char *d, unsigned e), (a, b, c, d, e))
FAILING(rename, (const char *a, const char *b), (a, b))
FAILING(link, (const char *a, const char *b), (a, b))
FAILING(linkat, (int a, const char *b, int c, const char *d, int e), (a, b, c, d, e))
FAILING(fsync, (int a), (a))
FAILING(flock, (int a, int b), (a, b))

int posix_fallocate64(int a, off_t b, off_t c) {
    if (poor("posix_fallocate")) return errno;
    int (*real)(int, off_t, off_t) =
        (int (*)(int, off_t, off_t)) dlsym(RTLD_NEXT, "posix_fallocate64");
    return real(a, b, c);
}
"""


def library(folder: Path) -> Path:
    """Compile the library; the test is skipped where that cannot be."""
    compiler = shutil.which("cc")
    if not sys.platform.startswith("linux") or compiler is None:
        pytest.skip("needs Linux and a C compiler")
    source, made = folder / "poor.c", folder / "poor.so"
    source.write_text(_SOURCE)
    command = [compiler, "-shared", "-fPIC", "-O1", "-o", str(made), str(source), "-ldl"]
    subprocess.run(command, check=True, capture_output=True)
    return made


def environment(made: Path, **calls: int | str) -> dict[str, str]:
    """What to add to the environment of a process.

    Args:
        made: the library.
        calls: for each system call, the error that it fails with, or "KILL".
    """
    failing = {f"POOR_{name}": str(value) for name, value in calls.items()}
    before = os.environ.get("LD_PRELOAD")
    return {"LD_PRELOAD": f"{made}:{before}" if before else str(made)} | failing

"""Shards: parts of a run over folders, each done by a process of its own, on any machine.

A picture belongs to a shard by its name alone, so nobody hands anything out. Every shard keeps a
manifest and a lock of its own in the output folder, since appending to one file from several
machines is not safe on network file systems.
"""

import hashlib
import os
import re
import unicodedata
from collections.abc import Mapping

from msgspec import Struct

from edsr_cli.errors import UsageError

STEM = ".edsr-manifest"
"""How the names of all that a run keeps in an output folder begin."""

_MANIFEST = re.compile(rf"{re.escape(STEM)}(\.(\d+)-of-(\d+))?\.jsonl")
_LOCK = re.compile(rf"{re.escape(STEM)}(\.(\d+)-of-(\d+))?\.lock")

_HINT = "Give one of several such as --shard 3/16, or auto in a SLURM or Kubernetes array."


class Shard(Struct, frozen=True, order=True):
    """A part of all pictures; 1 of 1 is all of them.

    Attributes:
        number: which part, from 1.
        count: how many parts there are.
    """

    number: int = 1
    count: int = 1

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"

    @property
    def manifest(self) -> str:
        """The file in an output folder that remembers what this part has done."""
        return f"{STEM}{self._infix}.jsonl"

    @property
    def lock(self) -> str:
        """The file in an output folder that a run of this part has locked. It stays, empty."""
        return f"{STEM}{self._infix}.lock"

    @property
    def _infix(self) -> str:
        return "" if self.count == 1 else f".{self.number}-of-{self.count}"

    def has(self, name: str) -> bool:
        """Whether a picture belongs to it.

        The first eight bytes of BLAKE2b, modulo the number of shards, decide: even parts, equal on
        every machine. Accents count the same whether or not a file system takes them apart.

        Args:
            name: that of its task, below the input folder, with "/" between the parts.
        """
        if self.count == 1:
            return True
        text = unicodedata.normalize("NFC", name).encode("utf-8", "surrogatepass")
        digest = hashlib.blake2b(text, digest_size=8).digest()
        return int.from_bytes(digest, "big") % self.count == self.number - 1

    def excludes(self, other: "Shard") -> bool:
        """Whether a run of the other one may make the same pictures at the same time."""
        return self == other or self.count != other.count


WHOLE = Shard()


def manifest_shard(name: str) -> Shard | None:
    """The part that a file of this name is the manifest of; None if it is none."""
    return _named(_MANIFEST, name)


def lock_shard(name: str) -> Shard | None:
    """The part that a file of this name is the lock of; None if it is none."""
    return _named(_LOCK, name)


def _named(pattern: re.Pattern[str], name: str) -> Shard | None:
    found = pattern.fullmatch(name)
    if found is None:
        return None
    shard = Shard(int(found[2]), int(found[3])) if found[1] else WHOLE
    return shard if found[0].startswith((shard.manifest, shard.lock)) else None


def parse_shard(text: str | None, environment: Mapping[str, str] = os.environ) -> Shard:
    """The part that a user names, such as "3/16", "auto" or "auto/16".

    "auto" goes by the job arrays of SLURM (SLURM_ARRAY_TASK_ID and what belongs to it), and by
    JOB_COMPLETION_INDEX of a Kubernetes Indexed Job, which does not tell how many there are:
    "auto/16" does.

    Raises:
        UsageError: it is no such text, or the environment does not tell.
    """
    if text is None:
        return WHOLE
    first, slash, second = text.partition("/")
    count = _whole(second) if slash else None
    if slash and not count:
        raise UsageError(f"There is no shard {text!r}.", _HINT)
    if first == "auto":
        return _from_environment(count, environment)
    number = _whole(first)
    if not number or count is None or number > count:
        raise UsageError(f"There is no shard {text!r}.", _HINT)
    return Shard(number, count)


def _from_environment(count: int | None, environment: Mapping[str, str]) -> Shard:
    def read(name: str) -> int | None:
        return _whole(environment.get(name, ""))

    index = read("SLURM_ARRAY_TASK_ID")
    if index is not None:
        first, last = read("SLURM_ARRAY_TASK_MIN") or 0, read("SLURM_ARRAY_TASK_MAX")
        step, tasks = read("SLURM_ARRAY_TASK_STEP") or 1, read("SLURM_ARRAY_TASK_COUNT")
        if last is not None and tasks is not None and last - first != step * (tasks - 1):
            raise UsageError(
                "The tasks of this SLURM array are not evenly numbered, so --shard auto cannot "
                "tell the parts.",
                "Submit it with --array=1-N, or give the part as in --shard 3/16.",
            )
        index, known = (index - first) // step, tasks
    else:
        index, known = read("JOB_COMPLETION_INDEX"), None
    count = count or known
    if index is None or count is None:
        missing = "no job array" if index is None else "not how many parts there are"
        raise UsageError(
            f"--shard auto finds {missing} in the environment.",
            _HINT if index is None else "Say it, as in --shard auto/16.",
        )
    if index >= count:
        raise UsageError(f"This is task {index + 1} of an array, and there are {count} shards.")
    return Shard(index + 1, count)


def _whole(text: str) -> int | None:
    return int(text) if re.fullmatch(r"[0-9]{1,9}", text) else None

"""The models that have a name, as `weights/registry.toml` lists them.

A row is one network with weights of its own; rows that share a name are one model at several
scales. The file's comments describe its keys. Beside it are the weight files that come with the
program.
"""

import hashlib
import tomllib
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from msgspec import Struct

from edsr_cli.errors import WeightsError
from edsr_cli.model.config import NetworkConfig
from edsr_cli.text import did_you_mean

DEFAULT_MODEL = "edsr-free"
DEFAULT_SCALE = 4

REGISTRY_FILE = "registry.toml"
REINSTALL = "Reinstall edsr-cli."

NONE_STATED = "none stated"
"""The licence of weights whose publisher names none."""

BYTES_PER_PARAMETER = 4
"""Published weights, and what they are converted to, are fp32."""

_PLACE_KEYS = {"bundled": ("file",), "huggingface": ("repo", "revision", "file"), "url": ("url",)}
_DIGEST_LENGTHS = {"sha256": 64, "sha256_prefix": 8, "git_blob": 40}
_COMMIT_LENGTH = 40
_MOVING = "main"
_MANY_OWNERS = ("github.com", "raw.githubusercontent.com")  # hosts where the path says whose it is


class Source(Struct, frozen=True):
    """One place that a model's file can be had from, and what is known of the bytes there.

    Mirrors may hold the same tensors in different files, so layout, size and digest belong to the
    place, not to the model.

    Attributes:
        kind: "bundled" (in the weights folder), "huggingface" or "url".
        layout: the key layout of the file; "canonical" for the project's own.
        file: the file's name, in the weights folder or in the repository.
        repo: "huggingface" only: owner/name.
        revision: "huggingface" only: the commit, 40 hexadecimal digits, or "main" where the commit
            is not known.
        url: "url" only: the whole address, https.
        size: length in bytes; None if it is not known.
        size_about: rounded length in bytes, to be shown where `size` is not known.
        sha256: the digest of the file, 64 hexadecimal digits; empty if not known.
        sha256_prefix: its first 8 digits, where no more of it was published; else empty.
        git_blob: the file's git object id, 40 hexadecimal digits, which is the SHA-1 of a header
            and the bytes; empty if not known.
        unverified: what is believed of this source and was never checked, a sentence each.
    """

    kind: str
    layout: str
    file: str = ""
    repo: str = ""
    revision: str = ""
    url: str = ""
    size: int | None = None
    size_about: int | None = None
    sha256: str = ""
    sha256_prefix: str = ""
    git_blob: str = ""
    unverified: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.kind not in _PLACE_KEYS:
            raise ValueError(f"kind must be one of {', '.join(_PLACE_KEYS)}, not {self.kind!r}")
        for key in _PLACE_KEYS[self.kind]:
            if not getattr(self, key):
                raise ValueError(f"a source of kind {self.kind!r} needs {key!r}")
        for key, length in _DIGEST_LENGTHS.items():
            digest = getattr(self, key)
            if digest and not _is_hex(digest, length):
                raise ValueError(f"{key} must be {length} lower-case hexadecimal digits")
        if self.revision not in ("", _MOVING) and not _is_hex(self.revision, _COMMIT_LENGTH):
            raise ValueError(f"revision must be {_COMMIT_LENGTH} hexadecimal digits, or 'main'")
        if self.url and not self.url.startswith("https://"):
            raise ValueError("url must start with https://")
        if self.kind == "bundled" and not (self.size and self.sha256):
            raise ValueError("a bundled source needs 'size' and 'sha256'")

    @property
    def place(self) -> str:
        """Where the file is, as one word: an address, `hf://owner/name@commit/file` or a name."""
        if self.kind == "huggingface":
            return f"hf://{self.repo}@{self.revision}/{self.file}"
        return self.url or self.file

    @property
    def host(self) -> str:
        """Who serves the file, for messages."""
        if self.kind == "huggingface":
            return f"huggingface.co/{self.repo}"
        address = urlsplit(self.url)
        host = address.hostname or self.file
        if host in _MANY_OWNERS:
            host = "/".join((host, *address.path.split("/")[1:3]))
        return host

    @property
    def has_digest(self) -> bool:
        """Whether a digest of the file, or a part of one, has been published."""
        return bool(self.sha256 or self.sha256_prefix or self.git_blob)

    @property
    def can_be_checked(self) -> bool:
        """Whether a download from here can be told from another file.

        It can by a published digest. A commit on the Hugging Face hub will do as well: what it
        holds never changes, and the hub states the sha256 of the file in it.
        """
        return self.has_digest or (self.kind == "huggingface" and self.revision != _MOVING)


class Psnr(Struct, frozen=True):
    """The quality of a model on a data set, in dB of PSNR.

    Attributes:
        dataset: for example "Set5".
        scale: the scale it was taken at.
        channel: "Y" (luma, with a border of `scale` pixels left out) or "RGB".
        published: what the weights' publisher states; None if nothing.
        measured: what was measured with these weights; None if nothing.
        source: where the published figure stands, and how it was taken if in another way.
    """

    dataset: str
    scale: int
    channel: str = "Y"
    published: float | None = None
    measured: float | None = None
    source: str = ""

    def __post_init__(self) -> None:
        if self.channel not in ("Y", "RGB"):
            raise ValueError(f"channel must be 'Y' or 'RGB', not {self.channel!r}")
        if self.published is not None and not self.source:
            raise ValueError("a published PSNR needs its 'source'")


class ModelRow(Struct, frozen=True):
    """One network of the registry.

    Attributes:
        name: what the user calls the model; the same for all its scales.
        scales: the upscaling factors of this network, several for MDSR.
        architecture: "edsr" or "mdsr".
        blocks: number of residual blocks in the body.
        features: number of feature channels.
        residual_scale: factor on the residual branches that the published tensors need; canonical
            files have it folded in, so theirs is 1.
        value_range: full range of input and output that the published tensors expect, 255 or 1.
        mean_shift: whether the published network subtracts the mean colour.
        licence: SPDX identifier, or `NONE_STATED`.
        origin: who made the weights, in one sentence.
        psnr: quality figures; the first data set is the one that tables show.
        sources: where the file can be had from, in the order to try.
        pre_process_kernel: "mdsr" only: size of the kernels before the body.
        restored_by: the model that was trained on from this one to restore damaged pictures, so
            that weights between the two work; empty if there is none. It may lack some scales.
        tensors_sha256: digest of the canonical tensors (see `store.cache.tensors_sha256`), which
            every source must lead to; empty as long as nobody has taken it.
        unverified: what is believed of this model and was never checked, a sentence each.
    """

    name: str
    scales: tuple[int, ...]
    architecture: str
    blocks: int
    features: int
    residual_scale: float
    value_range: float
    mean_shift: bool
    licence: str
    origin: str
    psnr: tuple[Psnr, ...]
    sources: tuple[Source, ...]
    pre_process_kernel: int = 5
    restored_by: str = ""
    tensors_sha256: str = ""
    unverified: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.tensors_sha256 and not _is_hex(self.tensors_sha256, _DIGEST_LENGTHS["sha256"]):
            raise ValueError("tensors_sha256 must be 64 lower-case hexadecimal digits")
        if self.value_range not in (1.0, 255.0):
            raise ValueError(f"value_range must be 1.0 or 255.0, not {self.value_range}")
        if not self.sources:
            raise ValueError("a model needs at least one of 'sources'")

    @property
    def label(self) -> str:
        """The model and its scales for messages, such as "edsr x2" or "mdsr x2 x3 x4"."""
        return " ".join((self.name, *(f"x{scale}" for scale in self.scales)))

    @property
    def config(self) -> NetworkConfig:
        """The hyper-parameters of the published network."""
        return NetworkConfig(
            self.architecture,
            self.scales,
            self.blocks,
            self.features,
            self.residual_scale,
            self.pre_process_kernel,
        )

    @property
    def bundled(self) -> Source | None:
        """The file that comes with the program; None if the model has to be fetched."""
        return next((source for source in self.sources if source.kind == "bundled"), None)

    @property
    def parameters(self) -> int:
        """Number of weights and biases, without the 24 of the mean shift (paper, table 1)."""
        return self.config.parameters

    @property
    def size(self) -> int:
        """Bytes to download, about: the first size that a source states, else the tensors'."""
        stated = (source.size or source.size_about for source in self.sources)
        return next(filter(None, stated), BYTES_PER_PARAMETER * self.parameters)


def _is_hex(text: str, length: int) -> bool:
    return len(text) == length and not text.strip("0123456789abcdef")


@cache
def rows() -> tuple[ModelRow, ...]:
    """Every row of the bundled registry, in its order.

    Raises:
        WeightsError: the registry is missing or damaged.
    """
    return read_registry(weights_folder() / REGISTRY_FILE)


def names() -> tuple[str, ...]:
    """The names of all models, each once, in the registry's order."""
    return tuple(dict.fromkeys(row.name for row in rows()))


def scales(name: str) -> tuple[int, ...]:
    """The scales that a model has, ascending; empty if there is no such model."""
    return tuple(sorted({scale for row in rows() if row.name == name for scale in row.scales}))


def alternatives(name: str) -> str:
    """What to say to somebody who has named a model that there is not."""
    return f"{did_you_mean(name, names())} Models: {', '.join(names())}.".lstrip()


def find(name: str, scale: int) -> ModelRow:
    """The row of a model at a scale.

    Raises:
        WeightsError: there is no such model, or it does not have this scale; the alternatives are
            listed.
    """
    for row in rows():
        if row.name == name and scale in row.scales:
            return row
    if name not in names():
        raise WeightsError(f"There is no model {name!r}.", alternatives(name))
    offered = ", ".join(f"x{each}" for each in scales(name))
    raise WeightsError(f"Model {name!r} has no scale x{scale}.", f"It has {offered}.")


def select(chosen: Sequence[str], scale: int | None = None) -> tuple[ModelRow, ...]:
    """The rows of some models, each once, in the registry's order.

    Args:
        chosen: names of models.
        scale: only the rows with this scale; None for all.

    Raises:
        WeightsError: there is no such model, or it does not have this scale.
    """
    wanted: list[ModelRow] = []
    for name in chosen:
        if scale is not None:
            wanted.append(find(name, scale))
        else:
            wanted += [find(name, each) for each in scales(name) or (DEFAULT_SCALE,)]
    return tuple(row for row in rows() if row in wanted)


def read_registry(path: Path) -> tuple[ModelRow, ...]:
    """Read a registry file.

    Raises:
        WeightsError: the file cannot be read, is not TOML, or a row of it makes no sense.
    """
    try:
        with path.open("rb") as file:
            tables = tomllib.load(file)["model"]
    except OSError as error:
        raise WeightsError(
            f"it cannot be read: {error.strerror or error}.", REINSTALL, about=path
        ) from error
    except (ValueError, KeyError) as error:  # ValueError: not TOML, or not UTF-8
        raise WeightsError(
            f"it is not a registry of models: {error}.", REINSTALL, about=path
        ) from error
    found: list[ModelRow] = []
    for number, table in enumerate(tables, start=1):
        try:
            found.append(_row(table))
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise WeightsError(
                f"model {number} is wrong: {error}.", REINSTALL, about=path
            ) from error
    return tuple(found)


def _row(table: Mapping[str, Any]) -> ModelRow:
    """One `[[model]]` table; a key too many or too few is a TypeError or KeyError."""
    return ModelRow(
        **{
            **table,
            "scales": tuple(table["scales"]),
            "psnr": tuple(Psnr(**each) for each in table["psnr"]),
            "sources": tuple(_source(each) for each in table["sources"]),
            "unverified": tuple(table.get("unverified", ())),
        }
    )


def _source(table: Mapping[str, Any]) -> Source:
    return Source(**{**table, "unverified": tuple(table.get("unverified", ()))})


def weights_folder() -> Path:
    """The folder of `registry.toml` and the bundled weight files.

    It is `edsr_cli/weights` in an installed wheel, and `weights` beside the package in a checkout,
    which is also where an editable install leads to.

    Raises:
        WeightsError: neither folder holds a registry: the installation is not complete.
    """
    package = Path(str(resources.files("edsr_cli")))
    # A folder counts only with its registry in it: beside an installed package, a folder called
    # `weights` would be somebody else's.
    for folder in (package / "weights", package.parent / "weights"):
        if (folder / REGISTRY_FILE).is_file():
            return folder
    raise WeightsError(
        "it is missing, and with it the bundled weights.",
        REINSTALL,
        about=package / "weights" / REGISTRY_FILE,
    )


def bundled_file(name: str, size: int, sha256: str) -> Path:
    """The path of a bundled file whose bytes are those that the registry states.

    The digest is taken every time: for 6 MB it costs 4 to 20 ms, where importing torch costs
    seconds.

    Args:
        name: the file's name in the weights folder.
        size: its length in bytes.
        sha256: its digest, 64 hexadecimal digits.

    Raises:
        WeightsError: the file is missing, cannot be read, or holds other bytes.
    """
    path = weights_folder() / name
    try:
        found = path.stat().st_size
        if found != size:
            raise WeightsError(f"it is damaged: {found} bytes, not {size}.", REINSTALL, about=path)
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise WeightsError(
            f"it cannot be read: {error.strerror or error}.", REINSTALL, about=path
        ) from error
    if digest != sha256:
        raise WeightsError(
            "it is damaged: its sha256 digest is not the stated one.", REINSTALL, about=path
        )
    return path

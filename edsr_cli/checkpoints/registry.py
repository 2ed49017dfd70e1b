"""The models that have a name, as `weights/registry.toml` lists them.

A row is one network with weights of its own; rows that share a name are one model at several
scales. The file's comments describe its keys. Reading it does not import torch.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edsr_cli.checkpoints.bundled import REGISTRY_FILE, REINSTALL, weights_folder
from edsr_cli.errors import WeightsError

if TYPE_CHECKING:
    from edsr_cli.networks import NetworkConfig

DEFAULT_MODEL = "edsr-free"
DEFAULT_SCALE = 4
NONE_STATED = "none stated"
"""The licence of weights whose publisher names none."""

CANONICAL = "canonical"
"""The layout of files written by `edsr_cli.checkpoints.canonical`."""

_PLACE_KEYS = {"bundled": ("file",), "huggingface": ("repo", "revision", "file"), "url": ("url",)}
_DIGEST_LENGTHS = {"sha256": 64, "sha256_prefix": 8, "git_blob": 40}


@dataclass(frozen=True)
class Source:
    """One place that a model's file can be had from, and what is known of the bytes there.

    Mirrors may hold the same tensors in different files, so layout, size and digest belong to the
    place, not to the model.

    Attributes:
        kind: "bundled" (in the weights folder), "huggingface" or "url".
        layout: the key layout of the file; `CANONICAL` for the project's own.
        file: the file's name, in the weights folder or in the repository.
        repo: "huggingface" only: owner/name.
        revision: "huggingface" only: the commit, 40 hexadecimal digits.
        url: "url" only: the whole address.
        size: length in bytes; None if it is not known.
        sha256: the digest of the file, 64 hexadecimal digits; empty if not known.
        sha256_prefix: its first 8 digits, where no more of it was published; else empty.
        git_blob: the file's git object id, 40 hexadecimal digits, which is the SHA-1 of a header
            and the bytes; empty if not known.
    """

    kind: str
    layout: str
    file: str = ""
    repo: str = ""
    revision: str = ""
    url: str = ""
    size: int | None = None
    sha256: str = ""
    sha256_prefix: str = ""
    git_blob: str = ""

    def __post_init__(self) -> None:
        if self.kind not in _PLACE_KEYS:
            raise ValueError(f"kind must be one of {', '.join(_PLACE_KEYS)}, not {self.kind!r}")
        for key in _PLACE_KEYS[self.kind]:
            if not getattr(self, key):
                raise ValueError(f"a source of kind {self.kind!r} needs {key!r}")
        for key, length in _DIGEST_LENGTHS.items():
            digest = getattr(self, key)
            if digest and (len(digest) != length or digest.strip("0123456789abcdef")):
                raise ValueError(f"{key} must be {length} lower-case hexadecimal digits")
        if self.kind == "bundled" and not (self.size and self.sha256):
            raise ValueError("a bundled source needs 'size' and 'sha256'")


@dataclass(frozen=True)
class Psnr:
    """The quality of a model on a data set, in dB of PSNR.

    Attributes:
        dataset: for example "Set5".
        scale: the scale it was taken at.
        channel: "Y" (luma, with a border of `scale` pixels left out) or "RGB".
        published: what the weights' publisher states; None if nothing.
        measured: what was measured with these weights; None if nothing.
    """

    dataset: str
    scale: int
    channel: str = "Y"
    published: float | None = None
    measured: float | None = None


@dataclass(frozen=True)
class ModelRow:
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
        psnr: quality figures.
        sources: where the file can be had from, in the order to try.
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

    @property
    def config(self) -> "NetworkConfig":
        """The hyper-parameters of the published network. Imports torch."""
        from edsr_cli.networks import NetworkConfig

        return NetworkConfig(
            self.architecture, self.scales, self.blocks, self.features, self.residual_scale
        )

    @property
    def bundled(self) -> Source | None:
        """The file that comes with the program; None if the model has to be fetched."""
        return next((source for source in self.sources if source.kind == "bundled"), None)


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
        raise WeightsError(f"There is no model {name!r}.", f"Models: {', '.join(names())}.")
    offered = ", ".join(f"x{each}" for each in scales(name))
    raise WeightsError(f"Model {name!r} has no scale x{scale}.", f"It has {offered}.")


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
            f"{path} cannot be read: {error.strerror or error}.", REINSTALL
        ) from error
    except (ValueError, KeyError) as error:  # ValueError: not TOML, or not UTF-8
        raise WeightsError(f"{path} is not a registry of models: {error}.", REINSTALL) from error
    found: list[ModelRow] = []
    for number, table in enumerate(tables, start=1):
        try:
            found.append(_row(table))
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise WeightsError(f"{path}: model {number} is wrong: {error}.", REINSTALL) from error
    return tuple(found)


def _row(table: Mapping[str, Any]) -> ModelRow:
    """One `[[model]]` table; a key too many or too few is a TypeError or KeyError."""
    return ModelRow(
        **{
            **table,
            "scales": tuple(table["scales"]),
            "psnr": tuple(Psnr(**each) for each in table["psnr"]),
            "sources": tuple(Source(**each) for each in table["sources"]),
        }
    )

"""The models that have a name, as `weights/registry.toml` lists them.

A row is one network with weights of its own; rows that share a name are one model at several
scales. The file's comments describe its keys. Reading it does not import torch.
"""

import tomllib
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from edsr_cli.checkpoints.bundled import REGISTRY_FILE, REINSTALL, weights_folder
from edsr_cli.checkpoints.model_row import CANONICAL, NONE_STATED, ModelRow, Psnr, Source
from edsr_cli.errors import WeightsError
from edsr_cli.text import did_you_mean

__all__ = [
    "CANONICAL",
    "DEFAULT_MODEL",
    "DEFAULT_SCALE",
    "NONE_STATED",
    "ModelRow",
    "Psnr",
    "Source",
    "alternatives",
    "find",
    "names",
    "read_registry",
    "rows",
    "scales",
    "select",
]

DEFAULT_MODEL = "edsr-free"
DEFAULT_SCALE = 4


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
            f"{path} cannot be read: {error.strerror or error}.", REINSTALL
        ) from error
    except (ValueError, KeyError) as error:  # ValueError: not TOML, or not UTF-8
        raise WeightsError(f"{path} is not a registry of models: {error}.", REINSTALL) from error
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

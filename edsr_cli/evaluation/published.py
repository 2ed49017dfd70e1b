"""What others have published, to be shown beside our own figures; the data is published.toml."""

import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import asdict

from edsr_cli.evaluation.metrics import Channels

_FILE = Path(__file__).with_name("published.toml")


class Figure(Struct, frozen=True):
    """A published result on one data set at one scale.

    Attributes:
        label: what the network is called there.
        source: who says so.
        channels: what was compared.
        psnr: in dB.
        ssim: at most 1; None if it was not published.
        ensemble: whether the geometric self-ensemble was used.
        own: whether it is of the model that was asked for, not of another one.
        note: what was done in another way than here; may be empty.
    """

    label: str
    source: str
    channels: Channels
    psnr: float
    ssim: float | None
    ensemble: bool
    own: bool
    note: str = ""

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values."""
        return asdict(self) | {"channels": self.channels.value}


def published(dataset: str, scale: int, model: str, ensemble: bool) -> list[Figure]:
    """The figures to show beside a result: those of the same model, then others; best ones last.

    Args:
        dataset: the name of the data set or of its folder; unknown ones have no figures.
        scale: the upscaling factor.
        model: a name of the registry; a model without figures has none of its own.
        ensemble: whether to include those with the self-ensemble.
    """
    name = _set_name(dataset)
    found = []
    for result in _data()["results"]:
        own = model in result.get("models", ())
        values = result["figures"].get(name, {}).get(f"x{scale}")
        if not values or not (own or result.get("context")):
            continue
        if result.get("ensemble") and not ensemble:
            continue
        found.append(_figure(result, values, own))
    return sorted(found, key=lambda figure: (not figure.own, figure.psnr))


def set_size(dataset: str) -> int | None:
    """How many pictures a data set has; None if it is not known."""
    known = _data()["sets"].get(_set_name(dataset))
    return known["pictures"] if known else None


@cache
def _data() -> dict[str, Any]:
    with _FILE.open("rb") as file:
        return tomllib.load(file)


def _set_name(dataset: str) -> str | None:
    for name, known in _data()["sets"].items():
        if dataset.lower() in (each.lower() for each in (name, *known.get("aliases", ()))):
            return str(name)
    return None


def _figure(result: Mapping[str, Any], values: list[float], own: bool) -> Figure:
    return Figure(
        label=result["label"],
        source=result["source"],
        channels=Channels(result.get("channels", "Y").lower()),
        psnr=values[0],
        ssim=values[1] if len(values) > 1 else None,
        ensemble=result.get("ensemble", False),
        own=own,
        note=result.get("note", ""),
    )

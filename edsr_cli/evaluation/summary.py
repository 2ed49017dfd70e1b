"""What comes out for a whole data set at one scale."""

from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from edsr_cli.datasets.benchmark import Benchmark
from edsr_cli.degradations.pictures import CLEAN
from edsr_cli.evaluation.evaluate import Result, Settings
from edsr_cli.evaluation.published import Figure, published
from edsr_cli.evaluation.scores import Scores, mean


class Summary(Struct, frozen=True):
    """The results of a data set, and what others have published on it.

    Attributes:
        benchmark: the data set.
        scale: the upscaling factor.
        settings: what held for every picture.
        results: of every picture, in order; at least one.
        published: see `edsr_cli.evaluation.published`.
    """

    benchmark: Benchmark
    scale: int
    settings: Settings
    results: Sequence[Result]
    published: Sequence[Figure]

    @property
    def failed(self) -> int:
        """How many pictures are in no mean."""
        return sum(result.error is not None for result in self.results)

    @property
    def scores(self) -> Scores | None:
        """The network's means; None if every picture failed."""
        scores = [result.scores for result in self.results if result.scores]
        return mean(scores) if scores else None

    @property
    def bicubic(self) -> Scores | None:
        """The means of bicubic interpolation; None if every picture failed."""
        scores = [result.bicubic for result in self.results if result.bicubic]
        return mean(scores) if scores else None

    @property
    def seconds(self) -> float:
        """Time for upscaling alone, of all pictures."""
        return sum(result.seconds for result in self.results)

    @property
    def precision(self) -> str:
        """The number format; several if a picture had to be done again in fp32."""
        return ", ".join(dict.fromkeys(result.precision for result in self.results))

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values; the means are beside the rest, and left out if there are none."""
        first = self.results[0]
        values: dict[str, Any] = {
            "kind": "mean",
            "dataset": self.benchmark.name,
            "pictures": len(self.results) - self.failed,
            "failed": self.failed,
            "scale": self.scale,
            "model": self.settings.model,
            "ensemble": self.settings.ensemble,
            "restore": self.settings.restore,
            "device": first.device,
            "precision": self.precision,
            "border": first.border,
            "degradation": first.degradation,
        }
        if self.scores and self.bicubic:
            values |= self.scores.to_dict() | self.bicubic.to_dict("bicubic_")
        figures = [figure.to_dict() for figure in self.published]
        return values | {"seconds": round(self.seconds, 3), "published": figures}


def summarise(
    benchmark: Benchmark, scale: int, settings: Settings, results: Sequence[Result]
) -> Summary:
    """Put the results of a data set beside what others have published on it."""
    figures: Sequence[Figure] = ()
    if settings.degrade == CLEAN:  # figures for other LR pictures would not compare
        figures = published(benchmark.name, scale, settings.model, settings.ensemble)
    return Summary(benchmark, scale, settings, results, figures)

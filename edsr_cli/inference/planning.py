"""How to cut a picture so that a streamed network fits in memory: integers only.

A picture is streamed in strips of full width, top to bottom; one that is wider than high is
streamed from left to right instead, as if it were transposed, so that memory follows its shorter
side. Rows and columns here are always those of the streamed picture.

Only where even low strips of full width do not fit (or where the user asks for it) is a picture
split into vertical panels. A panel reads `radius` columns more than it writes on each side, clipped
at the picture's edge, so its output is exact; these columns are the only ones computed twice.
"""

from msgspec import Struct
from msgspec.structs import replace

from edsr_cli.errors import DeviceMemoryError
from edsr_cli.pixels.windows import Region

SMALLEST_PANEL = 16
"""Columns below which a panel is not split further: its halo would be nearly all of the work."""

_STRIP_OVERHEAD = 2
"""Rows that a strip's fixed costs amount to; weighs low strips against narrow panels."""


class Footprint(Struct, frozen=True):
    """What a streamed network costs.

    Attributes:
        radius: receptive-field radius, LR pixels.
        held_bytes: memory held between strips for each column, bytes.
        work_bytes: memory in use while a strip is worked on, for each of its pixels, bytes.
        output_bytes: memory for what has been made of a pixel, on its way out, bytes.
        multiply_adds: work for each pixel.
        weight_bytes: memory for the weights, as they come and as they are computed with, bytes.
        good_rows: rows from which on a strip's fixed costs hardly count; wide pictures get that
            many, memory permitting.
        tile_rows: rows that convolutions make at once, so that strips do best with a multiple.
    """

    radius: int
    held_bytes: int
    work_bytes: int
    output_bytes: int = 0
    multiply_adds: int = 0
    weight_bytes: int = 0
    good_rows: int = 32
    tile_rows: int = 1

    def bytes(self, columns: int, rows: int) -> int:
        """Memory for strips of the given size in LR pixels, weights not counted."""
        # A convolution's window is two rows (four, if 5 x 5) higher than the strip. The last strip
        # brings out all rows that were held back.
        output = (rows + self.radius) * self.output_bytes
        return columns * (self.held_bytes + (rows + 4) * self.work_bytes + output)


class Plan(Struct, frozen=True):
    """How one picture is cut.

    Attributes:
        height, width: size of the picture, LR pixels.
        panel_width: largest number of columns that a panel writes; the picture's width if there
            is one panel.
        strip_rows: rows of a strip.
        footprint: the network's costs.
        transposed: whether the picture's columns are streamed as rows.
        rows_only: whether it must be one panel, whatever happens.
    """

    height: int
    width: int
    panel_width: int
    strip_rows: int
    footprint: Footprint
    transposed: bool = False
    rows_only: bool = False

    @property
    def panels(self) -> list[Region]:
        """The panels, left to right."""
        return list(Region(0, self.height, 0, self.width).panels(self.panel_width))

    @property
    def read_columns(self) -> int:
        """Columns of the widest strip that is fed: a panel and its halo."""
        return min(self.width, self.panel_width + 2 * self.footprint.radius)

    @property
    def bytes(self) -> int:
        """Estimated peak memory on the device, weights not counted."""
        return self.footprint.bytes(self.read_columns, self.strip_rows)

    @property
    def slowdown(self) -> float:
        """How many times as long it takes as one panel in high strips would, about."""
        halos = self.pixels / (self.height * self.width)
        lowest = min(self.height, self.footprint.good_rows)
        return halos * (1 + _STRIP_OVERHEAD / self.strip_rows) / (1 + _STRIP_OVERHEAD / lowest)

    @property
    def pixels(self) -> int:
        """LR pixels that are computed: the picture's, and the panels' halos."""
        return self.height * sum(
            read.right - read.left
            for read in (
                panel.grown(self.footprint.radius, self.height, self.width) for panel in self.panels
            )
        )

    def smaller(self) -> "Plan | None":
        """The next plan to try when this one ran out of memory; None if it is the smallest.

        Strips get lower first, since that costs no extra work; then panels get narrower, at the
        height that was the last to be tried.
        """
        if self.strip_rows > 1:
            return replace(self, strip_rows=self.strip_rows // 2)
        if self.panel_width > SMALLEST_PANEL and not self.rows_only:
            return replace(self, panel_width=max(SMALLEST_PANEL, self.panel_width // 2))
        return None


def make_plan(
    height: int,
    width: int,
    footprint: Footprint,
    budget: int,
    strip_pixels: int,
    panel_width: int | None = None,
    spare: int = 0,
    rows_only: bool = False,
) -> Plan:
    """Cut a picture so that the estimated memory stays within a budget.

    Args:
        height, width: size of the picture, LR pixels, at least 1 x 1.
        footprint: the network's costs.
        budget: bytes that may be used on the device for rows of features.
        strip_pixels: the number of pixels in a strip with which the device is fastest.
        panel_width: columns of a panel; None to choose them.
        spare: bytes that are left for other things, so that a message has the user's own figure.
        rows_only: whether there must be one panel, now and when it is made smaller.

    Raises:
        DeviceMemoryError: not even one-row strips of the narrowest panel fit in the budget.
    """
    if rows_only:
        widths = [width]
    elif panel_width is None:
        most = -(-width // SMALLEST_PANEL)
        widths = sorted({-(-width // count) for count in range(1, most + 1)}, reverse=True)
    else:
        widths = [min(width, panel_width)]
    best: tuple[float, Plan] | None = None
    for candidate in widths:
        plan = Plan(height, width, candidate, 1, footprint, rows_only=rows_only)
        columns = plan.read_columns
        row = columns * (footprint.work_bytes + footprint.output_bytes)
        fitting = (budget - footprint.bytes(columns, 0)) // row
        most = min(height, max(footprint.good_rows, strip_pixels // columns), fitting)
        if most < 1:
            continue
        rows = _equal_strips(height, most, footprint.tile_rows)
        halos = 2 * footprint.radius * (-(-width // candidate) - 1)
        cost = (width + halos) * (1 + _STRIP_OVERHEAD / rows)
        if best is None or cost < best[0]:
            best = cost, replace(plan, strip_rows=rows)
    if best is None:
        least = smallest_plan(height, width, footprint, rows_only).bytes
        raise DeviceMemoryError(
            f"The smallest piece of the work needs about {_megabytes(least + spare)} of memory, "
            f"but only {_megabytes(budget + spare)} may be used.",
            "Raise --max-memory, leave out --ensemble or take a smaller model.",
        )
    return best[1]


def _equal_strips(height: int, most: int, tile_rows: int) -> int:
    """Rows of strips, `most` or fewer, that differ little and are whole tiles if they can be."""
    if tile_rows <= most < height:
        most -= most % tile_rows
    rows = -(-height // -(-height // most))
    return min(most, -(-rows // tile_rows) * tile_rows)


def smallest_plan(height: int, width: int, footprint: Footprint, rows_only: bool = False) -> Plan:
    """One-row strips of the narrowest panels; of the whole width if there must be one panel."""
    narrowest = width if rows_only else min(width, SMALLEST_PANEL)
    return Plan(height, width, narrowest, 1, footprint, rows_only=rows_only)


def _megabytes(count: int) -> str:
    return f"{max(count, 0) / 1e6:.1f} MB"

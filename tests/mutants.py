"""Small bugs put in on purpose, one at a time, to see whether the tests notice: run by hand.

`python -m tests.mutants` copies the program to a temporary folder, checks that the tests chosen for
the bugs pass there, puts in one bug after the other, and says which of them the tests let live:

    python -m tests.mutants --list
    python -m tests.mutants --only held-rows gamma
    python -m tests.mutants --jobs 2 --table docs/mutants.md

A bug is found by its text, which stands exactly once in the program, so that it follows code that
moves. A survivor is a test that is missing, unless its `equivalent` says why nobody could tell.

mutmut and cosmic-ray change every operator of the program, thousands of times; these are bugs that
a person might make (a missing sync, a promise after the rename), for which they have no operators.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

REPOSITORY = Path(__file__).parents[1]
PACKAGE = "edsr_cli"

TESTS_FAILED = 1  # pytest's exit codes
LIMIT = 900.0
"""Seconds after which tests are taken to hang, which a bug may make them do."""


@dataclass(frozen=True)
class Mutant:
    """A bug.

    Attributes:
        subject: what it is about.
        name: what it is called.
        what: what is wrong then.
        old: a text that stands once in the program.
        new: what stands there instead.
        tests: names of files in any folder under tests/ that are to notice.
        equivalent: why no test can notice; empty where one has to.
    """

    subject: str
    name: str
    what: str
    old: str
    new: str
    tests: tuple[str, ...]
    equivalent: str = ""


STREAMING = ("test_streaming.py",)
PLANNING = ("test_windows.py", "test_planning.py", "test_memory.py")
ENSEMBLE = ("test_ensemble.py",)
TAIL = ("test_tail.py",)
ATOMIC = ("test_atomic.py", "test_disk.py", "test_temporary.py")
MANIFEST = ("test_manifest.py", "test_verdict.py", "test_rerun.py")
COLOUR = ("test_colour.py", "test_icc.py", "test_depth.py", "test_tiff_pixels.py")
ALPHA = ("test_alpha.py",)
SIZES = ("test_resample.py", "test_target.py", "test_sizes.py", "test_restoring.py")
METADATA = (
    "test_stripping.py",
    "test_collecting.py",
    "test_exif.py",
    "test_exif_writing.py",
    "test_decoding.py",
)
PROBE = ("test_probe.py",)
METRICS = ("test_metrics.py",)
SCHEDULE = ("test_recipe.py",)
PATCHES = ("test_patches.py", "test_loading.py")

MUTANTS = (
    Mutant(
        "streaming", "held-rows", "a convolution keeps one row too few",
        "keep = min(2 * self.halo, window.shape[2])",
        "keep = min(2 * self.halo - 1, window.shape[2])",
        STREAMING,
    ),
    Mutant(
        "streaming", "below-the-picture", "not zeros, but copies of the last row",
        "parts.append(self._zeros(rows))",
        "parts.append(rows[:, :, -1:].repeat(1, 1, self.halo, 1))",
        STREAMING,
    ),
    Mutant(
        "streaming", "padding-side", "all columns of zeros on the left",
        "self._convolve(window, self.weight, self.bias, (above, beside))",
        "self._convolve(F.pad(window, (2 * beside, 0)), self.weight, self.bias, (above, 0))",
        STREAMING,
    ),
    Mutant(
        "streaming", "identity-row", "a block adds the row above",
        "begin = self._finished - self.first.buffer.start",
        "begin = self._finished - self.first.buffer.start - 1",
        STREAMING,
    ),
    Mutant(
        "streaming", "block-reset", "a block goes on counting rows in the next picture",
        "self.second.reset()\n        self._finished = 0",
        "self.second.reset()",
        STREAMING,
    ),
    Mutant(
        "streaming", "shared-rows", "pictures of several threads share the rows of a chain",
        "chain.nodes = tuple(node.fresh() for node in self.nodes)",
        "chain.nodes = self.nodes",
        ("test_sharing.py", *STREAMING),
    ),
    Mutant(
        "streaming", "kept-view", "held rows are a view, which keeps all of the strip in memory",
        "if place is None or place.shape != rows.shape:\n        return rows.clone()",
        "if place is None or place.shape != rows.shape:\n        return rows",
        (*STREAMING, "test_memory.py"),
    ),
    Mutant(
        "streaming", "long-strips", "strips in a chain may grow to twice the limit",
        "rows.shape[2] > self._limit:",
        "rows.shape[2] > 2 * self._limit:",
        (*STREAMING, "test_memory.py"),
    ),
    Mutant(
        "planning", "halo", "a panel reads one column too few on its left",
        "max(0, self.left - radius),",
        "max(0, self.left - radius + 1),",
        PLANNING,
    ),
    Mutant(
        "planning", "panel-width", "panels may be wider than asked for",
        "count = -(-columns // width)",
        "count = max(1, columns // width)",
        PLANNING,
    ),
    Mutant(
        "planning", "window-rows", "the rows around a strip are not counted as memory",
        "(rows + 4) * self.work_bytes",
        "rows * self.work_bytes",
        PLANNING,
    ),
    Mutant(
        "planning", "last-rows", "rows that come out at the end are not counted as memory",
        "output = (rows + self.radius) * self.output_bytes",
        "output = rows * self.output_bytes",
        PLANNING,
    ),
    Mutant(
        "planning", "strip-overhead", "low strips cost nothing",
        "_STRIP_OVERHEAD = 2",
        "_STRIP_OVERHEAD = 0",
        PLANNING,
    ),
    Mutant(
        "planning", "smaller-panels", "when memory runs out, panels never get narrower",
        "if self.panel_width > SMALLEST_PANEL",
        "if self.panel_width > 2**20",
        PLANNING,
    ),
    Mutant(
        "ensemble", "turned-back", "a view is turned on instead of back",
        "return torch.rot90(x, -view.turns, (-2, -1))",
        "return torch.rot90(x, view.turns, (-2, -1))",
        ENSEMBLE,
    ),
    Mutant(
        "ensemble", "subpixel-biases", "the biases of sub-pixels stay where they were",
        "_turn_subpixels(layer.bias, following.upscale_factor, view)",
        "pass",
        ENSEMBLE,
    ),
    Mutant(
        "ensemble", "first-twice", "the first view counts twice, the last not at all",
        "for network in self.networks[1:]:",
        "for network in self.networks[:-1]:",
        ENSEMBLE,
    ),
    Mutant(
        "tail", "right-edge", "the outermost column on the right is not mended",
        "output[..., -scale:] = right[..., -scale:]",
        "pass",
        TAIL,
    ),
    Mutant(
        "tail", "row-of-the-ring", "on the first strip the left and right edges are two rows off",
        "begin = ahead * scale",
        "begin = RADIUS * scale",
        TAIL,
    ),
    Mutant(
        "tail", "upsampler-bias", "the collapsed tail forgets the biases of the upsampler",
        "bias = bias + field.sum((2, 3)) @ convolution.bias",
        "bias = bias + 0 * field.sum((2, 3)) @ convolution.bias",
        TAIL,
    ),
    Mutant(
        "atomic writes", "no-sync", "a file takes its name before it is on the disk",
        "sync(raw.fileno(), target)",
        "raw.fileno()",
        ATOMIC,
    ),
    Mutant(
        "atomic writes", "no-folder-sync", "the new name may be lost in a power cut",
        "_sync_folder(target.parent)",
        "target.parent",
        ATOMIC,
    ),
    Mutant(
        "atomic writes", "commit-after-rename", "a file is there before the manifest knows of it",
        "commit(status)\n            _commit(temporary, target, overwrite)",
        "_commit(temporary, target, overwrite)\n            commit(status)",
        ATOMIC,
    ),
    Mutant(
        "atomic writes", "always-replace", "a file that another program made meanwhile is lost",
        "if overwrite:\n            os.replace(temporary, target)",
        "if True:\n            os.replace(temporary, target)",
        ATOMIC,
    ),
    Mutant(
        "atomic writes", "dangling-link", "a link that leads nowhere counts as a free name",
        "if os.path.lexists(target):\n                raise FileExistsError",
        "if target.exists():\n                raise FileExistsError",
        ATOMIC,
    ),
    Mutant(
        "atomic writes", "open-guard", "each file that is written leaves a descriptor open",
        "if guard is not None:\n                os.close(guard)",
        "if guard is not None:\n                pass",
        ATOMIC,
    ),
    Mutant(
        "atomic writes", "permissions", "the permissions of the file replaced are lost",
        "return target, stat.S_IMODE(status.st_mode) & 0o777",
        "return target, None",
        ATOMIC,
    ),
    Mutant(
        "atomic writes", "foreign-temporary", "what another machine is writing is cleared away",
        "if locked and (match[1] == host or match[2] == boot):",
        "if locked:",
        ATOMIC,
    ),
    Mutant(
        "manifest", "torn-line", "the place of a line behind a torn one is off by one",
        "begin = self._end + self._torn",
        "begin = self._end",
        MANIFEST,
    ),
    Mutant(
        "manifest", "promise-not-synced", "one line that was synced stands for all later ones",
        "if self._synced >= end:",
        "if self._synced > 0:",
        MANIFEST,
    ),
    Mutant(
        "manifest", "empty-output", "an empty file may be an output",
        "current = found.size > 0 and is_result(found, made)",
        "current = is_result(found, made)",
        MANIFEST,
    ),
    Mutant(
        "manifest", "source-time", "an input of the same size counts as unchanged",
        "return made.source == self.source",
        "return made.source.size == self.source.size",
        MANIFEST,
    ),
    Mutant(
        "manifest", "recipes-lost", "a manifest that is rewritten loses its recipes",
        'if offset in kept or (values and values["event"] == "recipe"):',
        "if offset in kept:",
        MANIFEST,
    ),
    Mutant(
        "colour", "gamma", "sRGB has a gamma of 2.2 instead of its own curve",
        "1.055 * light ** (1 / 2.4) - 0.055",
        "1.055 * light ** (1 / 2.2) - 0.055",
        COLOUR,
    ),
    Mutant(
        "colour", "black-point", "CMYK is converted without black-point compensation",
        "_FLAGS = ImageCms.Flags.BLACKPOINTCOMPENSATION",
        "_FLAGS = ImageCms.Flags.NONE",
        COLOUR,
    ),
    Mutant(
        "colour", "channel-order", "red and blue are exchanged",
        "pixels[top:bottom] = np.asarray(image.crop((0, top, image.width, bottom)))",
        "pixels[top:bottom] = np.asarray(image.crop((0, top, image.width, bottom)))[..., ::-1]",
        COLOUR,
    ),
    Mutant(
        "colour", "twelve-bits", "greyscale of 10 and 12 bits is cut, not rounded",
        "(grey.astype(np.uint32) * 65535 + white // 2) // white",
        "grey.astype(np.uint32) * 65535 // white",
        (*COLOUR, "test_decoding.py"),
    ),
    Mutant(
        "colour", "sixteen-to-eight", "16 bits are cut to 8, not rounded",
        ".astype(np.uint32) + 128) // 257",
        ".astype(np.uint32)) // 257",
        COLOUR,
    ),
    Mutant(
        "alpha", "laid-on-rounding", "a picture laid on a colour is cut, not rounded",
        "ground * (white - by) + white // np.uint64(2)) // white",
        "ground * (white - by)) // white",
        ALPHA,
    ),
    Mutant(
        "alpha", "band-seams", "bands of enlarged alpha see too few rows around them",
        "_REACH = 3  #",
        "_REACH = 1  #",
        ALPHA,
    ),
    Mutant(
        "sizes", "cut-halves", "values of a reduced picture are cut, not rounded",
        "np.floor(values + 0.5, out=values)",
        "np.floor(values, out=values)",
        SIZES,
    ),
    Mutant(
        "sizes", "last-pixel", "the kernel of a reduction lacks its last pixel",
        "np.minimum(np.floor(centres + self._reach) + 1, old)",
        "np.minimum(np.floor(centres + self._reach), old)",
        SIZES,
    ),
    Mutant(
        "sizes", "larger-first", "of two networks the larger scale comes first",
        "combinations_with_replacement(sorted(offered), 2)",
        "combinations_with_replacement(sorted(offered, reverse=True), 2)",
        SIZES,
    ),
    Mutant(
        "sizes", "restored-twice", "the second of two networks restores, too",
        "plain = bool(found)",
        "plain = False",
        SIZES,
    ),
    Mutant(
        "metadata", "places-left", "the place of a picture stays behind as dead bytes",
        "editor.erase(editor.number(entry))",
        "editor.number(entry)",
        METADATA,
    ),
    Mutant(
        "metadata", "subject-point", "the subject of a turned picture is one pixel off",
        "x = width - 1 - x",
        "x = width - x",
        METADATA,
    ),
    Mutant(
        "metadata", "turned-dpi", "the resolutions of a turned picture are not exchanged",
        "dpi[::-1] if dpi and orientation >= 5 else dpi",
        "dpi",
        METADATA,
    ),
    Mutant(
        "metadata", "last-value", "an EXIF value that ends with the last byte is lost",
        "if size and place + size <= len(self.data)",
        "if size and place + size < len(self.data)",
        METADATA,
    ),
    Mutant(
        "metadata", "dead-thumbnail", "a thumbnail at the end of EXIF data leaves its bytes behind",
        "if 8 < start < end <= len(self.data)",
        "if 8 < start < end < len(self.data)",
        METADATA,
    ),
    Mutant(
        "metadata", "exif-size", "width and height are exchanged in EXIF data",
        "PIXEL_X_DIMENSION: width,",
        "PIXEL_X_DIMENSION: height,",
        METADATA,
    ),
    Mutant(
        "probe", "better-gradient", "the later gradient counts, not the worse one",
        "worst = max(worst, error)",
        "worst = error",
        PROBE,
    ),
    Mutant(
        "probe", "any-margin", "the best convention is taken, however near the next one is",
        "if second.error < MARGIN * best.error:",
        "if second.error < best.error:",
        PROBE,
    ),
    Mutant(
        "probe", "dark-only", "the gradient below white is left out",
        "return dark, 255.0 - dark",
        "return dark, dark",
        PROBE,
    ),
    Mutant(
        "metrics", "right-border", "the border on the right counts",
        "slice(border, width - border)",
        "slice(border, width)",
        METRICS,
    ),
    Mutant(
        "metrics", "luma-weights", "the weights of red and blue are exchanged",
        "[65.738, 129.057, 25.064]",
        "[25.064, 129.057, 65.738]",
        METRICS,
    ),
    Mutant(
        "metrics", "band-overlap", "SSIM leaves out a row between bands",
        "_bands(len(image), SSIM_WINDOW - 1)",
        "_bands(len(image), SSIM_WINDOW - 2)",
        METRICS,
    ),
    Mutant(
        "schedule", "warmup-zero", "the first update has a learning rate of 0",
        "factor *= (update + 1) / recipe.warmup",
        "factor *= update / recipe.warmup",
        SCHEDULE,
    ),
    Mutant(
        "schedule", "warmup-end", "the update after the warmup has too high a rate",
        "if update < recipe.warmup:",
        "if update <= recipe.warmup:",
        SCHEDULE,
    ),
    Mutant(
        "schedule", "early-decay", "the rate falls one update too early",
        "(stretched // recipe.decay_every)",
        "((stretched + 1) // recipe.decay_every)",
        SCHEDULE,
    ),
    Mutant(
        "patches", "last-corner", "the last possible corner of a picture is never drawn",
        "random.integers(0, small - self._reach + 1)",
        "random.integers(0, small - self._reach)",
        PATCHES,
    ),
    Mutant(
        "patches", "no-seed", "every seed draws the same patches",
        "np.random.default_rng([self.seed, number])",
        "np.random.default_rng([0, number])",
        PATCHES,
    ),
    Mutant(
        "patches", "same-damage", "every batch is degraded by the same random numbers",
        "np.random.default_rng([self.seed, number, _DEGRADATION])",
        "np.random.default_rng([self.seed, 0, _DEGRADATION])",
        PATCHES,
    ),
    Mutant(
        "patches", "one-scale", "an MDSR is trained at its first scale only",
        "self.scales[random.integers(len(self.scales))]",
        "self.scales[random.integers(len(self.scales)) * 0]",
        PATCHES,
    ),
    Mutant(
        "patches", "hr-corner", "HR patches are one column beside the LR patches",
        "left * scale, view, size * scale)",
        "left * scale + 1, view, size * scale)",
        PATCHES,
    ),
)  # fmt: skip


def sources(root: Path) -> dict[Path, str]:
    """The program's files and what stands in them."""
    return {path: path.read_text("utf-8") for path in sorted((root / PACKAGE).rglob("*.py"))}


def places(mutant: Mutant, texts: dict[Path, str]) -> list[Path]:
    """The files in which the bug could be put, one for each time."""
    return [path for path, text in texts.items() for _ in range(text.count(mutant.old))]


def files_of(root: Path, names: Iterable[str]) -> list[Path]:
    """The test files of these names, in their order: the first one is likely to notice."""
    return [path for name in names for path in sorted((root / "tests").rglob(name))]


@dataclass(frozen=True)
class Outcome:
    """What the tests said to a bug.

    Attributes:
        mutant: the bug.
        verdict: "killed", "timed out" (which is killed, too), "survived", or "error".
        by: the test that failed; for "error", what is wrong.
        seconds: how long they took.
    """

    mutant: Mutant
    verdict: str
    by: str
    seconds: float

    @property
    def fine(self) -> bool:
        """Whether there is nothing to do about it."""
        return self.verdict == ("survived" if self.mutant.equivalent else "killed") or (
            self.verdict == "timed out"
        )


def copy(root: Path) -> None:
    """Lay a copy of the checkout in an empty folder; what no bug is put into is only linked to."""
    for entry in REPOSITORY.iterdir():
        if entry.name in (PACKAGE, "tests"):
            unwanted = shutil.ignore_patterns("__pycache__")
            shutil.copytree(entry, root / entry.name, ignore=unwanted)
        elif not entry.name.startswith("."):
            (root / entry.name).symlink_to(entry)
    shared = REPOSITORY.parent / "shared"
    if shared.is_dir():
        (root.parent / "shared").symlink_to(shared)


def run_tests(
    root: Path, files: Sequence[Path], limit: float, options: Sequence[str] = ()
) -> tuple[int | None, str]:
    """The exit code of pytest, None if it took too long, and the end of what it wrote."""
    command = [sys.executable, "-B", "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider"]
    command += ["--hypothesis-profile", "mutants"]
    arguments = [str(path.relative_to(root)) for path in files]
    try:
        done = subprocess.run(
            [*command, *options, f"--basetemp={root.parent / 'tmp'}", *arguments],
            cwd=root,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            timeout=limit,
        )
    except subprocess.TimeoutExpired:
        return None, ""
    return done.returncode, done.stdout[-4000:]


def try_out(mutant: Mutant, root: Path, limit: float) -> Outcome:
    """Put the bug into the copy at `root`, run its tests, and take it out again."""
    begin = time.monotonic()
    texts = sources(root)
    found = places(mutant, texts)
    if len(found) != 1:
        return Outcome(mutant, "error", f"its text stands {len(found)} times in the program", 0.0)
    [path] = found
    path.write_text(texts[path].replace(mutant.old, mutant.new), "utf-8")
    try:
        code, said = run_tests(root, files_of(root, mutant.tests), limit)
    finally:
        path.write_text(texts[path], "utf-8")
    seconds = time.monotonic() - begin
    if code is None:
        return Outcome(mutant, "timed out", "", seconds)
    if code == 0:
        return Outcome(mutant, "survived", "", seconds)
    failed = re.search(r"^FAILED \S*?([^/\s]+::[\w:]+)", said, re.MULTILINE)
    if code == TESTS_FAILED and (failed or "\nERROR " in said):
        return Outcome(mutant, "killed", failed[1] if failed else "a fixture", seconds)
    if code < 0:
        return Outcome(mutant, "killed", f"signal {-code}", seconds)
    return Outcome(mutant, "error", f"pytest ended with {code}: {said}", seconds)


@contextmanager
def copies(count: int) -> Iterator["SimpleQueue[Path]"]:
    """Copies of the checkout, to be taken from the queue and put back."""
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        free: SimpleQueue[Path] = SimpleQueue()
        for number in range(count):
            root = Path(folder) / str(number) / "checkout"
            root.mkdir(parents=True)
            copy(root)
            free.put(root)
        yield free


def check(mutants: Sequence[Mutant], root: Path, jobs: int, limit: float) -> None:
    """Make sure that the tests pass without any bug.

    Raises:
        SystemExit: they do not.
    """
    files = files_of(root, sorted({name for mutant in mutants for name in mutant.tests}))
    at_once = ("-n", str(jobs), "--dist", "worksteal") if jobs > 1 else ()
    code, said = run_tests(root, files, limit * len(mutants), at_once)
    if code != 0:
        raise SystemExit(f"The tests fail without any bug in the program:\n{said}")


def run_all(mutants: Sequence[Mutant], jobs: int, limit: float) -> list[Outcome]:
    """Try the bugs out, several at once, and say what becomes of each."""
    with copies(jobs) as free, ThreadPoolExecutor(jobs) as pool:

        def work(mutant: Mutant) -> Outcome:
            root = free.get()
            try:
                outcome = try_out(mutant, root, limit)
            finally:
                free.put(root)
            print(
                f"{outcome.verdict:9} {mutant.name} ({outcome.seconds:.0f} s) {outcome.by}",
                flush=True,
            )
            return outcome

        root = free.get()
        check(mutants, root, jobs, limit)
        free.put(root)
        return list(pool.map(work, mutants))


def table(outcomes: Sequence[Outcome]) -> str:
    """What became of the bugs, as a page in Markdown."""
    killed = sum(outcome.verdict in ("killed", "timed out") for outcome in outcomes)
    lines = [
        "# Small bugs put in on purpose",
        "",
        f"`python -m tests.mutants --table docs/mutants.md` has written this: {killed} of"
        f" {len(outcomes)} bugs were noticed by the tests that are there for them. Of the others,"
        " the table says why no test can tell.",
        "",
        "| subject | bug | what is wrong then | noticed by |",
        "| --- | --- | --- | --- |",
    ]
    for outcome in outcomes:
        mutant = outcome.mutant
        by = f"`{outcome.by}`" if outcome.verdict == "killed" else "the time limit"
        if outcome.verdict == "survived":
            by = f"nobody: {mutant.equivalent or '**a test is missing**'}"
        # A bar would end the cell.
        row = (mutant.subject, f"`{mutant.name}`", mutant.what, by.replace("|", "\\|"))
        lines.append(f"| {' | '.join(row)} |")
    return "\n".join([*lines, ""])


def main() -> int:
    """Run from the command line; 1 if a bug survives that should not."""
    assert __doc__ is not None
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--list", action="store_true", help="name the bugs, and do nothing")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="these bugs instead of all")
    parser.add_argument("--jobs", type=int, default=1, help="how many at once")
    parser.add_argument("--limit", type=float, default=LIMIT, help="seconds for the tests of one")
    parser.add_argument("--table", type=Path, metavar="FILE", help="write what came of them")
    options = parser.parse_args()
    chosen = [each for each in MUTANTS if options.only is None or each.name in options.only]
    if unknown := set(options.only or ()) - {mutant.name for mutant in chosen}:
        parser.error(f"there are no bugs of these names: {', '.join(sorted(unknown))}")
    if options.list:
        for mutant in chosen:
            print(f"{mutant.subject:14} {mutant.name:20} {mutant.what}")
        return 0
    outcomes = run_all(chosen, options.jobs, options.limit)
    if options.table:
        options.table.write_text(table(outcomes), "utf-8")
    bad = [outcome for outcome in outcomes if not outcome.fine]
    print(f"{len(outcomes) - len(bad)} of {len(outcomes)} as they should be")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())

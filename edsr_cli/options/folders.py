"""What `edsr batch` takes: folders, which of their pictures, and who does them."""

import math
from collections.abc import Callable
from typing import Any

from edsr_cli.errors import UsageError
from edsr_cli.options import values
from edsr_cli.options.choices import FORMATS
from edsr_cli.options.definition import (
    CLUSTER,
    MACHINE,
    MESSAGES,
    WHICH,
    Options,
    again,
    group,
    option,
)
from edsr_cli.options.network import Machine
from edsr_cli.options.pictures import Outputs, UpscaleOptions, Upscaling
from edsr_cli.options.values import MaybePath, Number, Paths, Texts


@group
class _Folders(Options):
    inputs: Paths = option(
        values.PATHS,
        "",
        "INPUT_DIR",
        "Folders of pictures, here or in stores (s3://...), or .txt lists of addresses.",
        kw_only=False,
    )
    output: MaybePath = option(
        values.PATH,
        "-o --output",
        "DIR",
        "Where to write; with several inputs, to a folder in it for each. Default: "
        "INPUT_DIR_x{scale}, or such as INPUT_DIR_max3840, beside each input.",
        default=None,
        kw_only=False,
    )
    format: str = option(
        values.TEXT,
        "-f --format",
        "FORMAT",
        f"{FORMATS}. With same, that of each input.",
        default="png",
    )


@group
class BatchOptions(Outputs, _Folders):
    """What `edsr batch` takes."""

    device: str = again(
        Machine,
        "device",
        metavar="DEVICE,...",
        text="auto, cpu, cuda, cuda:N, mps, vulkan or vulkan:N; several at once, such as "
        "cuda:0,cuda:1; or all GPUs of PyTorch that work, by the word all (see edsr devices).",
        default=...,
    )
    overwrite: bool = again(
        Upscaling,
        "overwrite",
        flags="--overwrite/--resume",
        text="Make everything again and replace whatever is there. Default: --resume, skip what "
        "an earlier run has done.",
        default=...,
    )
    include: Texts = option(
        values.TEXTS,
        "--include",
        "GLOB",
        "Take only files such as '*.jpg' or '2024/**'; may be given several times.",
        panel=WHICH,
        default=(),
    )
    exclude: Texts = option(
        values.TEXTS,
        "--exclude",
        "GLOB",
        "Leave out such files and folders; may be given several times.",
        panel=WHICH,
        default=(),
    )
    recursive: bool = option(
        values.FLAG,
        "--recursive/--no-recursive",
        "",
        "Take the folders below, too. Default: --recursive.",
        panel=WHICH,
        default=True,
    )
    watch: bool = option(
        values.FLAG,
        "--watch",
        "",
        "Go on with pictures that arrive or change later, until Ctrl-C; each is taken when it has "
        "stopped growing.",
        default=False,
    )
    checksum: bool = option(
        values.FLAG,
        "--checksum",
        "",
        "Know inputs by their content, not by size and time of change.",
        panel=WHICH,
        default=False,
    )
    shard: str | None = option(
        values.TEXT,
        "--shard",
        "K/N|auto",
        "Do the Kth of N parts of all pictures; the others are for other processes, on any machine "
        "that sees the folders. auto goes by a job array of SLURM or Kubernetes.",
        panel=WHICH,
        default=None,
    )
    ray: str | None = option(
        values.TEXT,
        "--ray",
        "ADDRESS",
        "Work on a cluster of Ray whose machines see the same folders: the address of its head, "
        "auto for the one that this machine belongs to, or local for this machine alone.",
        panel=CLUSTER,
        default=None,
    )
    ray_workers: int | None = option(
        values.WHOLE,
        "--ray-workers",
        "N",
        "Workers on the cluster. Default: as many as have room.",
        panel=CLUSTER,
        least=1,
        default=None,
    )
    worker_cpus: float = option(
        values.NUMBER,
        "--worker-cpus",
        "X",
        "CPUs that each of them takes. Default: 1; see --threads for what it uses.",
        panel=CLUSTER,
        default=1.0,
    )
    worker_gpus: float = option(
        values.NUMBER,
        "--worker-gpus",
        "X",
        "GPUs that each of them takes. Default: 0.",
        panel=CLUSTER,
        default=0.0,
    )
    status: bool = option(
        values.FLAG,
        "--status",
        "",
        "Tell what became of all pictures of an output folder, of every shard, and make nothing.",
        default=False,
    )
    fail_fast: bool = option(
        values.FLAG, "--fail-fast", "", "Stop at the first failure.", default=False
    )
    report: MaybePath = option(
        values.PATH,
        "--report",
        "FILE",
        "At the end, write what became of each file to FILE.json, or to FILE.html: a page with "
        "the failures, and with pictures before and after. Replaces an older report.",
        panel=MESSAGES,
        default=None,
    )
    workers: int | None = option(
        values.WHOLE,
        "-j --workers",
        "N",
        "Threads that read pictures, and as many that write them. Default: by the cores.",
        panel=MACHINE,
        least=1,
        default=None,
    )
    max_queue: Number = option(
        values.SIZE,
        "--max-queue",
        "SIZE",
        "Memory for pictures that wait between reading, upscaling and writing. Default: by device "
        "and what is free.",
        panel=MACHINE,
        default=None,
    )
    each: Callable[[Any], object] | None = again(UpscaleOptions, "each", default=...)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.watch and self.dry_run:
            raise UsageError("--watch and --dry-run exclude each other.")
        if self.status and (self.watch or self.dry_run or self.shard):
            raise UsageError("--status goes with neither --watch, --dry-run nor --shard.")
        if not all(0 <= each < math.inf for each in (self.worker_cpus, self.worker_gpus)):
            raise UsageError("--worker-cpus and --worker-gpus are 0 at least.")
        if self.ray is not None and ("," in self.device or self.device == "all"):
            raise UsageError(
                "A worker on a Ray cluster has one device.",
                "Give one with -d, and leave it to Ray how many workers a machine has room for.",
            )
        if self.shard and self.report is not None:
            raise UsageError(
                "With --shard, each part would replace the others' report.",
                "When all have ended: edsr batch --status OUTPUT_DIR --report FILE.",
            )

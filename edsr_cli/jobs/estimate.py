"""What a dry run says of time and memory."""

from edsr_cli.checkpoints.store.cache import cache_folder, speeds_file
from edsr_cli.errors import EdsrError, WeightsError
from edsr_cli.files.scratch import scratch_folder
from edsr_cli.inference import Upscaler
from edsr_cli.inference.calibration import speed_of
from edsr_cli.jobs.record import Record
from edsr_cli.text import about


def speed(upscaler: Upscaler) -> float | None:
    """Multiply-adds a second, kept in the cache folder; None where that cannot be found out."""
    try:
        file = speeds_file(cache_folder())
    except WeightsError:  # there is no home folder
        file = None
    try:
        return speed_of(upscaler, file)
    except (EdsrError, ImportError):  # of an engine that is not there; a plan needs none
        return None


def in_words(record: Record, output_format: str) -> str:
    """Memory and time of a planned picture, for people."""
    plan = record.plan
    parts = (
        ("pictures", plan["picture_bytes"]),
        ("decoding", plan["decoder_bytes"]),
        ("network", plan["memory_bytes"] + plan["weight_bytes"]),
        (f"writing {output_format}", plan["encoder_bytes"]),
    )
    text = "memory: " + ", ".join(f"{name} {_megabytes(count)}" for name, count in parts if count)
    if plan["scratch_bytes"]:
        text += f"; a scratch file of {_megabytes(plan['scratch_bytes'])} in {scratch_folder()}"
    if "kept_bytes" in plan:
        text += f"; up to {_megabytes(plan['kept_bytes'])} of finished rows beside the output"
    seconds = plan.get("seconds") if plan["panels"] else None
    return text if seconds is None else f"{text}; the network takes {about(seconds)}"


def in_all(seconds: float) -> str:
    """A line about the time of several pictures."""
    return f"In all, the network takes {about(seconds)}."


def _megabytes(count: float) -> str:
    return f"{max(1, round(count / 1e6)):,} MB"

"""A training with all that it leaves behind: state, record, plot and weights, in one folder."""

import io
import json
import logging
import math
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from msgspec.structs import replace

from edsr_cli.checkpoints.checkpoint import save_canonical
from edsr_cli.errors import DeviceMemoryError, EdsrError, UsageError, WeightsError
from edsr_cli.files.atomic import atomic_write
from edsr_cli.files.lock import BusyError, Lock
from edsr_cli.files.names import display_name
from edsr_cli.files.own import beginning
from edsr_cli.files.temporary import remove_abandoned
from edsr_cli.inference.engines.torch import devices
from edsr_cli.model.networks import tensors_of
from edsr_cli.report.places import TRAINING
from edsr_cli.training.log import Log, Row, is_plot, is_record, plot
from edsr_cli.training.page import RunPage
from edsr_cli.training.recipe import fraction_done
from edsr_cli.training.samples import Samples
from edsr_cli.training.state import (
    VERSION,
    Subject,
    check_same,
    finite,
    load_trainer,
    psnr_of,
    read_state,
    subject_of,
)
from edsr_cli.training.trainer import DivergedError, Step, Trainer
from edsr_cli.training.validation import Pairs, bicubic_psnr, validate

logger = logging.getLogger(__name__)

_LOCK = ".edsr-train.lock"
_LOG_EVERY = 100  # updates between two lines of the record
_SAVE_SECONDS = 300.0  # wall time between two savings of the state
_HOPELESS = 1e4  # a loss, in levels of 255, that no training comes back from
_HEADER_BYTES = 1 << 20  # more than the header of any weights of ours


class RunFolder:
    """The folder of a run and the names in it.

    Args:
        path: the folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.state = path / "state.pt"
        self.log = path / "log.csv"
        self.plot = path / "plot.png"
        self.page = path / "page.html"
        self.weights = path / "weights.safetensors"

    def check(self, resume: bool, overwrite: bool) -> None:
        """Look whether a run can begin or go on here; nothing is changed.

        Raises:
            UsageError: there is a run and neither `resume` nor `overwrite`; or none to resume; or
                there are somebody else's files in the place of ours, and no `overwrite`.
        """
        name = display_name(self.path)
        # Path.exists fails for names that are too long; that is told when the folder is made.
        state, weights = (os.path.exists(path) for path in (self.state, self.weights))
        if resume and not state:
            raise UsageError(f"There is no training to resume in {name}.", "Leave out --resume.")
        if not resume and not overwrite and (state or weights):
            raise UsageError(
                f"There is a training in {name} already.",
                "Go on with it with --resume, or replace it with --overwrite.",
            )
        if overwrite:
            return
        for path, ours in (
            (self.log, is_record(self.log)),
            (self.plot, is_plot(self.plot, self.log)),
            (self.page, TRAINING.is_at(self.page)),
            (self.weights, _is_result(self.weights)),
        ):
            if os.path.lexists(path) and not ours:
                raise UsageError(
                    "no training has written this file, and it would be replaced.",
                    "Move it away."
                    if resume
                    else "Give another folder, or replace what is there with --overwrite.",
                    about=display_name(path),
                )

    @contextmanager
    def held(self) -> Iterator[None]:
        """Make the folder, and keep other trainings out of it.

        Raises:
            UsageError: that is not possible, or another training is at work there.
        """
        name = display_name(self.path)
        lock = Lock(self.path / _LOCK, "a second training in this folder would not be noticed")
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            lock.acquire()
        except BusyError as error:
            raise UsageError(
                f"Another training is at work in {name}.", "Wait for it, or give another folder."
            ) from error
        except OSError as error:
            raise UsageError(f"{name} cannot be written to ({error.strerror}).") from error
        try:
            remove_abandoned(self.path)
            yield
        finally:
            lock.release()

    def clear(self) -> None:
        """Remove the run that is in the folder.

        Raises:
            UsageError: that is not possible.
        """
        try:
            for path in (self.state, self.weights, self.plot, self.page):
                path.unlink(missing_ok=True)
        except OSError as error:
            name = display_name(self.path)
            raise UsageError(f"{name} cannot be written to ({error.strerror}).") from error


class Run:
    """A training that is logged, validated and saved as it goes.

    Args:
        folder: where everything is written.
        subject: what it is about.
        trainer: does the updates.
        pairs: what PSNR is measured on; may be empty.
    """

    def __init__(self, folder: RunFolder, subject: Subject, trainer: Trainer, pairs: Pairs) -> None:
        self.folder, self.subject, self.trainer, self.pairs = folder, subject, trainer, pairs
        self.log = Log(folder.log, subject.config.scales)
        self.loss, self.psnr = float("nan"), dict[int, float]()
        self.samples = Samples(pairs)
        self.page = RunPage(folder.page, bicubic_psnr(pairs))
        self._saved = time.monotonic()
        self._recorded = self._validated = 0  # updates

    def begin(self, *, resume: bool) -> None:
        """Start, or go on from the saved state; see there."""
        if resume:
            self.resume()
            logger.info("Going on after update %s.", f"{self.trainer.update:,}")
        else:
            self.start()

    def start(self) -> None:
        """Begin a new record, with the PSNR of the weights that it starts from."""
        self.folder.clear()
        self.log.start()
        self.psnr = self._validate()
        self.trainer.start_clock()  # or a slow machine would have no time left for updates
        self.log.write(Row(0, self.trainer.seconds, 0.0, float("nan"), self.psnr))
        self._show()

    def resume(self) -> None:
        """Go on from the saved state.

        Raises:
            WeightsError: the state is damaged.
            UsageError: it is that of another network, recipe or other pictures.
        """
        path = self.folder.state
        state = read_state(path, self.trainer.device)
        subject = subject_of(state, path)
        check_same(subject, self.subject, path)
        psnr = psnr_of(state, path)
        load_trainer(self.trainer, state, path)
        self.samples.load_state_dict(state.get("samples"))
        self.subject, self.psnr = replace(self.subject, start=subject["start"]), psnr
        self.log.resume(self.trainer.update)
        self._recorded = max((row.update for row in self.log.rows()), default=0)
        if not self.trainer.update and not self.psnr:  # it was stopped at its very beginning
            self.psnr = self._validate()
            self.trainer.start_clock()
        self._show()

    def steps(self) -> Iterator[Step]:
        """Make the updates that are left, each followed by what is due.

        Raises:
            DeviceMemoryError: a batch does not fit in memory.
            DivergedError: the weights are no numbers any more.
        """
        try:
            with _memory_explained(self.trainer.device):
                yield from self._steps()
        except EdsrError as error:
            self._show("failed", str(error))
            raise

    def _steps(self) -> Iterator[Step]:
        step = None
        for step in self.trainer.steps():
            if step.update % self.subject.recipe.validate_every == 0:
                self._record(step, self._validate())
                self.save()
            elif step.update % _LOG_EVERY == 0:
                self._record(step, {})
            if time.monotonic() - self._saved > _SAVE_SECONDS:
                self.save()
            if self.page.is_due:
                self._show()
            yield step
        if step is not None and self._validated < step.update:
            self._end_record(step)
        self.save()
        self._show("done")

    def stop(self) -> None:
        """Save the state, and say on the page that the training was stopped; see `save`."""
        self.save()
        self._show("stopped")

    def save(self) -> None:
        """Save the state, so that the run can be resumed from here, and draw the plot.

        A state that is worth nothing never replaces one that is worth something.

        Raises:
            DivergedError: the weights, or the loss that they give, are no numbers any more.
            FileError: the file cannot be written.
        """
        self._saved = time.monotonic()
        if self._is_hopeless():
            return
        content = io.BytesIO()
        state = {
            "version": VERSION,
            "subject": self.subject.to_dict(),
            "trainer": self.trainer.state_dict(),
            "psnr": self.psnr,
            "samples": self.samples.state_dict(),
        }
        torch.save(state, content)
        with atomic_write(self.folder.state, overwrite=True) as file:
            file.write(content.getbuffer())
        self._saved = time.monotonic()
        try:
            plot(self.log, self.folder.plot)
        except EdsrError as error:  # the training matters more
            logger.warning("%s", error)

    def _is_hopeless(self) -> bool:
        """Whether a state that is on disk is better than what we have.

        The losses so far are those of earlier weights, so the next one is looked at.
        """
        loss, kept = self.trainer.loss_ahead(), self.folder.state.exists()
        name, update = display_name(self.folder.state), self.trainer.update
        if not math.isfinite(loss) or not finite(self.trainer.state_dict()):
            raise self._diverged()
        if kept and loss > _HOPELESS:
            logger.warning(
                "Update %s: the loss is %.3g levels of 255. The training seems to diverge; "
                "%s stays as it was before.",
                f"{update:,}",
                loss,
                name,
            )
        return kept and loss > _HOPELESS

    def _diverged(self) -> DivergedError:
        kept = f" {display_name(self.folder.state)} stays as it was before."
        return DivergedError(
            f"The training has diverged: by update {self.trainer.update:,} its weights are useless."
            + kept * self.folder.state.exists(),
            "Start again with a smaller --learning-rate, --warmup 1000 or --clip 1.",
        )

    def save_weights(self, name: str, licence: str, origin: str) -> None:
        """Write the trained network as a canonical file that says how it came about."""
        facts = {
            "recipe": self.subject.recipe.to_dict(),
            "data": self.subject.data,
            "start": self.subject.start,
            "updates": self.trainer.update,
            "seconds": round(self.trainer.seconds),
            "device": devices.describe(self.trainer.device),
            "torch": torch.__version__,
            "validation_psnr_y": {f"x{scale}": round(v, 4) for scale, v in self.psnr.items()},
        }
        metadata = {"name": name, "licence": licence, "origin": origin}
        save_canonical(
            self.folder.weights,
            tensors_of(self.trainer.result()),
            self.subject.config,
            metadata | {"training": json.dumps(facts, sort_keys=True)},
        )

    def compare(self) -> None:
        """Warn of a network that is worse than no network."""
        simple = self.page.bicubic
        for scale, value in self.psnr.items():
            if scale in simple and value < simple[scale]:
                logger.warning(
                    "x%d has %.2f dB, less than bicubic interpolation with %.2f dB: it has not "
                    "learnt enough to be of use. Train it longer, on more pictures, or start from "
                    "a model with --init.",
                    scale,
                    value,
                    simple[scale],
                )

    def _record(self, step: Step, psnr: dict[int, float]) -> None:
        self.loss, self._recorded = self.trainer.mean_loss(), step.update
        self.psnr = psnr or self.psnr
        self.log.write(Row(step.update, step.seconds, step.learning_rate, self.loss, psnr))

    def _end_record(self, step: Step) -> None:
        """Record the last update with its PSNR, even if there is a line without one already."""
        psnr = self._validate()
        if self._recorded < step.update:
            self._record(step, psnr)
            return
        self.psnr = psnr or self.psnr
        self.log.resume(step.update - 1)
        self.log.write(Row(step.update, step.seconds, step.learning_rate, self.loss, psnr))

    def _validate(self) -> dict[int, float]:
        self._validated = self.trainer.update
        if not any(self.pairs.values()):
            return {}
        seen = self.samples.taking(self.trainer.update)
        try:
            return validate(self.trainer.result(), self.pairs, str(self.trainer.device), seen)
        except WeightsError as error:  # the network's output is not finite
            raise self._diverged() from error

    def _show(self, state: str = "running", reason: str = "") -> None:
        """Write the page."""
        trainer, recipe = self.trainer, self.subject.recipe
        self.page.write(
            state,
            reason,
            update=trainer.update,
            updates=recipe.updates,
            seconds=trainer.seconds,
            fraction=fraction_done(recipe, trainer.update, trainer.seconds),
            rows=self.log.rows(),
            parts=self.samples.parts(),
            facts={"start": self.subject.start}
            | self.subject.config.to_dict()
            | recipe.to_dict()
            | self.subject.data,
        )


@contextmanager
def _memory_explained(device: torch.device) -> Iterator[None]:
    """Raise our own error where memory runs out."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not devices.is_out_of_memory(error):
            raise
        raise DeviceMemoryError(
            f"A batch does not fit in the memory of {device}.",
            "Use a smaller --batch or --patch, or --autocast bf16.",
        ) from error


def _is_result(path: Path) -> bool:
    """Whether a file is what `Run.save_weights` writes, or empty."""
    header = beginning(path, _HEADER_BYTES)
    return header is not None and (not header or b'"training":' in header)

"""A short training of a tiny network."""

from pathlib import Path

import torch

from edsr_cli.model.config import NetworkConfig
from edsr_cli.training.initial import random_network
from edsr_cli.training.patches import Sampler
from edsr_cli.training.photos import Photos
from edsr_cli.training.recipe import Recipe
from edsr_cli.training.run import Run, RunFolder
from edsr_cli.training.state import Subject
from edsr_cli.training.trainer import Trainer
from edsr_cli.training.validation import hold_out, pairs_of

CPU = torch.device("cpu")
CONFIG = NetworkConfig("mdsr", (2, 3), 2, 4)
RECIPE = Recipe(
    batch_size=2, patch_size=8, updates=23, learning_rate=1e-3, ema=0.9, validate_every=8
)


def make(folder: Path, photos: Photos, recipe: Recipe = RECIPE, resume: bool = False) -> Run:
    """Begin a run in a folder, or go on with it."""
    target = RunFolder(folder)
    target.check(resume, overwrite=False)
    learn, held = hold_out(photos, 1)
    sampler = Sampler(learn, CONFIG.scales, recipe.batch_size, recipe.patch_size, recipe.seed, CPU)
    trainer = Trainer(random_network(CONFIG, recipe.seed), recipe, sampler, CPU)
    pairs = {scale: pairs_of(held, scale) for scale in CONFIG.scales}
    start = "" if resume else "random weights"
    subject = Subject(CONFIG, recipe, learn.summary(), None, start)
    run = Run(target, subject, trainer, pairs)
    if resume:
        run.resume()
    else:
        run.start()
    return run

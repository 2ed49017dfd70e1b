from msgspec.structs import replace

from edsr_cli.folders.recipe import Recipe
from edsr_cli.options.definition import options_of
from edsr_cli.options.folders import BatchOptions

RECIPE = Recipe(
    model="m", weights="ab" * 32, scale=4, ensemble=False, precision="fp32", format="PNG"
)


def test_everything_that_pixels_depend_on_counts():
    others = [
        replace(RECIPE, weights="cd" * 32),
        replace(RECIPE, scale=2),
        replace(RECIPE, ensemble=True),
        replace(RECIPE, precision="bf16"),
        replace(RECIPE, format="JPEG"),
        replace(RECIPE, restore="0.5"),
        replace(RECIPE, restore="auto 1"),
        replace(RECIPE, alpha="keep"),
        replace(RECIPE, alpha="#ffffff"),
        replace(RECIPE, scale=2.5),
        *(replace(RECIPE, scale=None, **{side: 10}) for side in ("width", "height", "max_side")),
        replace(RECIPE, scale=None, max_side=11),
        replace(RECIPE, scale=None, fit=(10, 10)),
        replace(RECIPE, scale=None, print=(10, 10)),
        replace(RECIPE, scale=None, print=(10, 10), dpi=150),
        replace(RECIPE, scale=None, megapixels=10),
        replace(RECIPE, quality=90),
        replace(RECIPE, lossless=True),
        replace(RECIPE, chroma="420"),
        replace(RECIPE, strip="gps"),
        replace(RECIPE, depth="16"),
        replace(RECIPE, grey="rgb"),
        replace(RECIPE, tiff="tiled"),
        replace(RECIPE, frame=2),
    ]
    identities = {recipe.identity for recipe in (RECIPE, *others)}
    assert len(identities) == len(others) + 1 and all(len(text) == 16 for text in identities)


SAME_PIXELS = {
    "inputs", "output", "include", "exclude", "recursive", "checksum", "shard", "status",  # which
    "download", "layout", "value_range", "mean_shift", "residual_scale",  # the weights count
    "dry_run", "overwrite", "watch", "fail_fast", "report", "each", "progress",
    "device", "engine", "threads", "max_memory", "max_queue", "workers", "tile", "max_pixels",
    "compression", "name", "keep_times", "ray", "ray_workers", "worker_cpus", "worker_gpus",
}  # fmt: skip
"""Options that what is in an output does not depend on."""


def test_every_option_counts_or_is_known_not_to():
    """What is neither makes `edsr batch` pass over outputs that were made without the option."""
    assert set(options_of(BatchOptions)) - SAME_PIXELS == set(RECIPE.to_dict()) - {"weights"}


def test_a_recipe_of_before_is_that_without_restoring_and_alpha():
    """What was made when there was no such option need not be made again."""
    assert RECIPE.restore == "0" and RECIPE.identity == "9b23201431e94451"
    assert RECIPE.to_dict()["restore"] == "0" and RECIPE.to_dict()["alpha"] == "drop"


def test_names_of_models_do_not_count():
    renamed = replace(RECIPE, model="other")
    assert renamed.identity == RECIPE.identity
    assert renamed.to_dict()["model"] == "other"

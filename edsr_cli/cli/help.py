"""Help pages in words: without the names that types have in Python, and with examples."""

from collections.abc import Sequence
from typing import Any

from typer.core import TyperCommand


class PlainCommand(TyperCommand):
    """A command whose help page shows nothing but what may be typed."""

    def get_params(self, ctx: Any) -> Any:
        return plain(super().get_params(ctx))


def plain(params: list[Any]) -> list[Any]:
    """The parameters of a command, called by words."""
    for param in params:
        _put_in_words(param)
    return params


def _put_in_words(param: Any) -> None:
    if param.param_type_name == "argument":
        # Its name says what it is; newer versions of Typer add the type of a list.
        vars(param)["display_type_rich"] = lambda ctx: None
    elif getattr(param, "is_flag", False):
        param.metavar = ""  # newer versions of Typer would say <bool>


def examples(*pairs: Sequence[str]) -> str:
    """The end of a help page: commands, each with what it is for."""
    return "\n\n".join(("**Examples**", *(f"- `{command}`: {what}" for command, what in pairs)))


UPSCALE = examples(
    ("edsr upscale photo.jpg", "makes photo_x4.png, four times as wide and high"),
    ("edsr upscale photo.jpg -s 2 -o large.webp", "twice, as WebP"),
    ("edsr upscale *.jpg -o enlarged/ -f jpeg", "many, into a folder, as JPEG"),
    ("edsr upscale photo.jpg --dry-run", "says what it takes in memory and time"),
)
BATCH = examples(
    ("edsr batch photos/", "makes photos_x4/; said again, it does what is left"),
    ("edsr batch photos/ -o large/ -f webp", "to another folder, as WebP"),
    ("edsr batch photos/ --include '*.jpg' --exclude thumbs", "some of them"),
    ("edsr batch inbox/ --watch", "goes on with what arrives"),
)
EVALUATE = examples(
    ("edsr evaluate Set5 Set14", "tables, at every scale of the model"),
    ("edsr evaluate photos/ -s 4 --save upscaled", "your own pictures, and what came out"),
    ("edsr evaluate Set5 --degrade jpeg:50", "as pictures are on the web"),
)
TRAIN = examples(
    ("edsr train photos/ -o runs/x2 -s 2", "as in the paper, which takes days"),
    (
        "edsr train photos/ -o runs/quick -s 2 --max-time 25m --schedule cosine --lr 4e-4 "
        "--warmup 200 --ema 0.999",
        "a short training",
    ),
    ("edsr train photos/ -o runs/x2 -s 2 --resume", "goes on after Ctrl-C"),
    ("edsr upscale in.png -m runs/x2/weights.safetensors", "uses what came out"),
)
MODELS = examples(
    ("edsr models", "the table"),
    ("edsr upscale photo.jpg -m mdsr-free", "uses one of them"),
)
FETCH = examples(
    ("edsr fetch-weights edsr -s 4", "downloads one model for one scale"),
    ("edsr fetch-weights --verify", "checks again what was kept"),
)

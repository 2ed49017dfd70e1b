"""Words as pixels, in the font that comes with Pillow (Latin letters)."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from edsr_cli.text import one_line

_DOTS = "…"


def lettering(text: str, height: int, widest: int) -> NDArray[np.uint8]:
    """One line of text.

    Args:
        text: the words; the end of what is too long becomes an ellipsis.
        height: of a line, in pixels.
        widest: the width in pixels that it may have.

    Returns:
        (height, width), 0 where the ground is seen to 255 where the letters are.
    """
    font = ImageFont.load_default(size=0.72 * height)
    words = shown = one_line(text)
    while words and font.getlength(shown) > widest:
        words = words[:-1]
        shown = words.rstrip() + _DOTS
    image = Image.new("L", (max(1, min(widest, int(np.ceil(font.getlength(shown))))), height))
    ImageDraw.Draw(image).text((0, height // 2), shown, fill=255, font=font, anchor="lm")
    return np.asarray(image)

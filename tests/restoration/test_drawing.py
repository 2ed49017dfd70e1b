import numpy as np
import pytest
from PIL import Image, ImageDraw

from edsr_cli.pixels import resize
from edsr_cli.pixels.windows import ArrayWindow
from edsr_cli.restoration.choice import Choice, choose
from edsr_cli.restoration.drawing import has_hard_edges, has_smoothed_edges
from edsr_cli.restoration.grid import jpeg_quality
from edsr_cli.restoration.sampling import luma, pieces
from tests.restoration.pictures import grass, jpeg, noisy, scene


def planes(pixels):
    return [luma(part) for part in pieces(ArrayWindow(np.ascontiguousarray(pixels)))]


def bars():
    image = Image.new("RGB", (320, 240), "white")
    draw = ImageDraw.Draw(image)
    colours = (66, 103, 178), (219, 68, 55), (15, 157, 88), (244, 180, 0), (100, 100, 100)
    for left, (height, colour) in enumerate(zip((120, 180, 60, 150, 90), colours, strict=True)):
        draw.rectangle((30 + 56 * left, 220 - height, 66 + 56 * left, 220), fill=colour)
    draw.line((20, 220, 310, 220), fill="black")
    draw.line((20, 10, 20, 220), fill="black")
    return np.asarray(image)


def buttons():
    image = Image.new("RGB", (320, 200), (240, 240, 240))
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 0, 319, 24), fill=(60, 90, 160))
    draw.rectangle((40, 80, 140, 120), fill=(200, 200, 200), outline=(90, 90, 90))
    draw.rectangle((180, 80, 280, 120), fill=(70, 130, 220), outline=(30, 60, 120))
    return np.asarray(image)


def chequers():
    tiles = np.kron(np.indices((10, 12)).sum(axis=0) % 2, np.ones((8, 8)))
    image = np.full((200, 320, 3), 240, np.uint8)
    image[40:120, 50:146] = np.where(tiles, 200, 40)[..., None]
    return image


def shapes(factor=1):
    """Discs and lines in many colours; larger ones become smooth when they are made smaller."""
    image = Image.new("RGB", (320 * factor, 240 * factor), (240, 240, 240))
    draw, rng = ImageDraw.Draw(image), np.random.default_rng(4)
    for _ in range(12):
        left, top, width, height = (int(each) * factor for each in rng.integers(9, 200, 4))
        colour = tuple(int(each) for each in rng.integers(0, 256, 3))
        draw.ellipse((left, top, left + width, top + height), fill=colour)
        draw.line((top, left, top + height, left + width), fill="black", width=2 * factor)
    return np.asarray(image.reduce(factor))


DRAWINGS = {"bars": bars(), "buttons": buttons(), "chequers": chequers(), "shapes": shapes()}


@pytest.mark.parametrize("name", DRAWINGS)
def test_a_drawing_was_a_jpeg_only_if_it_was_compressed(name):
    """Its edges are few, and most of these have the frequencies of a JPEG by chance."""
    drawing = DRAWINGS[name]
    assert (jpeg_quality(planes(drawing)) is not None) == (name != "shapes")
    assert choose(ArrayWindow(drawing), 4) == Choice(1.0, "a drawing with hard edges")
    for quality in (30, 75):
        choice = choose(ArrayWindow(jpeg(drawing, quality)), 4)
        # Blocks of JPEG that have one colour each keep it.
        assert choice.strength > 0.5 and ("JPEG" in choice.reason or name == "chequers")


def test_smoothed_edges_are_told_from_hard_ones():
    choice = choose(ArrayWindow(shapes(4)), 4)
    assert choice == Choice(0.75, "a drawing with smoothed edges")
    assert choose(ArrayWindow(jpeg(shapes(4), 50)), 4).reason.startswith("traces of a JPEG")


def captioned():
    """A smooth photograph with letters drawn into it."""
    image = Image.fromarray(scene(128, 128))
    ImageDraw.Draw(image).text((8, 8), "1978-07-29", fill="yellow", font_size=20)
    return np.asarray(image)


def framed():
    whole = np.zeros((180, 240, 3), np.uint8)
    whole[26:154, 56:184] = scene()
    return whole


PHOTOGRAPHS = {
    "scene": scene(),
    "grass": grass(),
    "noise": noisy(scene(), 5),
    "flat": np.full((60, 60, 3), 90, np.uint8),
    "a pixel": np.full((1, 1, 3), 90, np.uint8),
    "caption": captioned(),
    "frame": framed(),
    "small drawing": resize.downscale(shapes(4), 2),
    "JPEG of a drawing": jpeg(shapes(4), 90),
}


@pytest.mark.parametrize("name", PHOTOGRAPHS)
def test_all_others_are_none(name):
    found = planes(PHOTOGRAPHS[name])
    assert not has_hard_edges(found) and not has_smoothed_edges(found)

"""Files of 16 bits and of greyscale through the whole job, with a network that repeats pixels."""

import io
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms

import edsr_cli
from edsr_cli.errors import UsageError
from edsr_cli.images import FORMATS, decode
from edsr_cli.images.colour import icc, spaces
from edsr_cli.jobs.record import Status
from tests.jobs.nearest import repeated

READERS = {".png": imagecodecs.png_decode, ".tif": lambda data: tifffile.imread(io.BytesIO(data))}


def write_tiff(path: Path, pixels: np.ndarray, profile: bytes | None = None) -> Path:  # type: ignore[type-arg]
    tags = [] if profile is None else [(34675, 7, len(profile), profile, True)]
    tifffile.imwrite(path, pixels, extratags=tags, metadata=None)
    return path


def read(path: Path) -> np.ndarray:  # type: ignore[type-arg]
    return READERS[path.suffix](path.read_bytes())


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("channels", [1, 3])
def test_every_level_of_16_bits_comes_through(job, tmp_path, suffix, channels):
    """Of 65,536 levels all are there, and each is what it was."""
    levels = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    pixels = levels if channels == 1 else np.dstack([levels, levels.T, levels[::-1]])
    source = write_tiff(tmp_path / "ramp.tif", pixels)
    out = tmp_path / f"out{suffix}"
    result = job(source, out).run()
    assert result.status is Status.DONE and result.notes == ()
    found = read(out)
    assert found.dtype == np.uint16 and found.shape[2:] == pixels.shape[2:]
    assert len(np.unique(found)) == 65536
    # Arithmetic of the network in fp32 may be off by the last bits.
    assert np.abs(found.astype(int) - repeated(pixels)).max() <= 1


@pytest.mark.parametrize(("depth", "bits"), [("auto", 16), ("16", 16), (16, 16), ("8", 8)])
def test_depth_of_a_deep_picture(job, tmp_path, depth, bits):
    pixels = np.random.default_rng(1).integers(0, 65536, (9, 7, 3), np.uint16)
    out = tmp_path / "out.png"
    assert job(write_tiff(tmp_path / "a.tif", pixels), out, depth=depth).run().status is Status.DONE
    assert read(out).dtype == f"uint{bits}"


def test_bits_that_a_format_has_not_are_not_lost_in_silence(job, tmp_path):
    source = write_tiff(tmp_path / "a.tif", np.full((4, 4, 3), 4660, np.uint16))
    for depth, remarks in (("auto", 1), ("8", 0)):
        result = job(source, tmp_path / f"{depth}.jpg", depth=depth).run()
        assert sum("8 bits a channel" in note for note in result.notes) == remarks


def test_depth_of_a_picture_of_8_bits(job, photo, tmp_path):
    """It has 8 again; with --depth 16, what the network gives between its levels is kept."""
    for depth, dtype in (("auto", np.uint8), ("8", np.uint8), ("16", np.uint16)):
        out = tmp_path / f"{depth}.png"
        job(photo, out, depth=depth).run()
        assert read(out).dtype == dtype
    assert np.abs(read(tmp_path / "16.png") - 257.0 * read(tmp_path / "8.png")).max() <= 1


def test_the_plan_counts_16_bits(job, tmp_path):
    source = write_tiff(tmp_path / "a.tif", np.zeros((9, 7, 3), np.uint16))
    assert job(source, tmp_path / "a.png").plan().plan["picture_bytes"] == 9 * 7 * 6 * 17
    assert job(source, tmp_path / "a.jpg").plan().plan["picture_bytes"] == 9 * 7 * (6 + 3 * 16)


@pytest.mark.parametrize("output", FORMATS, ids=lambda output: output.name)
def test_grey_comes_out_grey_where_the_format_has_that(job, tmp_path, output):
    grey = np.random.default_rng(2).integers(0, 256, (9, 7), np.uint8)
    Image.fromarray(grey).save(tmp_path / "a.png")
    out = tmp_path / f"out{output.suffixes[0]}"
    assert job(tmp_path / "a.png", out).run().status is Status.DONE
    with Image.open(out) as image:
        assert image.mode == ("RGB" if output.name == "WebP" else "L") or output.name == "AVIF"
        if output.name in ("PNG", "TIFF", "GIF", "BMP", "JXL"):
            assert (np.asarray(image) == repeated(grey)).all()
    assert decode(out).grey == (output.name != "WebP")
    job(tmp_path / "a.png", tmp_path / f"rgb{output.suffixes[0]}", grey="rgb").run()
    with Image.open(tmp_path / f"rgb{output.suffixes[0]}") as image:
        # Pillow calls a palette of greys alone greyscale.
        assert image.mode == ("P" if output.name == "GIF" else "RGB")


def drawn(mode: str) -> Image.Image:
    grey = Image.fromarray(np.arange(63, dtype=np.uint8).reshape(9, 7) * 4)
    if mode == "palette of colours":
        coloured = Image.fromarray(
            np.dstack([np.asarray(grey), np.asarray(grey), 0 * np.asarray(grey)])
        )
        return coloured.quantize(16)
    if mode == "palette of greys":
        return grey.convert("P")
    if mode == "grey RGB":
        return grey.convert("RGB")
    return grey.convert(mode)


@pytest.mark.parametrize(
    ("mode", "expected"),
    [("1", "L"), ("LA", "LA"), ("palette of greys", "L"), ("palette of colours", "RGB"),
     ("grey RGB", "RGB")],
)  # fmt: skip
def test_what_counts_as_grey(job, tmp_path, mode, expected):
    """How a file stores its pixels, not what is in them."""
    drawn(mode).save(tmp_path / "a.png")
    job(tmp_path / "a.png", tmp_path / "b.png", alpha="keep").run()
    with Image.open(tmp_path / "b.png") as image:
        assert image.mode == expected
        want = drawn(mode).convert(expected)
        assert (np.asarray(image) == repeated(np.asarray(want))).all()


def test_grey_of_16_bits_with_alpha(job, tmp_path):
    pixels = np.random.default_rng(3).integers(1, 65536, (9, 7, 2), np.uint16)
    pixels[..., 1] = 65535
    pixels[4:, :, 1] = 4660
    (tmp_path / "a.png").write_bytes(imagecodecs.png_encode(pixels))
    job(tmp_path / "a.png", tmp_path / "b.png", alpha="keep").run()
    found = read(tmp_path / "b.png")
    assert found.dtype == np.uint16 and found.shape == (36, 28, 2)
    assert np.abs(found[..., 0].astype(int) - repeated(pixels[..., 0])).max() <= 1
    assert (found[[0, -1], :, 1] == [[65535], [4660]]).all()  # alpha has its 16 bits, too


@pytest.mark.parametrize("gamma", [None, 1.8])
@pytest.mark.parametrize(
    ("mode", "alpha", "expected"),
    [
        ("LA", "#ff8000", "RGB"),
        ("LA", "#ffffff", "L"),
        ("L", "#ff8000", "L"),
        ("L", "#000000", "L"),
    ],
)
def test_only_a_colour_that_shines_through_grey_makes_it_rgb(
    job, tmp_path, mode, alpha, expected, gamma
):
    profile = gamma and grey_gamma(gamma)
    image = drawn(mode)
    if mode == "LA":
        image.putalpha(image.getchannel(0))
    image.save(tmp_path / "a.png", icc_profile=profile)
    job(tmp_path / "a.png", tmp_path / "b.png", alpha=alpha).run()
    with Image.open(tmp_path / "b.png") as made:
        assert made.mode == expected
        kept = made.info.get("icc_profile")
        assert (kept and icc.colour_space(kept)) == (profile and made.mode.replace("L", "GRAY"))
        if alpha != "#ff8000":  # greys are laid on greys as they are
            assert kept == profile


def lightness(image: Image.Image, profile: bytes) -> np.ndarray:  # type: ignore[type-arg]
    """L* as LittleCMS has it."""
    to_lab = ImageCms.buildTransform(
        ImageCms.ImageCmsProfile(io.BytesIO(profile)),
        ImageCms.createProfile("LAB"),
        image.mode,
        "LAB",
    )
    return np.asarray(ImageCms.applyTransform(image, to_lab))[..., 0].astype(int)


def grey_gamma(gamma: float) -> bytes:
    return spaces.grey_profile(spaces.srgb_with("g", (spaces.gamma_curve(gamma),) * 3).profile())


@pytest.mark.parametrize("name", ["sRGB", "Adobe RGB", "grey of gamma 1.8", "grey of gamma 1"])
@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif"])
def test_profiles_of_grey(job, tmp_path, name, suffix):
    """A file of greyscale has a profile for that, and is as light as the input, for LittleCMS."""
    profile = {
        "sRGB": icc.srgb_profile(),
        "Adobe RGB": spaces.ADOBE_RGB.profile(),
        "grey of gamma 1.8": grey_gamma(1.8),
        "grey of gamma 1": grey_gamma(1.0),
    }[name]
    grey = Image.fromarray(np.repeat(np.arange(8, 256, 8, dtype=np.uint8)[:, None], 8, 1))
    grey.save(tmp_path / "a.png", icc_profile=profile)
    out = tmp_path / f"b{suffix}"
    result = job(tmp_path / "a.png", out).run()
    with Image.open(out) as image:
        assert image.mode == "L"
        kept = image.info["icc_profile"]
        assert icc.colour_space(kept) == "GRAY"
        assert (kept == profile) == (name == "grey of gamma 1.8")
        # Linear light is not for networks, nor for 8 bits.
        assert bool(result.notes) == (name == "grey of gamma 1")
        found = lightness(image, kept)
    seen = grey if icc.colour_space(profile) == "GRAY" else grey.convert("RGB")
    assert np.abs(found - repeated(lightness(seen, profile))).max() <= 2


def test_a_profile_that_tints_grey_keeps_it_rgb(job, tmp_path):
    curves = tuple(spaces.gamma_curve(gamma) for gamma in (1.8, 2.2, 2.4))
    profile = spaces.srgb_with("tinted", curves).profile()
    drawn("L").save(tmp_path / "a.png", icc_profile=profile)
    result = job(tmp_path / "a.png", tmp_path / "b.png").run()
    assert result.notes == ("written as RGB: its ICC profile is for that, and tints grey",)
    with Image.open(tmp_path / "b.png") as image:
        assert image.mode == "RGB" and image.info["icc_profile"] == profile


@pytest.mark.parametrize(
    ("output", "options"),
    [("out.jpg", {"depth": 16}), ("out.webp", {"depth": "16"}), ("out.png", {"tiff": "tiled"})],
)
def test_what_a_format_cannot_do_is_refused(photo, tmp_path, output, options):
    with pytest.raises(UsageError, match=r"PNG or TIFF|--tiff is for TIFF"):
        edsr_cli.upscale(photo, tmp_path / output, **options)
    assert not (tmp_path / output).exists()


def test_tiff_in_tiles_for_viewers(job, photo, tmp_path):
    for kind, tiled, pages in (("strips", False, 1), ("tiled", True, 1), ("pyramid", True, 1)):
        out = tmp_path / f"{kind}.tif"
        job(photo, out, tiff=kind).run()
        with tifffile.TiffFile(out) as file:
            assert (file.pages[0].is_tiled, len(file.pages)) == (tiled, pages)

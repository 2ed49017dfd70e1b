import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import edsr_cli
from edsr_cli import load
from edsr_cli.errors import DeviceMemoryError, EdsrError, PictureError, UsageError, WeightsError
from edsr_cli.inference import processors
from tests.images import builders
from tests.jobs.conftest import one_thread as one_thread
from tests.jobs.nearest import nearest_network, repeated, save_nearest
from tests.restoration.pictures import scene

PIXELS = builders.gradient(12, 20)


@pytest.fixture(scope="module")
def upscaler(tmp_path_factory):
    file = save_nearest(tmp_path_factory.mktemp("model") / "nearest.safetensors")
    return load(file, device="cpu", precision="fp32")


def test_the_example_of_the_package(tmp_path):
    """With the bundled weights."""
    upscaler = load("edsr-free", scale=2, device="cpu")
    assert upscaler.scale == 2
    small = Image.fromarray(PIXELS)
    result = upscaler(small)
    assert isinstance(result, Image.Image) and result.mode == "RGB" and result.size == (40, 24)
    # It is the picture, larger.
    back = np.asarray(result.resize(small.size, Image.Resampling.BOX)).astype(int)
    assert np.abs(back - PIXELS).mean() < 4


def test_defaults():
    assert load().scale == 4


@pytest.mark.parametrize("kind", [str, Path])
def test_a_file(upscaler, tmp_path, kind):
    path = tmp_path / "Grüße 写真.png"
    Image.fromarray(PIXELS).save(path)
    result = upscaler(kind(path))
    assert isinstance(result, Image.Image)
    assert np.array_equal(np.asarray(result), repeated(PIXELS))


def test_what_a_file_does_not_say_can_be_said(tmp_path):
    network = nearest_network()
    network.tail[1].bias += 10
    path = tmp_path / "weights.pt"
    torch.save({k: v for k, v in network.state_dict().items() if "mean" not in k}, path)
    known = {"layout": "official", "mean_shift": False, "residual_scale": 1.0, "device": "cpu"}
    levels = load(path, value_range=255, **known)(PIXELS)
    assert np.array_equal(levels, np.minimum(repeated(PIXELS).astype(int) + 10, 255))
    fractions = load(path, value_range=1, **known)(PIXELS)
    assert np.all(fractions == 255)
    with pytest.raises(UsageError, match="There is no layout 'none'"):
        load(path, layout="none")


@pytest.mark.parametrize(
    "mode",
    ["1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "RGBa", "La", "CMYK", "YCbCr", "LAB", "HSV",
     "I;16", "I"],
)  # fmt: skip
def test_images_of_any_mode(upscaler, mode):
    picture = Image.fromarray(PIXELS)
    steps = {"RGBa": ["RGBA"], "La": ["LA"], "PA": ["P"], "I;16": ["L", "I"]}.get(mode, [])
    if mode == "LAB":
        image = Image.merge("LAB", picture.split())
    else:
        image = picture
        for step in [*steps, mode]:
            image = image.convert(step)
    before = image.copy()
    result = upscaler(image)
    assert (result.mode, result.size) == ("RGB", (80, 48))
    assert image == before  # the user's image is left alone
    if mode in ("1", "L", "LA", "P", "RGB", "RGBA", "RGBX"):
        assert np.array_equal(np.asarray(result), repeated(np.asarray(image.convert("RGB"))))
    if mode == "I;16":
        wanted = (np.asarray(image).astype(float) / 257).round().astype(np.uint8)
        assert np.array_equal(np.asarray(result), repeated(wanted[..., None].repeat(3, 2)))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_arrays(upscaler, dtype):
    levels = np.iinfo(dtype).max // 255
    pixels = PIXELS.astype(dtype) * dtype(levels)
    result = upscaler(pixels)
    assert isinstance(result, np.ndarray) and result.dtype == dtype
    assert np.array_equal(result, repeated(pixels))
    # 16 bits are more than 8: a level between two of them stays there.
    if dtype == np.uint16:
        between = upscaler(pixels // 2 + dtype(100))
        assert np.abs(between.astype(int) - repeated(pixels // 2 + dtype(100))).max() <= 1


def test_the_ensemble(tmp_path):
    upscaler = load("edsr-free", scale=2, device="cpu", precision="fp32")
    plain, averaged = upscaler(PIXELS), upscaler(PIXELS, ensemble=True)
    assert not np.array_equal(plain, averaged)
    assert np.abs(plain.astype(int) - averaged).mean() < 4
    # The average of the views is that of the turned picture, turned back.
    turned = upscaler(np.ascontiguousarray(np.rot90(PIXELS)), ensemble=True)
    assert np.abs(np.rot90(turned, -1).astype(int) - averaged).max() <= 1
    assert np.abs(np.rot90(upscaler(np.rot90(PIXELS)), -1).astype(int) - plain).max() > 1


def test_one_upscaler_serves_many_threads(upscaler):
    """8 threads, 50 pictures each, of different sizes; a picture comes back as an array is."""
    random = np.random.default_rng(0)
    sizes = random.integers(1, 24, (400, 2))

    def differs(number):
        pixels = np.random.default_rng(number).integers(
            0, 256, (*map(int, sizes[number]), 3), dtype=np.uint8
        )
        given = Image.fromarray(pixels) if number % 3 == 0 else pixels
        tile = 5 if number % 7 == 0 else "auto"
        found = np.asarray(upscaler(given, ensemble=number % 25 == 0, tile=tile))
        return not np.array_equal(found, repeated(pixels))

    with ThreadPoolExecutor(8) as pool:
        assert not any(pool.map(differs, range(400)))


def test_a_bad_picture_is_restored_unless_told_otherwise(tmp_path):
    pixels = scene(40, 48)
    path = tmp_path / "bad.jpg"
    Image.fromarray(pixels).save(path, quality=40)
    decoded = np.asarray(Image.open(path).convert("RGB"))
    auto, plain, photo, half = (
        load(model, 2, "cpu", "fp32", restore=restore)
        for model, restore in [
            ("edsr-free", None), ("edsr-free", 0), ("edsr-photo", None), ("edsr-free", 0.5),
        ]
    )  # fmt: skip
    expected = photo(decoded)
    with Image.open(path) as image:
        for picture in (path, image, decoded):  # arrays are measured
            assert np.array_equal(np.asarray(auto(picture)), expected)
    assert not np.array_equal(plain(decoded), expected)
    assert not np.array_equal(half(decoded), expected)
    assert np.array_equal(auto(pixels), plain(pixels))
    deep = auto(decoded.astype(np.uint16) * 257)
    assert deep.dtype == np.uint16 and np.abs(deep / 257 - expected.astype(float)).max() < 0.6
    for wrong in (-0.1, 1.1, float("nan")):
        with pytest.raises(ValueError, match="restore must be"):
            load(restore=wrong)
    with pytest.raises(UsageError, match="no second network"):
        load("mdsr-free", restore="auto")


def test_metadata_is_in_the_info(upscaler, tmp_path):
    path = tmp_path / "photo.jpg"
    exif = builders.exif(orientation=6)
    Image.fromarray(PIXELS).save(path, exif=b"Exif\0\0" + exif, dpi=(300, 300), xmp=b"<x/>")
    with Image.open(path) as image:
        for picture in (path, image):
            result = upscaler(picture)
            assert result.size == (48, 80)  # turned upright
            assert result.info["dpi"] == (300, 300)
            assert result.info["xmp"] == b"<x/>"
            assert result.getexif()[0x10F] == "Maker" and result.getexif().get(0x112, 1) == 1
    result.save(tmp_path / "out.jpg", exif=result.info["exif"], xmp=result.info["xmp"])
    with Image.open(tmp_path / "out.jpg") as again:
        assert again.getexif()[0x10F] == "Maker"
    bare = upscaler(Image.fromarray(PIXELS))
    assert set(bare.info) == {"exif"}  # which tells nothing but what made it
    assert dict(bare.getexif()) == {0x131: f"edsr {edsr_cli.__version__}, model nearest x4"}


def test_tiles_and_progress(upscaler):
    seen = []
    result = upscaler(PIXELS, tile=7, progress=lambda done, total: seen.append((done, total)))
    assert np.array_equal(result, repeated(PIXELS))
    assert seen == sorted(seen) and seen[-1] == (240, 240) and len(seen) >= 3
    assert np.array_equal(upscaler(PIXELS, tile="none"), result)


@pytest.mark.parametrize(
    ("frame", "error", "words"),
    [
        ("2", TypeError, "frame must be a whole number or None, not str"),
        (1.5, TypeError, "frame must be a whole number or None, not float"),
        (0, ValueError, "frame must be at least 1, not 0"),
        (3, PictureError, "only 2 frames or pages"),
    ],
)
def test_frames_that_there_are_not(upscaler, tmp_path, frame, error, words):
    path, images = tmp_path / "a.tif", [Image.fromarray(PIXELS), Image.fromarray(255 - PIXELS)]
    images[0].save(path, save_all=True, append_images=images[1:])
    second = upscaler(path, frame=np.int64(2))
    assert np.array_equal(np.asarray(second), repeated(255 - PIXELS))
    with pytest.raises(error, match=words):
        upscaler(path, frame=frame)
    for picture in (PIXELS, images[0]):
        with pytest.raises(ValueError, match="frame is of files"):
            upscaler(picture, frame=1)


def test_files_with_more_pixels_than_the_limit_are_refused(upscaler, tmp_path):
    path = tmp_path / "a.png"
    Image.fromarray(PIXELS).save(path)
    limited = load(save_nearest(tmp_path / "m.safetensors"), device="cpu", max_pixels="0.2K")
    with pytest.raises(PictureError, match="limit of 200 pixels") as caught:
        limited(path)
    assert "--max-pixels" in caught.value.hint
    assert np.array_equal(limited(PIXELS), upscaler(PIXELS))


def test_files_that_are_no_pictures(upscaler, tmp_path):
    (tmp_path / "words.png").write_text("words")
    for name in ("words.png", "missing.png", "."):
        with pytest.raises(PictureError) as caught:
            upscaler(tmp_path / name)
        assert str(tmp_path / name) in caught.value.message and caught.value.hint
    with pytest.raises(PictureError, match="no pixels"):
        upscaler(Image.new("RGB", (0, 5)))


@pytest.mark.parametrize("picture", [None, 5, b"\x89PNG", [[1, 2, 3]], open], ids=repr)
def test_things_that_are_no_pictures(upscaler, picture):
    with pytest.raises(TypeError, match="must be a path, a PIL image or a NumPy array, not"):
        upscaler(picture)


@pytest.mark.parametrize(
    "shape", [(4, 4), (4, 4, 4), (3, 4, 4), (0, 4, 3), (4, 0, 3), (1, 4, 4, 3)], ids=repr
)
def test_arrays_of_other_shapes(upscaler, shape):
    with pytest.raises(ValueError, match=r"must have the shape \(height, width, 3\)"):
        upscaler(np.zeros(shape, np.uint8))


@pytest.mark.parametrize("dtype", [np.float32, np.int64, bool, np.int8])
def test_arrays_of_other_types(upscaler, dtype):
    with pytest.raises(TypeError, match="must be a uint8 or uint16"):
        upscaler(np.zeros((4, 4, 3), dtype))


def test_models_and_devices_that_do_not_exist(tmp_path):
    (tmp_path / "damaged.safetensors").write_bytes(b"no")
    for model in ("nonsense", tmp_path / "missing.pt", tmp_path / "damaged.safetensors"):
        with pytest.raises(WeightsError):
            load(model)
    with pytest.raises(WeightsError, match="x2, x3, x4"):
        load(scale=5)
    with pytest.raises(UsageError, match="toaster"):
        load(device="toaster")
    with pytest.raises(UsageError, match="fp8"):
        load(precision="fp8")
    with pytest.raises(DeviceMemoryError):
        load(max_memory=1, device="cpu")(PIXELS)
    # One class catches them all.
    assert issubclass(WeightsError, EdsrError) and issubclass(PictureError, EdsrError)


def test_names_that_do_not_exist():
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        edsr_cli.nonsense  # noqa: B018
    with pytest.raises(ImportError):
        from edsr_cli import nonsense  # noqa: F401


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"max_memory": "1X"}, "max_memory: '1X' is not a size such as 800M"),
        ({"max_memory": ""}, "max_memory: '' is not a size"),
        ({"max_memory": 0}, "max_memory must be at least one byte, not 0"),
        ({"max_memory": -5}, "max_memory must be at least"),
        ({"threads": -1}, "threads must be a whole number from 0"),
        ({"threads": "many"}, "threads must be a whole number from 0.*'many'"),
        ({"threads": 10**6}, "threads must be from 0 to"),
    ],
)
def test_values_that_are_none(given, words):
    with pytest.raises(ValueError, match=words):
        load(**given)


@pytest.mark.parametrize(
    "given",
    [
        {"model": None}, {"model": b"edsr-free"}, {"scale": "4"}, {"scale": 2.0}, {"scale": True},
        {"device": None}, {"device": 0}, {"precision": None}, {"max_memory": 1e9},
        {"max_memory": True}, {"max_memory": b"1G"}, {"threads": 2.0}, {"threads": True},
        {"value_range": "255"}, {"mean_shift": "no"}, {"residual_scale": "0.1"},
    ],
    ids=repr,
)  # fmt: skip
def test_arguments_of_other_types_are_named(given):
    (name,) = given
    with pytest.raises(TypeError, match=f"^{name} must be"):
        load(**given)


def test_arguments_are_missed_by_the_function_that_was_called():
    with pytest.raises(TypeError, match=r"^upscale\(\) missing a required argument: 'inputs'"):
        edsr_cli.upscale()
    with pytest.raises(TypeError, match=r"^load\(\) got an unexpected keyword argument 'scales'"):
        load(scales=2)


def test_no_pictures_are_no_mistake():
    assert edsr_cli.upscale([]) == []


def test_sizes_and_threads_as_people_write_them(tmp_path):
    file = save_nearest(tmp_path / "nearest.safetensors")
    before = processors.asked()
    try:
        for text, size in (("500M", 500_000_000), ("1G", 10**9), ("2GiB", 2 << 30), (300, 300)):
            assert load(file, max_memory=text, device="cpu").upscaler.max_memory == size
        load(file, threads=3, device="cpu")
        assert processors.asked() == 3
        for automatic in (0, None, "auto"):
            load(file, threads=automatic, device="cpu")
            assert processors.asked() == 0
    finally:
        processors.use_threads(before)


def test_an_upscaler_says_what_it_is(upscaler):
    assert repr(upscaler) == "<PictureUpscaler nearest x4 on cpu in fp32>"
    with pytest.raises(ValueError, match="tile"):
        upscaler(PIXELS, tile=0)


def test_what_is_public_can_be_seen():
    public = {name for name in dir(edsr_cli) if not name.startswith("_")}
    assert public == set(edsr_cli.__all__) - {"__version__"}
    assert {"load", "EdsrError", "PictureError", "WeightsError", "UsageError"} < public
    for name in edsr_cli.__all__:
        assert getattr(edsr_cli, name) is not None
    assert edsr_cli.PictureError is PictureError


def test_functions_stay_what_they_are(repository):
    """No module of the same name takes their place."""
    code = (
        "import edsr_cli, pkgutil, importlib\n"
        "for module in pkgutil.walk_packages(edsr_cli.__path__, 'edsr_cli.'):\n"
        "    if not module.name.endswith('__main__'): importlib.import_module(module.name)\n"
        "print([n for n in ('load', 'upscale', 'batch', 'evaluate', 'train')"
        " if not callable(getattr(edsr_cli, n))])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=repository, capture_output=True, text=True, timeout=300
    )
    assert done.stdout == "[]\n", done.stderr


def test_importing_the_package_is_quick(repository):
    code = (
        "import sys, edsr_cli; edsr_cli.__version__; loaded = set(sys.modules);"
        "print(sorted(loaded & {'torch', 'numpy', 'PIL', 'typer', 'rich', 'huggingface_hub'}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=repository, capture_output=True, text=True, timeout=600
    )
    assert (done.stdout, done.stderr) == ("[]\n", "")


def test_alpha(upscaler, tmp_path, caplog):
    image = Image.fromarray(PIXELS)
    alpha = np.zeros(PIXELS.shape[:2], np.uint8)
    alpha[4:, 5:] = 255
    image.putalpha(Image.fromarray(alpha))
    image.save(tmp_path / "clear.png")
    for picture in (image, tmp_path / "clear.png"):
        caplog.clear()
        dropped = upscaler(picture)
        assert dropped.mode == "RGB" and np.array_equal(np.asarray(dropped), repeated(PIXELS))
        [record] = caplog.records
        assert record.levelname == "WARNING" and "alpha='keep'" in record.message
        caplog.clear()
        kept = np.asarray(upscaler(picture, alpha="keep"))
        assert kept.shape == (48, 80, 4) and not caplog.records
        assert (kept[20:, 24:, 3] == 255).all() and (kept[:12, :, 3] == 0).all()
        assert np.array_equal(kept[16:, 20:, :3], repeated(PIXELS)[16:, 20:])
        laid = np.asarray(upscaler(picture, alpha="white"))
        expected = np.where(alpha[..., None] > 0, PIXELS, 255).astype(np.uint8)
        assert np.array_equal(laid, repeated(expected)) and not caplog.records
    # Neither has any.
    assert upscaler(image.convert("RGB"), alpha="keep").mode == "RGB"
    assert np.array_equal(upscaler(PIXELS, alpha="keep"), repeated(PIXELS))


@pytest.mark.parametrize(("value", "error"), [("whitish", ValueError), (1, TypeError)])
def test_what_is_no_setting_of_alpha(upscaler, value, error):
    with pytest.raises(error, match="alpha"):
        upscaler(PIXELS, alpha=value)

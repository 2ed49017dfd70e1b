"""`edsr upscale` in this process: what it refuses, and with which words."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from edsr_cli.checkpoints import loader
from tests.cli.conftest import listing, records, usage
from tests.jobs.nearest import read_back


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], ["INPUT"]),
        (["photo.png", "--nonsense"], ["--nonsense"]),
        (["photo.png", "-s", "17"], ["--scale", "'17' is not a factor", "at most 16"]),
        (["photo.png", "-s", "0"], ["--scale", "'0' is not a factor"]),
        (["photo.png", "-s", "-2"], ["--scale", "'-2' is not a factor"]),
        (["photo.png", "-s", "twice"], ["--scale", "'twice' is not a factor such as 2 or 1.5"]),
        (["photo.png", "-s", "nan"], ["--scale", "'nan'"]),
        (["photo.png", "--width", "0"], ["--width", "at least 1"]),
        (["photo.png", "--width", "9", "-s", "2"], ["--scale and --width exclude each other"]),
        (["photo.png", "--fit", "9"], ["--fit", "'9' is not a size in pixels"]),
        (["photo.png", "--print", "9x9"], ["--print", "30x20cm"]),
        (["photo.png", "--megapixels", "0"], ["--megapixels", "'0' is not a number above 0"]),
        (["photo.png", "--dpi", "0"], ["--dpi", "such as 300"]),
        (["photo.png", "--quality", "80"], ["--quality is for JPEG, WebP", "PNG"]),
        (["photo.png", "-f", "webp", "--chroma", "420"], ["--chroma is for JPEG and AVIF"]),
        (["photo.png", "-f", "jpeg", "--lossless"], ["JPEG is written with loss", "PNG"]),
        (["photo.png", "--lossless", "--quality", "9"], ["--quality and --lossless exclude"]),
        (["photo.png", "--strip", "exif"], ["--strip", "gps"]),
        (["photo.png", "--name", "a.png"], ["--name", "does not end in {ext}"]),
        (["photo.png", "--name", "{size}{ext}"], ["--name", "another field", "{stem}"]),
        (["photo.png", "--name", "../{stem}{ext}"], ["--name", "another folder"]),
        (["photo.png", "--name", "a{ext}", "-o", "b.png"], ["--name", "Give a folder with -o"]),
        (["photo.png", "b.png", "--name", "a{ext}"], ["photo.png and b.png", "a.png"]),
        (["-", "-o", "-", "-f", "same"], ["--format same", "standard input has none"]),
        (["https://example.org/a.png"], ["https://example.org/a.png: this is an address", "curl"]),
        (["FTP://x", "."], ["FTP://x: this is an address"]),
        (["*.jpg"], ["*.jpg: no file matches this pattern"]),
        (["*.jpg", "img_[0-9]?.png"], ["*.jpg: no file matches this pattern"]),
        (["."], [".: this is a folder", "edsr batch"]),
        (["photo.png", "-t", "0"], ["--tile", "'0'", "auto"]),
        (["photo.png", "-t", "9" * 5000], ["--tile", "auto"]),
        (["photo.png", "--max-memory", "5X"], ["--max-memory", "'5X'", "800M"]),
        (["photo.png", "--max-memory", "9" * 400 + "T"], ["--max-memory", "800M"]),
        (["photo.png", "--max-pixels", "many"], ["--max-pixels", "'many'", "500M"]),
        (["photo.png", "--precision", "fp8"], ["--precision", "fp8", "bf16"]),
        (["photo.png", "--precision", "fp16", "--engine", "torch"], ["fp16", "--precision auto"]),
        (["photo.png", "-d", "toaster", "--engine", "torch"], ["'toaster'", "cuda"]),
        (["photo.png", "-f", "pcx"], ["'pcx'", ".png"]),
        (["photo.png", "-o", "b.pcx"], ["b.pcx", ".png"]),
        (["photo.png", "-o", "b.png", "-f", "jpeg"], ["b.png", "JPEG"]),
        (["photo.png", "-q", "-v"], ["-q and -v"]),
        (["photo.png", "-o", "-", "--json"], ["--json", "standard output", "-o"]),
        (["-", "--json"], ["--json", "standard output", "-o"]),
        (["photo.png", "photo.png"], ["photo.png and photo.png", "photo_x4.png"]),
        (["photo.png", "./photo.png"], ["photo.png and photo.png", "photo_x4.png"]),
        (["photo.png", "-o", "photo.png"], ["photo.png is an input"]),
        (["photo.png", "-o", "photo.png", "--overwrite"], ["photo.png is an input"]),
        (["photo.png", "b.png", "-o", "c.png"], ["2 pictures", "c.png"]),
        (["photo.png", "-", "-o", "-"], ["one picture, not 2"]),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, list) else None,
)
def test_wrong_usage_is_refused_before_any_work(upscale, no_work, arguments, words):
    before = Path("photo.png").read_bytes()
    usage(upscale(*arguments), *words)
    assert listing(Path()) == ["photo.png"] and Path("photo.png").read_bytes() == before


def test_a_picture_is_not_written_to_a_terminal(upscale, photo, monkeypatch):
    # The fixture puts sys.stdout back, so its class is what can be changed.
    monkeypatch.setattr(type(sys.stdout), "isatty", lambda self: True)
    usage(upscale(photo, "-o", "-"), "terminal", "-o")


def test_unknown_models_and_bad_weights(edsr, photo, model, tmp_path, no_work):
    damaged = tmp_path / "damaged.safetensors"
    damaged.write_bytes(model.read_bytes()[:-9])
    (tmp_path / "words.pt").write_text("words")
    (tmp_path / "empty.pth").touch()
    (tmp_path / "folder.pt").mkdir()
    for name, words in {
        "nonsense": ["'nonsense'", "edsr-free"],
        "esdr": ["'esdr'", "Did you mean edsr?", "Models: "],
        "EDSR-Fre": ["Did you mean edsr-free?"],
        "https://example.org/a": ["'https://example.org/a'"],
        "missing.pt": ["missing.pt"],
        "damaged.safetensors": ["damaged.safetensors"],
        "words.pt": ["words.pt"],
        "empty.pth": ["empty.pth"],
        "folder.pt": ["folder.pt"],
        "photo.png": ["photo.png", ".safetensors"],
        "two\nlines": [r"two\nlines"],
    }.items():
        run = edsr("upscale", photo, "-m", name)
        assert run.code == 3 and run.out == b"", run
        assert len(run.lines) == 1 and all(word in run.err for word in words), run.err
    assert not Path("photo_x4.png").exists()


def test_weights_of_the_official_layout(edsr, photo):
    """The bundled weights as the authors would have stored them give the same picture."""
    torch.save(loader.load_network("edsr-free", 2).network.state_dict(), "edsr_baseline_x2.pt")
    assert edsr("upscale", photo, "-m", "edsr_baseline_x2.pt", "-o", "a.png").code == 0
    assert edsr("upscale", photo, "-s", 2, "-o", "b.png", "-v").code == 0
    assert np.array_equal(read_back(Path("a.png")), read_back(Path("b.png")))
    assert read_back(Path("a.png")).size == (18, 12)


def test_bundled_weights_that_are_damaged(edsr, photo, model, tmp_path, monkeypatch):
    from edsr_cli.checkpoints import registry

    folder = tmp_path / "weights"
    folder.mkdir()
    for path in registry.weights_folder().iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    registry.rows()
    monkeypatch.setattr(registry, "weights_folder", lambda: folder)
    (folder / "edsr-free-x4.safetensors").write_bytes(b"cut")
    run = edsr("upscale", photo)
    assert run.code == 3 and len(run.lines) == 1 and "Reinstall" in run.err
    assert edsr("upscale", photo, "-s", 3).code == 0


def test_too_little_memory(upscale, photo):
    run = upscale(photo, "--max-memory", "1")
    assert run.code == 4
    assert len(run.lines) == 1 and run.err.startswith("error: photo.png: ")
    assert "--max-memory" in run.err
    # Together with another kind of failure it is just a failure.
    assert upscale(photo, "missing.png", "--max-memory", "1").code == 1
    assert listing(Path()) == ["photo.png"]


@pytest.mark.parametrize(
    ("form", "width"), [("jpeg", 16_400), ("webp", 4096), ("avif", 8200), ("jpg", 20_000)]
)
def test_sizes_beyond_a_format_are_refused_before_any_work(upscale, photo, no_work, form, width):
    Image.new("RGB", (width, 1)).save("wide.png")
    run = upscale("wide.png", "-f", form)
    assert run.code == 1
    [line] = run.lines
    assert line.startswith(f"error: wide.png: {4 * width} x 4 pixels do not fit into ")
    assert "Write it as PNG" in line
    assert listing(Path()) == ["photo.png", "wide.png"]


def test_a_wide_picture(upscale, photo):
    Image.new("RGB", (17_000, 1), "teal").save("wide.png")
    assert upscale("wide.png").code == 0
    assert read_back(Path("wide_x4.png")).size == (68_000, 4)


def test_pixel_limits(upscale, photo):
    run = upscale(photo, "--max-pixels", "53")
    assert run.code == 1 and "--max-pixels" in run.err and "photo.png" in run.err
    assert upscale(photo, "--max-pixels", "54").code == 0
    assert upscale(photo, "--max-pixels", "1K", "--overwrite").code == 0


def test_what_is_no_file_does_not_keep_others_from_being_done(upscale, photo):
    run = upscale("*.jpg", "https://example.org//a.png", photo, ".", "--json")
    assert run.code == 1 and Path("photo_x4.png").exists()
    assert "*.jpg: no file matches this pattern." in run.err
    assert "https://example.org//a.png: this is an address" in run.err
    assert "3 of 4 pictures failed." in run.err
    assert [each["status"] for each in records(run)] == ["failed"] * 3 + ["done"]


def test_a_file_called_like_a_pattern_or_an_address_is_a_file(upscale, photo):
    Path("a[1].png").write_bytes(photo.read_bytes())
    Path("b[2].png").write_bytes(photo.read_bytes())
    assert upscale("a[1].png").code == 0
    assert listing(Path()) == ["a[1].png", "a[1]_x4.png", "b[2].png", "photo.png"]


def test_pictures_that_differ_in_their_ending_are_done_in_one_call(upscale, photo):
    Image.open(photo).save("photo.bmp")
    assert upscale(photo, "photo.bmp").code == 0
    assert listing(Path()) == ["photo.bmp", "photo.bmp_x4.png", "photo.png", "photo.png_x4.png"]

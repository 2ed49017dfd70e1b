"""`edsr compare`, with a network that repeats pixels, so that all versions are known."""

import shlex
import webbrowser
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

import edsr_cli
from edsr_cli.errors import UsageError
from edsr_cli.evaluation.scores import measure
from edsr_cli.images.colour.icc import srgb_profile
from edsr_cli.pixels import resize
from edsr_cli.pixels.depth import to_uint8
from tests.cli.conftest import PIXELS, listing, records, usage
from tests.jobs.nearest import NAME, read_back, repeated, save_nearest
from tests.jobs.test_large import linear_profile
from tests.report.examples import Page

LARGE = repeated(PIXELS)
HIGH, WIDE = LARGE.shape[:2]


@pytest.fixture
def compare(edsr, model, photo):
    """Run `edsr compare` with the network that repeats pixels, beside `photo`."""

    def run(*arguments):
        return edsr("compare", photo, "-d", "cpu", *arguments)

    return run


def save(name, pixels):
    Image.fromarray(pixels).save(name)
    return name


def test_the_page_of_a_picture(compare, model):
    run = compare("-m", model, "--json")
    assert run.code == 0 and listing(Path()) == ["photo.png", "photo_compare.html"]
    assert run.lines[-1] == "The page is in photo_compare.html."
    [record] = records(run)
    assert record["output_size"] == [WIDE, HIGH] and record["scale"] == 4
    labels = [each["label"] for each in record["versions"]]
    assert labels == ["bicubic", model.name]
    assert record["versions"][1]["model"] == NAME
    page = Page(Path("photo_compare.html").read_text("utf-8"))
    assert len(page.all("img")) == 2
    again = compare("-m", model)  # an older page is replaced
    assert again.code == 0


def test_versions_are_what_other_commands_make(photo, model):
    other = 255 - LARGE
    files = [save("other.png", other), save("again.png", LARGE)]
    [seen] = edsr_cli.compare(
        photo,
        "p.html",
        model=model,
        device="cpu",
        beside=["nearest", "bicubic", *files],
        reference=save("hr.png", np.pad(LARGE, ((0, 2), (0, 3), (0, 0)))),
    )
    labels = [each.label for each in seen.versions]
    assert labels == ["nearest", "bicubic", *files, model.name, "reference"]
    wanted = [LARGE, resize.upscale(PIXELS, 4), other, LARGE, LARGE, LARGE]
    for version, pixels in zip(seen.versions, wanted, strict=True):
        assert np.array_equal(version.part(seen.size, 0, 0, HIGH, WIDE), pixels)
        if version.kind != "reference":
            assert version.scores == measure(pixels, LARGE, 4).to_dict()
    assert (seen.border, seen.versions[0].scores["psnr_y"]) == (4, None)


def test_the_commands_make_page_and_version_again(edsr, photo):
    known = {"scale": 2, "device": "cpu", "precision": "bf16", "tile": 8, "max_embed": "1k"}
    [seen] = edsr_cli.compare(photo, "p.html", restore=[0, "0.5"], **known)
    plain, half = seen.versions[1:]
    assert (plain.label, half.label) == ("edsr-free, restore 0", "edsr-free, restore 0.5")
    assert (plain.made["restore"], half.made["restore"]) == (0, 0.5)
    assert not np.array_equal(plain.pixels, half.pixels)
    words = shlex.split(half.command)
    assert words[:2] == ["edsr", "upscale"] and edsr(*words[1:]).code == 0
    assert np.array_equal(np.asarray(read_back("photo_x2.png")), half.pixels)
    page = Page(Path("p.html").read_text("utf-8"))
    [command] = [text for text in page.texts if text.startswith("edsr compare photo.png")]
    run = edsr(*shlex.split(command)[1:], "--json")
    assert run.code == 0 and "are in p_files" in run.lines[-1]
    again = [{**each, "seconds": 0} for each in records(run)[0]["versions"]]
    assert again == [{**each, "seconds": 0} for each in seen.to_dict()["versions"]]
    assert {each.get("precision", "bf16") for each in again} == {"bf16"}


@pytest.mark.parametrize("linear", [True, False], ids=["linear", "sRGB"])
def test_deep_and_linear_pictures_are_what_upscale_makes(tmp_path, monkeypatch, linear):
    """All bits of the input, and the curve of sRGB for the network."""
    monkeypatch.chdir(tmp_path)
    deep = np.random.default_rng(1).integers(0, 9000, (12, 9, 3), np.uint16)
    profile = linear_profile() if linear else srgb_profile()
    tags = [(34675, 7, len(profile), profile, True)]
    tifffile.imwrite("deep.tif", deep, extratags=tags, metadata=None)
    known = {"model": "edsr-free", "device": "cpu", "scale": 2}
    model = {**known, "model": ["edsr-free"]}
    [seen] = edsr_cli.compare("deep.tif", "p.html", **model)
    [record] = edsr_cli.upscale(["deep.tif"], "large.tif", **known)
    assert record.error is None
    made = tifffile.imread("large.tif")
    assert made.dtype == np.uint16
    network = next(each for each in seen.versions if each.kind == "network")
    assert np.array_equal(network.pixels, to_uint8(made))
    plain = to_uint8(edsr_cli.load("edsr-free", scale=2, device="cpu")(deep))
    assert np.array_equal(network.pixels, plain) != linear


def test_parts_are_those_of_the_whole(photo, model):
    crops = ["3x2+4+1", "1x1+8+5"]
    known = {"model": ["edsr-free", model], "device": "cpu", "beside": ["bicubic", "nearest"]}
    [whole] = edsr_cli.compare(photo, "p.html", **known)
    parts = edsr_cli.compare(photo, "q.html", crop=crops, **known)
    assert [part.name for part in parts] == [f"photo.png {crop}" for crop in crops]
    for part, (left, top, wide, high) in zip(parts, ((4, 1, 3, 2), (8, 5, 1, 1)), strict=True):
        assert part.size == (4 * wide, 4 * high) and part.border == 0
        for mine, all_of_it in zip(part.versions, whole.versions, strict=True):
            cut = all_of_it.part(whole.size, 4 * top, 4 * left, 4 * high, 4 * wide)
            shown = mine.part(part.size, 0, 0, 4 * high, 4 * wide)
            # The network adds in another order; rounding may differ.
            assert np.abs(shown.astype(int) - cut).max() <= (mine.label == "edsr-free")


def test_finished_pictures_need_no_network(compare, no_work):
    save("a.png", LARGE), save("b.png", 255 - LARGE)
    run = compare(
        "-m", "none", "--with", "a.png", "--with", "b.png", "--with", "nearest", "--sheet", "s.png"
    )
    assert run.code == 0 and listing(Path()) == ["a.png", "b.png", "photo.png", "s.png"]
    assert run.lines == ["The sheet is in s.png."]


def test_measured_against_an_original(compare, model):
    save("hr.png", 255 - LARGE)
    run = compare("-m", model, "--reference", "hr.png", "-o", "p.html")
    wanted = measure(LARGE, 255 - LARGE, 4)
    line = next(line for line in run.lines if line.startswith(f"photo.png, {model.name}: 36 x 24"))
    assert line.endswith(f"PSNR Y {wanted.psnr_y:.2f} dB, SSIM Y {wanted.ssim_y:.4f}")
    assert f"{wanted.psnr_rgb:.2f} dB" in Page(Path("p.html").read_text("utf-8")).texts


def test_models_of_one_name_are_told_apart(compare, model, tmp_path):
    (tmp_path / "sub").mkdir()
    other = save_nearest(tmp_path / "sub" / model.name)
    run = compare("-m", model, "-m", other, "--json")
    labels = [each["label"] for each in records(run)[0]["versions"]]
    assert labels == ["bicubic", model.name, f"{model.name} (2)"]


def test_files_of_one_name_are_told_apart(photo):
    names = ["photo (1).png", "reference", "reference (2)"]
    files = []
    for folder in ("a", "b"):
        Path(folder).mkdir()
        for name in names:
            files.append(f"{folder}/{name}")
            Image.fromarray(LARGE).save(files[-1], "png")
    known = {"model": "none", "beside": files, "reference": files[0]}
    [seen] = edsr_cli.compare(photo, "p.html", **known)
    again = ["photo (1).png (2)", "reference (3)", "reference (2) (2)", "reference (4)"]
    assert [each.label for each in seen.versions] == [*names, *again]


def test_a_model_that_cannot_restore_is_there_once(photo, model):
    [seen] = edsr_cli.compare(
        photo, "p.html", model=["edsr-free", model], restore="0,1", device="cpu"
    )
    labels = [each.label for each in seen.versions]
    assert labels == ["bicubic", "edsr-free, restore 0", "edsr-free, restore 1", model.name]


def test_large_pictures_go_beside_the_page(compare, model):
    run = compare("-m", model, "-o", "p.html", "--max-embed", "1k")
    assert run.code == 0 and len(listing(Path("p_files"))) == 2
    assert "are in p_files, which belongs to it" in run.lines[-1]


def test_it_is_shown(compare, model, monkeypatch):
    shown = []
    monkeypatch.setattr(webbrowser, "open", lambda address: bool(shown.append(address)))
    run = compare("-m", model, "--open")
    assert run.code == 0 and shown == [Path("photo_compare.html").resolve().as_uri()]
    assert "No browser was found" in run.lines[-1]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--with", "nowhere.png"], ["nowhere.png"]),
        (["--with", "small.png"], ["small.png: it has 9 x 6 pixels, not the 36 x 24"]),
        (["--reference", "large.png"], ["large.png: it has 40 x 24 pixels"]),
        (["--reference", "a", "--reference", "b"], ["--reference is for one input each"]),
        (["--crop", "10x1+0+0"], ["photo.png: --crop 10x1+0+0 is not inside its 9 x 6 pixels"]),
        (["--crop", "1x1"], ["is not WxH+X+Y"]),
        (["--restore", "0,2"], ["not auto or a number from 0 to 1"]),
        (["-m", "edsr-photo", "--restore", "0.5"], ["edsr-photo has no second network"]),
        (["-o", "p.png"], ["p.png", ".html"]),
        (["-o", "mine.html"], ["mine.html: this file is not a page of edsr compare"]),
        (["--sheet", "small.png"], ["small.png: this file is not a sheet of edsr compare"]),
        (["--sheet", "photo.png", "--overwrite"], ["photo.png: this is one of the pictures"]),
        (["--sheet", "s.png", "--open"], ["--open shows a page"]),
        (["small.png", "--with", "large.png"], ["--with takes files for one input"]),
        (["-"], ["Standard input cannot be compared"]),
        (["--with", "small.png", "-s", "1"], ["2, 3 or 4"]),
    ],
)  # fmt: skip
def test_what_makes_no_sense(compare, no_work, arguments, words):
    save("small.png", PIXELS), save("large.png", np.zeros((24, 40, 3), np.uint8))
    Path("mine.html").write_text("mine")
    before = listing(Path())
    run = compare(*arguments)
    if "nowhere.png" in words:
        assert run.code == 1 and len(run.lines) == 1 and "nowhere.png" in run.err
    else:
        usage(run, *words)
    assert listing(Path()) == before


def test_one_version_is_nothing_to_compare(compare, no_work):
    save("a.png", LARGE)
    usage(compare("-m", "none", "--with", "a.png"), "There is one version only")


@pytest.mark.parametrize("output", [None, "p.html"])
def test_no_picture_is_nothing_to_compare(tmp_path, monkeypatch, output):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="There is no picture to compare"):
        edsr_cli.compare([], output)
    assert not listing(tmp_path)

"""`edsr evaluate`: tables, JSON, what it saves, and what it refuses."""

import re
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edsr_cli.checkpoints import registry
from edsr_cli.degradations.kernel import normalised
from edsr_cli.degradations.patches import Degradation, degrade_picture
from edsr_cli.degradations.spec import parse
from edsr_cli.evaluation.scores import measure
from edsr_cli.pixels import resize
from tests.cli.conftest import finish, listing, records, start, usage
from tests.jobs.nearest import NAME, read_back, repeated, save_nearest
from tests.report.examples import Page

HR = {
    name: np.random.default_rng(seed).integers(0, 256, (41, 47, 3), np.uint8)
    for seed, name in enumerate(("a", "b", "c"))
}


def save(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


@pytest.fixture
def here(tmp_path, monkeypatch):
    """Two data sets, Set5 with LR for x4 and one with originals only."""
    monkeypatch.chdir(tmp_path)
    for name, pixels in HR.items():
        save(Path(f"Set5/HR/{name}.png"), pixels)
        save(Path(f"Set5/LR_bicubic/X4/{name}x4.png"), lr(name))
        save(Path(f"mine/{name}.png"), pixels)
    return tmp_path


def lr(name, scale=4):
    return resize.downscale(HR[name], scale)


def expected(name, border=4, scale=4):
    """The scores of the network that repeats pixels, and of bicubic interpolation."""
    height, width = HR[name].shape[0] // scale * scale, HR[name].shape[1] // scale * scale
    original = HR[name][:height, :width]
    pictures = repeated(lr(name, scale), scale), resize.upscale(lr(name, scale), scale)
    return [measure(picture, original, border) for picture in pictures]


@pytest.fixture
def evaluate(edsr, model, here):
    """Run `edsr evaluate` with the network that repeats pixels 4 x 4 times."""

    def run(*arguments):
        return edsr("evaluate", "-m", model, "-d", "cpu", *arguments)

    return run


def rows(run):
    """The table's lines, split where two blanks or more are."""
    return [re.split(r"\s{2,}", line.strip()) for line in run.out.decode().splitlines()]


# Tables.


def test_a_table(evaluate):
    run = evaluate("Set5")
    assert run.code == 0
    table = rows(run)
    assert table[0] == ["Set5 x4, nearest, fp32 on cpu, border of 4 pixels"]
    assert table[2] == [
        "picture", "PSNR Y", "SSIM Y", "PSNR RGB", "SSIM RGB", "bicubic Y", "s"
    ]  # fmt: skip
    for name in HR:
        ours, simple = expected(name)
        [row] = [row for row in table if row[0] == name]
        assert row[1:6] == [
            f"{ours.psnr_y:.2f}",
            f"{ours.ssim_y:.4f}",
            f"{ours.psnr_rgb:.2f}",
            f"{ours.ssim_rgb:.4f}",
            f"{simple.psnr_y:.2f}",
        ]
    ours, simple = (np.mean([expected(name)[which].psnr_y for name in HR]) for which in (0, 1))
    assert [row[1] for row in table if row[0] == "mean of 3"] == [f"{ours:.2f}"]
    assert [row[1] for row in table if row[0] == "bicubic"] == [f"{simple:.2f}"]
    assert ["EDSR baseline (torchSR README)", "32.09", "0.8936"] in table
    assert ["EDSR (Lim et al. 2017)", "32.46", "0.8968"] in table
    assert run.lines == ["Published figures are for all 5 pictures of Set5, not for 3."]


def test_div2k_leads_with_colours_and_has_a_wider_border(evaluate):
    save(Path("DIV2K/DIV2K_valid_HR/0801.png"), HR["a"])
    run = evaluate("DIV2K")
    table = rows(run)
    assert table[0] == ["DIV2K x4, nearest, fp32 on cpu, border of 10 pixels"]
    assert table[2][:6] == ["picture", "PSNR RGB", "SSIM RGB", "PSNR Y", "SSIM Y", "bicubic RGB"]
    ours, simple = expected("a", border=10)
    [row] = [row for row in table if row[0] == "0801"]
    assert [row[1], row[3], row[5]] == [
        f"{ours.psnr_rgb:.2f}", f"{ours.psnr_y:.2f}", f"{simple.psnr_rgb:.2f}"
    ]  # fmt: skip


def test_unknown_sets_have_no_published_figures(evaluate):
    run = evaluate("mine", "--border", "1")
    assert run.code == 0 and run.err == ""
    table = rows(run)
    assert "border of 1 pixels" in table[0][0]
    assert not any("(" in row[0] for row in table)
    assert [row[1] for row in table if row[0] == "b"] == [
        f"{expected('b', border=1)[0].psnr_y:.2f}"
    ]


def test_odd_names_stay_in_their_line(evaluate):
    name = "[red]x\nä"
    save(Path("mine") / f"{name}.png", HR["a"])
    run = evaluate("mine")
    assert run.code == 0
    assert "[red]x\\nä " in run.out.decode()


def test_quiet_prints_the_table_alone_and_verbose_a_line_for_each_picture(evaluate):
    quiet, verbose = evaluate("Set5", "-q"), evaluate("Set5", "-v")
    assert quiet.err == "" and len(rows(quiet)) == len(rows(verbose))
    score = expected("a")[0].psnr_y
    assert any(f"Set5 x4, a: PSNR Y {score:.3f} dB" in line for line in verbose.lines)


# JSON.


def test_json(evaluate):
    run = evaluate("Set5", "--json", "-x", "--tile", "3")
    assert run.code == 0
    *pictures, mean = records(run)
    assert [each["picture"] for each in pictures] == ["a", "b", "c"]
    for each in pictures:
        ours, simple = expected(each["picture"])
        values = {name: each[name] for name in ours.to_dict()}
        assert values == ours.to_dict()
        assert {name: each[f"bicubic_{name}"] for name in values} == simple.to_dict()
        assert (
            each.items()
            >= {
                "kind": "picture",
                "dataset": "Set5",
                "scale": 4,
                "model": NAME,
                "ensemble": True,
                "device": "cpu",
                "precision": "fp32",
                "border": 4,
                "lr": "given",
                "saved": None,
                "notes": [],
                "error": None,
            }.items()
        )
        assert each["seconds"] > 0
    assert mean.items() >= {"kind": "mean", "pictures": 3, "failed": 0, "border": 4}.items()
    assert mean["psnr_y"] == pytest.approx(np.mean([each["psnr_y"] for each in pictures]), abs=1e-6)
    assert mean["bicubic_ssim_rgb"] == pytest.approx(
        np.mean([each["bicubic_ssim_rgb"] for each in pictures]), abs=1e-6
    )
    assert {
        "label": "EDSR+",
        "source": "Lim et al. 2017",
        "channels": "y",
        "psnr": 32.62,
        "ssim": 0.8984,
        "ensemble": True,
        "own": False,
        "note": "",
    } in mean["published"]


def test_equal_pictures_are_null(evaluate):
    flat = np.full((40, 40, 3), 9, np.uint8)
    save(Path("flat/a.png"), flat)
    for each in records(evaluate("flat", "--json")):
        assert each["psnr_y"] is None and each["ssim_y"] == 1
    assert rows(evaluate("flat"))[4][:3] == ["a", "inf", "1.0000"]


# Several data sets and scales.


def test_several_sets_and_scales(edsr, here):
    """The default is every scale that the model has, each for all sets."""
    means = [
        each
        for each in records(edsr("evaluate", "mine", "Set5", "--json", "-d", "cpu"))
        if each["kind"] == "mean"
    ]
    assert [(each["scale"], each["dataset"]) for each in means] == [
        (scale, name) for scale in (2, 3, 4) for name in ("mine", "Set5")
    ]


def test_chosen_scales(edsr, here):
    run = edsr("evaluate", "Set5", "-s", "4", "-s", "3", "-s", "4", "-d", "cpu", "--json")
    means = [each for each in records(run) if each["kind"] == "mean"]
    assert [each["scale"] for each in means] == [4, 3]
    assert "Set5 has no LR pictures for x3: they were made from HR." in run.lines
    assert not any("x4" in line for line in run.lines)


def test_a_file_with_several_scales_is_read_once(edsr, here, monkeypatch):
    import torch

    from edsr_cli.checkpoints import loader
    from edsr_cli.checkpoints.checkpoint import save_canonical
    from edsr_cli.model.config import NetworkConfig
    from edsr_cli.model.networks import build, tensors_of

    config = NetworkConfig("mdsr", (2, 4), 2, 4)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = build(config)
    metadata = {"name": "tiny", "licence": "CC0-1.0", "origin": "made for tests"}
    save_canonical(here / "mdsr.safetensors", tensors_of(network), config, metadata)
    read = []
    read_path = loader._read_path
    monkeypatch.setattr(loader, "_read_path", lambda *a: read.append(a) or read_path(*a))
    for arguments in ([], ["-s", "2", "-s", "4"]):
        read.clear()
        run = edsr("evaluate", "mine", "-m", "mdsr.safetensors", "-d", "cpu", "--json", *arguments)
        scales = [each["scale"] for each in records(run) if each["kind"] == "mean"]
        assert scales == [2, 4] and len(read) == 1


# Degradations.


def worse(name, spec, scale=4):
    """What the command should have given to the network."""
    height, width = HR[name].shape[0] // scale * scale, HR[name].shape[1] // scale * scale
    seed = zlib.crc32(f"{name} x{scale}".encode())
    degradation = Degradation(parse(spec))
    return degrade_picture(degradation, HR[name][:height, :width], lr(name, scale), seed)[0]


@pytest.mark.parametrize("spec", ["jpeg:50", "noise:5", "photo", "blur:0.4,jpeg:80"])
def test_degraded_pictures(evaluate, spec):
    run = evaluate("Set5", "--degrade", spec, "--json")
    assert run.code == 0 and run.err == ""  # no remark about published figures either
    *pictures, mean = records(run)
    assert mean["published"] == [] and mean["degradation"] == spec
    for result in pictures:
        name = result["picture"]
        original = HR[name][:40, :44]
        pixels = worse(name, spec)
        ours, simple = repeated(pixels, 4), resize.upscale(pixels, 4)
        assert result["degradation"] == spec
        assert result["psnr_y"] == pytest.approx(measure(ours, original, 4).psnr_y)
        assert result["bicubic_psnr_y"] == pytest.approx(measure(simple, original, 4).psnr_y)


def test_several_degradations_each_have_a_table(evaluate):
    run = evaluate("Set5", "--degrade", "jpeg:50", "--degrade", "clean", "--degrade", "jpeg:50")
    titles = [row[0] for row in rows(run) if row[0].startswith("Set5 x4")]
    assert len(titles) == 2
    assert "degraded: jpeg:50" in titles[0] and "degraded" not in titles[1]


def test_unknown_pictures_are_read_as_they_are(evaluate, here):
    for name in HR:
        save(Path(f"DIV2K/DIV2K_valid_HR/{name}.png"), HR[name])
        save(Path(f"DIV2K/DIV2K_valid_LR_unknown/X4/{name}x4.png"), lr(name)[::-1])
    run = evaluate("DIV2K", "--degrade", "unknown", "--border", "0", "--json")
    result = records(run)[0]
    wanted = measure(repeated(lr("a")[::-1], 4), HR["a"][:40, :44], 0)
    assert (result["lr"], result["psnr_y"]) == ("given", pytest.approx(wanted.psnr_y))
    run = evaluate("Set5", "--degrade", "unknown")
    assert run.code != 0 and "LR_unknown" in run.err


def test_a_kernel(evaluate, here):
    weights = np.random.default_rng(0).uniform(0, 1, (7, 7))
    np.save("k.npy", weights)
    run = evaluate("mine", "--degrade", "unknown:k.npy", "--json")
    small = normalised(weights, "test").downscale(HR["a"][:40, :44], 4)
    wanted = measure(repeated(small, 4), HR["a"][:40, :44], 4)
    assert records(run)[0]["psnr_y"] == pytest.approx(wanted.psnr_y)


def test_a_plot_of_the_gain_against_quality(evaluate):
    pytest.importorskip("matplotlib")
    run = evaluate("Set5", "--degrade", "jpeg:90", "--degrade", "jpeg:30", "--plot", "gain.png")
    assert run.code == 0 and "gain.png" in run.err
    pixels = np.asarray(read_back(Path("gain.png")).convert("RGB"))
    assert pixels.shape == (600, 960, 3)
    assert len(np.unique(pixels.reshape(-1, 3), axis=0)) > 9  # something is drawn
    again = evaluate("Set5", "--plot", "gain.png")
    assert again.code == 2 and "exists already" in again.err


def test_a_plot_alone_takes_the_usual_qualities(evaluate):
    pytest.importorskip("matplotlib")
    run = evaluate("Set5", "--plot", "gain.png", "--json")
    kinds = [each["degradation"] for each in records(run) if each["kind"] == "mean"]
    assert kinds == ["clean", "jpeg:95", "jpeg:90", "jpeg:80", "jpeg:70", "jpeg:50", "jpeg:30"]


# Saving.


def test_pictures_are_saved(evaluate):
    run = evaluate("Set5", "mine", "--save", "out", "--json")
    assert run.code == 0
    assert listing(Path("out")) == sorted(
        str(Path(*parts))
        for name in ("Set5", "mine")
        for parts in ((name,), (name, "X4"), *((name, "X4", f"{each}.png") for each in HR))
    )
    for name in HR:
        saved = np.asarray(read_back(Path(f"out/Set5/X4/{name}.png")))
        assert np.array_equal(saved, repeated(lr(name)))
    assert records(run)[0]["saved"] == str(Path("out/Set5/X4/a.png"))


def test_saved_pictures_are_not_replaced_unasked(evaluate):
    assert evaluate("mine", "--save", "out").code == 0
    again = evaluate("mine", "--save", "out")
    assert again.code == 1 and sum("exists already" in line for line in again.lines) == 3
    assert evaluate("mine", "--save", "out", "--overwrite").code == 0


# Failures.


def test_a_bad_picture_is_counted_and_the_others_go_on(evaluate):
    Path("Set5/HR/b.png").write_bytes(b"not a picture")
    Path("Set5/LR_bicubic/X4/cx4.png").unlink()
    run = evaluate("Set5", "--json")
    assert run.code == 1
    a, b, c, mean = records(run)
    assert a["error"] is None and b["error"] and c["error"]
    assert (mean["pictures"], mean["failed"]) == (1, 2)
    assert mean["psnr_y"] == a["psnr_y"]
    assert run.lines[0].startswith(f"error: {Path('Set5/HR/b.png')}: ")
    assert str(Path("Set5/LR_bicubic/X4/cx4.png")) in run.lines[1]
    assert "error: Set5 x4: 2 of 3 pictures failed." in run.lines
    table = rows(evaluate("Set5"))
    assert ["b", "failed"] in table and ["c", "failed"] in table
    assert any(row[0] == "mean of 1" for row in table)


def test_nothing_but_bad_pictures(evaluate):
    Path("bad").mkdir()
    Path("bad/a.png").write_bytes(b"not a picture")
    run = evaluate("bad")
    assert run.code == 1 and ["a", "failed"] in rows(run)
    assert not any(row[0].startswith("mean") for row in rows(run))
    assert "psnr_y" not in records(evaluate("bad", "--json"))[1]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere"], "There is no folder nowhere."),
        (["mine", "nowhere"], "There is no folder nowhere."),
        (["Set5/LR_bicubic"], "There are no pictures in"),
        ([], "DATASET"),
        (["mine", "-q", "-v"], "exclude each other"),
        (["mine", "-s", "5"], "--scale"),
        (["mine", "--border", "-1"], "--border"),
        (["mine", "--save", "mine/a.png"], "is not a folder"),
        (["mine", "-d", "tpu"], "tpu"),
        (["mine", "--degrade", "jepg:50"], "'jepg:50' is not a step"),
        (["mine", "--degrade", "unknown:nowhere.npy"], "nowhere.npy"),
        (["mine", "--degrade", "jpeg:1", "--degrade", "jpeg:2", "--save", "x"], "--save is for"),
        (["mine", "--degrade", "noise:5", "--plot", "x.png"], "two JPEG qualities"),
        (["mine", "--plot", "nowhere/x.png"], "no such folder"),
    ],
)
def test_wrong_usage(evaluate, no_work, arguments, words):
    usage(evaluate(*arguments), words)


def test_a_model_without_the_scale(evaluate, no_work):
    run = evaluate("mine", "-s", "2")
    assert run.code == 3 and run.out == b"" and "It has x4." in run.err


def test_a_model_that_is_not_here(edsr, here, no_work, monkeypatch):
    monkeypatch.setenv("EDSR_CACHE", str(here / "cache"))
    run = edsr("evaluate", "mine", "-m", "edsr-baseline")
    assert run.code == 3 and "edsr-baseline" in run.err and "fetch-weights" in run.err


def test_as_a_process(here):
    arguments = ["evaluate", "mine", "-m", save_nearest(here / "nearest.safetensors"), "-d", "cpu"]
    process = start(*arguments, cwd=here)
    if Path("/dev/full").exists():
        with Path("/dev/full").open("wb") as full:
            run = finish(start(*arguments, cwd=here, stdout=full))
        assert run.code == 1 and len(run.lines) == 1
        assert "Standard output cannot be written to" in run.err
    run = finish(process)
    assert run.code == 0 and run.err == ""
    assert len([row for row in rows(run) if row[0] in HR]) == 3


# The true thing.


@pytest.mark.parametrize(
    "scale", [4, pytest.param(3, marks=pytest.mark.slow), pytest.param(2, marks=pytest.mark.slow)]
)
def test_set5(edsr, shared, scale):
    """Bicubic as in the paper, and the bundled weights as they are listed."""
    run = edsr("evaluate", shared / "benchmarks/Set5", "-s", scale, "-d", "cpu", "--json", "-q")
    assert run.code == 0, run.err
    mean = records(run)[-1]
    paper = {2: 33.66, 3: 30.39, 4: 28.42}[scale]
    assert mean["bicubic_psnr_y"] == pytest.approx(paper, abs=0.03)
    [listed] = [
        each.measured
        for each in registry.find("edsr-free", scale).psnr
        if (each.dataset, each.scale, each.channel) == ("Set5", scale, "Y")
    ]
    assert mean["psnr_y"] == pytest.approx(listed, abs=0.001)


def test_a_page(evaluate):
    Path("Set5/HR/d.png").write_bytes(b"no picture")
    run = evaluate("Set5", "-s", 4, "--html", "page.html")
    assert run.code == 1 and run.lines[-1] == "The page is in page.html."
    texts = Page(Path("page.html").read_text("utf-8")).texts
    for name in HR:
        ours, bicubic = (each.psnr_y for each in expected(name))
        start = texts.index(name)
        start += texts[start + 1] == "Compare"  # of the worst, which can be looked at
        gain = f"{ours - bicubic:+.2f}"
        assert texts[start + 1 : start + 4] == [f"{ours:.2f}", f"{bicubic:.2f}", gain]
    figures = [expected(name)[0].psnr_y for name in HR]
    places = [texts.index(name) for name in HR]
    assert [f for _, f in sorted(zip(places, figures, strict=True))] == sorted(figures)
    assert "EDSR (Lim et al. 2017)" in texts and "d" in texts
    Path("page.html").write_text("mine")
    usage(evaluate("Set5", "--html", "page.html"), "page.html: this file is not a page")

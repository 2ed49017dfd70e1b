"""The page of edsr compare as a file; what it does is in test_viewer.py."""

import base64
import hashlib
import io
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edsr_cli.errors import EdsrError, UsageError
from edsr_cli.images.colour.icc import srgb_profile
from edsr_cli.report.comparison import Version
from edsr_cli.report.comparison_page import ComparisonPage
from edsr_cli.report.pictures import encoded
from edsr_cli.report.places import COMPARISON, SHEET
from tests.cli.conftest import listing
from tests.report.comparisons import comparison
from tests.report.examples import Page

EVERYTHING = 10**9


def write(path, *comparisons, most=EVERYTHING, overwrite=False):
    """The page's text, and whether its pictures are beside it."""
    made = ComparisonPage(path, "edsr compare 'it.png'")
    for each in comparisons or [comparison()]:
        made.add(each)
    apart = made.write(most, overwrite=overwrite)
    return path.read_text("utf-8"), apart


def opened(uri):
    head, data = uri.split(",")
    assert head == "data:image/webp;base64"
    image = Image.open(io.BytesIO(base64.b64decode(data, validate=True)))
    image.load()
    return image


@pytest.mark.parametrize("profile", [None, srgb_profile()], ids=["untagged", "profile"])
def test_pictures_lose_nothing(tmp_path, profile):
    compared = comparison(profile=profile)
    html, apart = write(tmp_path / "p.html", compared)
    images = [opened(image["src"]) for image in Page(html).all("img")]
    assert not apart and len(images) == 4
    for image, version in zip(images, compared.versions, strict=True):
        assert np.array_equal(np.asarray(image), version.pixels)
        assert image.info.get("icc_profile") == profile
    tagged = [
        "data-tagged" in figure for figure in Page(html).all("figure") if "data-label" in figure
    ]
    assert tagged == [profile is not None] * 4


def test_what_webp_cannot_hold_is_png():
    pixels = np.arange(20_000 * 3, dtype=np.uint32).reshape(1, -1, 3).astype(np.uint8)
    made = encoded(pixels)
    assert made.kind == "image/png" and made.uri.startswith("data:image/png;base64,iVBOR")
    with Image.open(io.BytesIO(made.data)) as image:
        assert np.array_equal(np.asarray(image), pixels)


@pytest.mark.parametrize("most", [EVERYTHING, 1], ids=["inside", "beside"])
def test_only_what_is_in_the_page_may_run(tmp_path, most):
    html, apart = write(tmp_path / "p.html", most=most)
    page = Page(html)
    [policy] = [m["content"] for m in page.all("meta") if "http-equiv" in m]
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    assert rules["default-src"] == rules["base-uri"] == rules["form-action"] == "'none'"
    assert rules["img-src"] == "data:"
    for tag in ("script", "style"):
        [text] = re.findall(f"<{tag}>(.*?)</{tag}>", html, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        trusted = f"'sha256-{digest}'"
        if tag == "script" and apart:
            trusted += " 'strict-dynamic'"  # pictures beside it are let in by the page's own script
        assert rules[f"{tag}-src"] == trusted
    used = {tag for tag, _ in page.tags}
    assert used.isdisjoint({"link", "iframe", "object", "embed", "form", "base"})
    for _, attributes in page.tags:
        assert "style" not in attributes and not any(name.startswith("on") for name in attributes)


def test_the_table(tmp_path):
    texts = Page(write(tmp_path / "p.html")[0]).texts
    scores = [each.scores for each in comparison().versions[:3]]
    for each in scores:
        assert f"{each['psnr_y']:.2f} dB" in texts and f"{each['ssim_y']:.4f}" in texts
    assert "first on CPU in fp32; restored by 0.5: as asked for" in texts
    assert {"edsr upscale photo.png", "1.5 s", "1.00 MB", "edsr compare 'it.png'"} <= set(texts)
    cells = Page(write(tmp_path / "p.html")[0]).all("td")
    assert sum("best" in cell.get("class", "") for cell in cells) == 3
    shown = Page(re.sub("<script>.*?</script>", "", unmeasured(tmp_path), flags=re.DOTALL))
    assert not any("dB" in text for text in shown.texts)


def test_a_network_is_seen_first(tmp_path):
    first, second, third, reference = comparison().versions
    for versions, right in (
        ([second, third, first, reference], "2"),
        ([first, second], "1"),
        ([second, reference], "1"),
    ):
        html, _ = write(tmp_path / "p.html", comparison(versions=versions))
        assert Page(html).all("section")[0]["data-right"] == right


def unmeasured(folder):
    """A page without a reference."""
    versions = [Version(each.label, each.kind, each.pixels) for each in comparison().versions[:2]]
    versions = [Version(each.label, "file", each.pixels) for each in versions]
    return write(folder / "u.html", comparison(versions=versions))[0]


# Pictures beside the page.


def pictures(folder):
    """The pictures in a folder of scripts."""
    found = []
    for path in sorted(folder.iterdir()):
        name, uri = re.fullmatch(r'edsrPicture\("(.*)","(.*)"\);\n', path.read_text()).groups()
        assert name == path.name
        found.append(np.asarray(opened(uri)))
    return found


def test_pictures_that_are_too_large_go_beside_it(tmp_path):
    compared = comparison()
    inside, _ = write(tmp_path / "p.html", compared)
    html, apart = write(tmp_path / "p.html", compared, most=1000)
    assert apart and Page(html).all("img") == []
    assert "p_files" in Page(html).texts and "p_files" not in Page(inside).texts
    found = pictures(tmp_path / "p_files")
    assert len(found) == 4
    for version in compared.versions:
        assert any(np.array_equal(version.pixels, each) for each in found)


def test_an_older_page_and_its_pictures_are_replaced(tmp_path):
    path, folder = tmp_path / "p.html", tmp_path / "p_files"
    write(path, most=1)
    (folder / "own.js").write_text("mine()")
    before = listing(folder)
    write(path, comparison(versions=comparison().versions[:2]), most=1)
    assert len(listing(folder)) == 3 and set(listing(folder)) < set(before)
    write(path)
    assert listing(tmp_path) == ["p.html", "p_files", "p_files/own.js"]
    (folder / "own.js").unlink()
    write(path)
    assert listing(tmp_path) == ["p.html"]


def test_somebody_elses_files_stay(tmp_path):
    path = tmp_path / "p.html"
    path.write_text("<!doctype html>\n<title>mine</title>\n")
    with pytest.raises(UsageError, match="is not a page of edsr compare, and would be replaced"):
        COMPARISON.check(path)
    with pytest.raises(EdsrError, match="exists already"):
        write(path)
    assert "mine" in path.read_text()
    COMPARISON.check(path, overwrite=True)
    write(path, overwrite=True)
    COMPARISON.check(path)  # ours by now
    name = encoded(comparison().versions[0].pixels).name
    (tmp_path / "p_files").mkdir()
    (tmp_path / "p_files" / name).write_text("mine")
    with pytest.raises(EdsrError, match="exists already"):
        write(path, most=1)
    assert (tmp_path / "p_files" / name).read_text() == "mine"
    assert "data:image/webp" in path.read_text()  # the older page is whole


@pytest.mark.parametrize(
    ("kind", "name", "words"),
    [
        (COMPARISON, "p.json", "Let its name end in .html"),
        (COMPARISON, "folder.html", "Give -o a file"),
        (COMPARISON, "nowhere/p.html", "there is no such folder"),
        (SHEET, "p.jpg", "Let its name end in .png"),
        (SHEET, "there.png", "Give --sheet another name"),
    ],
)
def test_names_that_are_refused(tmp_path, kind, name, words):
    (tmp_path / "folder.html").mkdir()
    (tmp_path / "there.png").write_bytes(b"anything")
    with pytest.raises(UsageError, match=re.escape(words)):
        kind.check(tmp_path / name)


def test_names_are_in_one_line_and_escaped(tmp_path):
    name = "two\nlines‮<b>'\".png"
    html, _ = write(tmp_path / "p.html", comparison(name, labels=(name, "b", "c")))
    page = Page(html)
    assert all(c.isprintable() for text in page.texts[1:] for c in text if c not in "\n")
    assert "b" not in [tag for tag, _ in page.tags]
    [section] = page.all("section")
    assert section["data-name"] == "two\\nlines\\u202e<b>'\".png"
    assert Path(tmp_path / "p.html").exists()

"""The pages in a browser: what is seen, to the pixel, and what keys and pointers do."""

import hashlib
import re

import numpy as np
import pytest
from PIL import Image

import edsr_cli
from edsr_cli.evaluation.metrics import Channels, psnr
from edsr_cli.report.comparison import Version
from edsr_cli.report.comparison_page import ComparisonPage
from tests.report.comparisons import (
    HEIGHT,
    SCALE,
    WIDTH,
    comparison,
    near,
    noise,
    swapped_profile,
)

FIRST, SECOND, SMALL, REFERENCE = (each.pixels for each in comparison().versions)


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """A page with a reference."""
    return write(tmp_path_factory.mktemp("page") / "page.html", comparison())


def write(path, *comparisons, most=10**9):
    made = ComparisonPage(path, "edsr compare")
    for each in comparisons:
        made.add(each)
    made.write(most, overwrite=False)
    return path


def show(browser, page, **window):
    """Open a page, and wait until its pictures are there; labels and handle are not seen."""
    browser.open(page, **window)
    browser.until("document.querySelector('.viewer').dataset.state === 'ready'")
    browser.run(
        "document.querySelectorAll('.handle, .name').forEach(each => each.style.opacity = 0)"
    )
    settled(browser)


def settled(browser):
    """Wait until what was asked for is drawn."""
    browser.until("document.querySelector('.viewer').dataset.state === 'ready'")
    browser.run("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")


def seen(browser):
    """What the canvas shows: (H, W, 3), in pixels of the screen."""
    left, top, width, height = browser.run(
        "(() => { const canvas = document.querySelector('.picture');"
        " const box = canvas.getBoundingClientRect(), ratio = devicePixelRatio;"
        " return [Math.round(box.left * ratio), Math.round(box.top * ratio),"
        " canvas.width, canvas.height]; })()"
    )
    return browser.screenshot()[top : top + height, left : left + width]


def enlarged(pixels, zoom):
    return pixels.repeat(zoom, 0).repeat(zoom, 1)


def middle(view, zoom, left=0, top=0, right=WIDTH, bottom=HEIGHT):
    """Where the picture is in a view that shows all of it."""
    height, width = view.shape[:2]
    x, y = width // 2 - WIDTH // 2 * zoom, height // 2 - HEIGHT // 2 * zoom
    return view[y + top * zoom : y + bottom * zoom, x + left * zoom : x + right * zoom]


def zoom_of(view):
    return min(view.shape[1] // WIDTH, view.shape[0] // HEIGHT)


def text(browser, selector):
    return browser.run(f"document.querySelector({selector!r}).textContent")


def value(browser, selector):
    return browser.run(f"document.querySelector({selector!r}).value")


def choose_mode(browser, mode):
    browser.run(
        f"(each => {{ each.value = {mode!r}; each.dispatchEvent(new Event('change')) }})"
        "(document.querySelector('.mode'))"
    )
    settled(browser)


def measured(browser):
    """The figures that the page tells of what is in view, by label."""
    words = browser.until(
        "(words => words.includes('dB') && words)(document.querySelector('.status').textContent)"
    )
    return words, {name: float(db) for name, db in re.findall(r"(\w+) ([\d.]+) dB", words)}


def test_every_pixel_is_that_of_the_file(browser, page):
    check_pixels(browser, page)


@pytest.mark.parametrize("ratio", [1.5, 2])
def test_screens_of_other_densities(start_browser, tmp_path, page, ratio):
    with start_browser(tmp_path, ratio) as browser:
        check_pixels(browser, page)
        check_zooms(browser, page)


def check_pixels(browser, page):
    """Pixels of the file are whole pixels of the screen, of both versions up to the slider."""
    show(browser, page)
    view = seen(browser)
    zoom, half = zoom_of(view), round(view.shape[1] / 2)
    stage = browser.run(
        "(stage => [stage.clientHeight, stage.clientWidth].map(each => each * devicePixelRatio))"
        "(document.querySelector('.stage'))"
    )
    assert all(
        0 <= all_of_it - used < 1 for all_of_it, used in zip(stage, view.shape, strict=False)
    )
    shown = middle(view, zoom)
    edge = half - (view.shape[1] // 2 - WIDTH // 2 * zoom)
    assert np.array_equal(shown[:, :edge], enlarged(FIRST, zoom)[:, :edge])
    assert np.array_equal(shown[:, edge:], enlarged(SECOND, zoom)[:, edge:])
    assert browser.complaints == [] and browser.requests == [page.resolve().as_uri()]


def test_one_to_one_and_up(browser, page):
    check_zooms(browser, page)


def check_zooms(browser, page):
    """The same at every zoom from 1:1 that shows all of the picture."""
    show(browser, page)
    browser.run("document.querySelector('.exact').click()")
    browser.press(" "), settled(browser)  # the first alone
    for zoom in (1, 2, 3, 4, 6, 8):
        view = seen(browser)
        assert np.array_equal(middle(view, zoom), enlarged(FIRST, zoom)), zoom
        browser.press("+"), settled(browser)


def test_all_of_it_is_seen_first(browser, tmp_path):
    """To the last pixel, whatever the sizes; also side by side, and after zooming."""
    versions = [Version(name, "file", noise(0, 301, 199)) for name in "ab"]
    page = write(tmp_path / "p.html", comparison(size=(301, 199), versions=versions))
    show(browser, page)
    words = "In view: 301 × 199 pixels at 0, 0."
    whole = f"document.querySelector('.status').textContent.endsWith({words!r})"
    for width in range(391, 431, 5):
        browser.resize(width, 600 - width // 7)
        browser.press("+"), browser.press("+"), settled(browser)
        browser.until(f"!{whole}")
        browser.press("0")
        browser.until(whole)
        browser.press("v"), settled(browser)
        browser.until(f"{whole} && document.querySelector('.mode').value === 'beside'")
        choose_mode(browser, "slider")


def test_the_slider(browser, page):
    show(browser, page)
    view = seen(browser)
    zoom, width = zoom_of(view), view.shape[1]
    box = browser.run(
        "(box => [box.left, box.top + box.height / 3, box.width])"
        "(document.querySelector('.picture').getBoundingClientRect())"
    )
    quarter = round(box[0] + box[2] / 4)  # a mouse is on whole CSS pixels
    browser.drag((box[0] + box[2] / 2, box[1]), (quarter, box[1]))
    settled(browser)
    edge = round(quarter - box[0]) - (width // 2 - WIDTH // 2 * zoom)
    shown = middle(seen(browser), zoom)
    assert edge > 0 and np.array_equal(shown[:, :edge], enlarged(FIRST, zoom)[:, :edge])
    assert np.array_equal(shown[:, edge + 1 :], enlarged(SECOND, zoom)[:, edge + 1 :])
    state = "document.querySelector('.handle').ariaValueNow"
    assert browser.run(state) == "25"
    browser.run("document.querySelector('.handle').focus()")
    browser.press("ArrowRight"), settled(browser)
    assert browser.run(state) == "27"
    browser.drag((box[0] + box[2] * 0.27, box[1]), (box[0] / 2, box[1]))
    settled(browser)
    assert browser.run(state) == "0"
    assert np.array_equal(middle(seen(browser), zoom), enlarged(SECOND, zoom))


def test_keys(browser, page):
    show(browser, page)
    zoom = zoom_of(seen(browser))
    for expected in (FIRST, SECOND, FIRST):
        browser.press(" "), settled(browser)
        assert np.array_equal(middle(seen(browser), zoom), enlarged(expected, zoom))
    browser.press("Escape"), settled(browser)
    assert browser.run("document.querySelector('.handle').checkVisibility()")
    browser.press("4", "Digit4"), settled(browser)
    browser.press("#", "Digit3", shift=True), settled(browser)
    assert (value(browser, "select.left"), value(browser, "select.right")) == ("2", "3")
    browser.press(" "), settled(browser)
    small = SMALL.repeat(SCALE, 0).repeat(SCALE, 1)
    assert np.array_equal(middle(seen(browser), zoom), enlarged(small, zoom))
    browser.press("s"), settled(browser)
    assert (value(browser, "select.left"), value(browser, "select.right")) == ("3", "2")
    browser.press("9", "Digit9")  # there is none
    assert value(browser, "select.right") == "2"
    browser.press("0"), browser.press("v"), settled(browser)
    assert value(browser, ".mode") == "beside"
    assert browser.complaints == []


def test_keys_move_the_picture_by_whole_pixels(browser, page):
    show(browser, page)
    browser.press(" "), settled(browser)
    view = seen(browser)
    zoom = zoom_of(view)
    before = middle(view, zoom)
    for key in ("ArrowRight", "ArrowRight", "ArrowDown"):
        browser.press(key, shift=True)
    settled(browser)
    after = middle(seen(browser), zoom)
    assert np.array_equal(after[:-zoom, : -2 * zoom], before[zoom:, 2 * zoom :])


def test_drag_wheel_and_pinch(browser, page):
    show(browser, page)
    browser.press(" "), settled(browser)
    view = seen(browser)
    zoom, before = zoom_of(view), middle(view, zoom_of(view))
    x, y = browser.run(
        "(box => [box.left + box.width / 3, box.top + box.height / 3])"
        "(document.querySelector('.picture').getBoundingClientRect())"
    )
    browser.drag((x, y), (x - zoom, y - 2 * zoom)), settled(browser)
    assert np.array_equal(
        middle(seen(browser), zoom)[: -2 * zoom, :-zoom], before[2 * zoom :, zoom:]
    )
    browser.press("0"), settled(browser)
    # The middle of a pixel of the picture, far from that of the picture.
    column, row = 7, 9
    left, top = browser.run(
        "(box => [box.left, box.top])(document.querySelector('.picture').getBoundingClientRect())"
    )
    place_x = view.shape[1] // 2 + (column - WIDTH // 2) * zoom + zoom // 2
    place_y = view.shape[0] // 2 + (row - HEIGHT // 2) * zoom + zoom // 2
    browser.wheel(left + place_x, top + place_y, -100)
    settled(browser)
    assert int(text(browser, ".zoom output")[1:]) > zoom
    assert np.array_equal(seen(browser)[place_y, place_x], FIRST[row, column])  # it has stayed
    for _ in range(6):  # a touchpad's small moves are a notch together
        browser.wheel(left + place_x, top + place_y, 9)
    settled(browser)
    assert int(text(browser, ".zoom output")[1:]) <= zoom
    browser.press("0"), settled(browser)
    browser.touch("touchStart", (x, y), (x + 100, y))
    browser.touch("touchMove", (x - 50, y), (x + 150, y))
    browser.touch("touchEnd")
    settled(browser)
    assert text(browser, ".zoom output") == f"×{2 * zoom}"
    assert browser.complaints == []


@pytest.mark.parametrize(("presses", "gain"), [((), 8), (("]", "]"), 32), (("[",) * 3, 1)])
def test_difference_maps(browser, page, presses, gain):
    show(browser, page)
    zoom = zoom_of(seen(browser))
    difference = gain * (SECOND.astype(int) - FIRST)
    for mode, wanted in (("signed", 128 + difference), ("absolute", np.abs(difference))):
        choose_mode(browser, mode)
        for key in presses if mode == "signed" else ():
            browser.press(key)
        settled(browser)
        shown = middle(seen(browser), zoom)
        assert np.array_equal(shown, enlarged(np.clip(wanted, 0, 255).astype(np.uint8), zoom))
    assert text(browser, ".gain output") == f"×{gain}"


@pytest.mark.parametrize("profile", [None, swapped_profile()], ids=["untagged", "profile"])
def test_psnr_is_that_of_the_evaluation(browser, tmp_path, profile):
    """Of the whole that of the table, of a part that of its samples, whatever the profile."""
    compared = comparison(profile=profile)
    show(browser, write(tmp_path / "page.html", compared))
    _, figures = measured(browser)
    table = {each.label: round(each.scores["psnr_y"], 2) for each in compared.versions[:2]}
    assert figures == table
    browser.run("document.querySelector('.exact').click()")
    for _ in range(11):
        browser.press("+")
    settled(browser)
    browser.until("document.querySelector('.status').textContent.match(/In view: (?!60)/)")
    words, figures = measured(browser)
    width, height, left, top = map(
        int, re.search(r"(\d+) × (\d+) pixels at (\d+), (\d+)", words).groups()
    )
    assert left >= SCALE and left + width <= WIDTH - SCALE  # or the border would have to be cut
    part = slice(max(top, SCALE), min(top + height, HEIGHT - SCALE)), slice(left, left + width)
    for label, pixels in (("first", FIRST), ("second", SECOND)):
        wanted = psnr(pixels[part], REFERENCE[part], border=0, channels=Channels.Y)
        assert figures[label] == round(wanted, 2)
    assert browser.complaints == []


def test_equal_pictures(browser, page):
    show(browser, page)
    browser.press("4", "Digit4"), browser.press("$", "Digit4", shift=True), settled(browser)
    choose_mode(browser, "signed")
    assert (middle(seen(browser), zoom_of(seen(browser))) == 128).all()
    browser.until("document.querySelector('.status').textContent.startsWith('reference minus')")
    assert "dB" not in text(browser, ".status")


def test_the_loupe(browser, page):
    show(browser, page)
    browser.press("l"), settled(browser)
    x, y = WIDTH // 2, HEIGHT // 2
    values = "  |  ".join(" ".join(map(str, each[y, x])) for each in (FIRST, SECOND))
    assert text(browser, ".loupe figcaption") == f"{x}, {y}:  {values}"
    corner = browser.run(
        "(canvas => [...canvas.getContext('2d').getImageData(2, 2, 1, 1).data.slice(0, 3)])"
        "(document.querySelector('.loupe canvas'))"
    )
    assert corner == FIRST[y - 7, x - 7].tolist()


@pytest.mark.parametrize("profile", [None, swapped_profile()], ids=["untagged", "profile"])
def test_pictures_beside_the_page(browser, tmp_path, profile):
    """Are shown, and measured, where a page of a file may read no other file."""
    path = tmp_path / "a # page?.html"
    show(browser, write(path, comparison(profile=profile), most=1))
    _, figures = measured(browser)
    assert set(figures) == {"first", "second"}
    zoom = zoom_of(seen(browser))
    browser.press(" "), settled(browser)
    wanted = enlarged(FIRST, zoom)
    # With the profile, red and green light have changed places.
    shown = middle(seen(browser), zoom)
    if profile is None:
        assert np.array_equal(shown, wanted)
    else:  # Firefox rounds one of fifty pixels the other way
        wrong = np.abs(shown.astype(int) - wanted[..., [1, 0, 2]])
        assert wrong.max() <= (browser.name == "firefox")
    assert browser.complaints == []
    folder = tmp_path / "a # page?_files"
    assert len(browser.requests) == 4 and all(
        each.startswith(folder.as_uri()) for each in browser.requests[1:]
    )
    for each in folder.iterdir():
        each.unlink()
    browser.open(path)
    browser.until("document.querySelector('.viewer').dataset.state === 'failed'")
    assert "belongs to this page" in text(browser, ".status")


NASTY = (
    '"><img src=x onerror=alert(1)>', "</script><script>alert(1)</script>", "שלום עולם.png",
    "{{ 7 * 7 }}", "a'b\"c&amp;<b>.png",
)  # fmt: skip


def test_no_name_does_harm(browser, tmp_path):
    subjects = [comparison(name, labels=(name, NASTY[0], NASTY[1])) for name in NASTY]
    show(browser, write(tmp_path / "page.html", *subjects))
    assert browser.run("[...document.querySelectorAll('#picture option')].map(o => o.text)") == [
        *NASTY
    ]
    assert text(browser, ".name.first") == NASTY[0]
    browser.run(
        "(each => { each.selectedIndex = 2; each.dispatchEvent(new Event('change')) })"
        "(document.querySelector('#picture'))"
    )
    settled(browser)
    assert text(browser, ".name.first") == NASTY[2]
    label = browser.run("document.querySelector('.picture').ariaLabel")
    assert label.startswith(f"{NASTY[2]}: ")
    sections = "[...document.querySelectorAll('.subject')].map(each => each.checkVisibility())"
    assert browser.run(sections) == [False, False, True, False, False]
    assert browser.run("document.querySelectorAll('img[src=x]').length") == 0
    assert browser.complaints == [] and len(browser.requests) == 1


def test_what_is_to_be_used_has_a_name(browser, page):
    if browser.name != "chromium":
        pytest.skip("only Chromium tells how it presents a page to screen readers")
    show(browser, page)
    nodes = browser.call("Accessibility.getFullAXTree")["nodes"]
    used = {"button", "combobox", "slider", "image", "DisclosureTriangle", "checkbox"}
    roles = [
        (each["role"]["value"], each["name"]["value"]) for each in nodes if not each["ignored"]
    ]
    found = {role for role, name in roles if role in used}
    assert {"button", "combobox", "slider"} <= found
    assert not [role for role, name in roles if role in used and not name.strip()]
    # The keyboard reaches all of it, and one sees where it is.
    reached = set()
    for _ in range(12):
        browser.press("Tab")
        outline = browser.run("getComputedStyle(document.activeElement).outlineStyle")
        assert outline == "solid"
        reached.add(browser.run("document.activeElement.className"))
    assert {"left", "swap", "right", "mode", "in", "out", "stage", "handle"} <= reached


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_colours_of_the_page(browser, page, scheme):
    show(browser, page, prefers_color_scheme=scheme)
    ground = browser.screenshot()[1, 1].astype(int).sum()
    assert (ground > 600) == (scheme == "light") and (ground < 150) == (scheme == "dark")


def test_without_scripts_all_versions_are_there(browser, page):
    browser.let_scripts_run(False)
    try:
        browser.open(page)
        boxes = browser.run(
            "[...document.querySelectorAll('.versions img')].map(each =>"
            " each.checkVisibility() && each.getBoundingClientRect().width)"
        )
        assert boxes == [WIDTH] * 4
        assert not browser.run("document.querySelector('.viewer').checkVisibility()")
    finally:
        browser.let_scripts_run(True)


def test_differences_are_put_together(browser, tmp_path):
    """A page that would be too large holds a version as a difference from another one."""
    versions = [
        Version("first", "file", FIRST),
        Version("second", "file", near(FIRST, 5, most=2)),
        Version("reference", "reference", REFERENCE),
    ]
    made = ComparisonPage(tmp_path / "p.html", "edsr compare")
    made.add(comparison(versions=versions))
    assert not made.write(made.bytes - 1, overwrite=False)
    html = (tmp_path / "p.html").read_text("utf-8")
    assert html.count("data-difference") == 2 + html.count("figure.dataset.difference")
    show(browser, tmp_path / "p.html")
    zoom = zoom_of(seen(browser))
    browser.press("2", "Digit2"), browser.press(" "), browser.press(" "), settled(browser)
    assert np.array_equal(middle(seen(browser), zoom), enlarged(versions[1].pixels, zoom))
    _, figures = measured(browser)
    for version in versions[:2]:
        wanted = psnr(version.pixels, REFERENCE, border=SCALE, channels=Channels.Y)
        assert figures[version.label] == pytest.approx(wanted, abs=0.006)
    assert browser.complaints == [] and len(browser.requests) == 1


def test_a_browser_that_changes_pixels_is_found_out(browser, page):
    """As Firefox with privacy.resistFingerprinting does."""
    if browser.name != "chromium":
        pytest.skip("a script before those of the page is asked for as Chromium knows it")
    changed = (
        "const kept = CanvasRenderingContext2D.prototype.getImageData;"
        "CanvasRenderingContext2D.prototype.getImageData = function (...place) {"
        " const made = kept.apply(this, place); made.data[9] ^= 1; return made; }"
    )
    script = browser.call("Page.addScriptToEvaluateOnNewDocument", source=changed)
    try:
        show(browser, page)
        browser.until("document.querySelector('.status').textContent.includes('fingerprinting')")
        assert "dB" not in text(browser, ".status")
    finally:
        browser.call("Page.removeScriptToEvaluateOnNewDocument", **script)


@pytest.mark.slow
def test_four_models_and_a_megapixel_are_one_file(browser, tmp_path, monkeypatch, shared):
    """At x2: the input, four networks' pictures of 4 megapixels, full of grain; all pixels."""
    monkeypatch.chdir(tmp_path)
    baby = np.asarray(Image.open(shared / "benchmarks/Set5/HR/baby.png").convert("RGB"))
    tiles = np.concatenate([baby, baby[::-1]]), np.concatenate([baby[:, ::-1], 255 - baby])
    Image.fromarray(np.concatenate(tiles, 1)[:1000, :1000]).save("mega.png")
    models = ["edsr-free", "edsr-photo", "mdsr-free"]
    [seen] = edsr_cli.compare(
        "mega.png",
        "p.html",
        model=models,
        restore="0,0.5",
        beside="nearest",
        scale=2,
        device="cpu",
    )
    assert [each.kind for each in seen.versions] == ["nearest"] + ["network"] * 4
    page = tmp_path / "p.html"
    assert page.stat().st_size < 25_000_000 and not (tmp_path / "p_files").exists()
    browser.open(page)
    browser.until("document.querySelector('.viewer').dataset.state === 'ready'")
    for number, version in enumerate(seen.versions[1:], 1):
        found = browser.run(
            "(async () => { const element = document.querySelector('.subject');"
            f" const version = pictureIn(element).versions[{number}]; await version.load();"
            " const canvas = document.createElement('canvas');"
            " [canvas.width, canvas.height] = [2000, 2000];"
            " const context = canvas.getContext('2d'); context.drawImage(version.raw, 0, 0);"
            " const data = context.getImageData(0, 0, 2000, 2000).data;"
            " const hash = await crypto.subtle.digest('SHA-256', data);"
            " return [...new Uint8Array(hash)]; })()"
        )
        opaque = np.dstack([version.pixels, np.full((2000, 2000), 255, np.uint8)])
        assert bytes(found) == hashlib.sha256(opaque.tobytes()).digest(), version.label

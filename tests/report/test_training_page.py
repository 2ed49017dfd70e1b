"""The page of edsr train, as a file and in a browser."""

import math
import time

import pytest

from edsr_cli.errors import FileError
from edsr_cli.report import training_page
from edsr_cli.report.pictures import encoded
from edsr_cli.report.places import TRAINING
from edsr_cli.report.training_page import Part, Training, write_training
from edsr_cli.training.log import Row
from tests.report.comparisons import near, noise
from tests.report.examples import Page

NAME = "<b>\"'&amp;שלום"
ROWS = [
    Row(0, 1.0, 0.0, math.nan, {2: 28.0}),
    Row(100, 60.0, 1e-4, 12.5, {}),
    Row(200, 120.0, 5e-5, 3.25, {2: 33.5}),
]
TRUTH = noise(0, 48, 32)


def part(*updates):
    made = [(f"update {each:,}", near(TRUTH, each, most=3)) for each in updates]
    versions = [("bicubic", near(TRUTH, 99)), *made, ("original", TRUTH)]
    return Part("picture 1 of 8", 2, [(label, encoded(pixels)) for label, pixels in versions])


def training(state="running", **fields):
    values = {
        "name": NAME, "state": state, "reason": "", "update": 200, "updates": 1000,
        "seconds": 120.0, "fraction": 0.2, "rows": ROWS, "bicubic": {2: 30.5},
        "parts": [part(0, 200)], "facts": {"start": "random weights"},
    }  # fmt: skip
    return Training(**(values | fields))


def write(path, *arguments, **fields):
    write_training(path, training(*arguments, **fields))
    return Page(path.read_text("utf-8"))


def test_figures_curves_and_the_last_values(tmp_path):
    page = write(tmp_path / "page.html")
    for texts in (
        ["running"], ["200", "updates of 1,000"], ["20 %", "done"], ["8 min 0 s", "left"],
        ["3.250", "loss"], ["33.50", "dB of PSNR, x2; 3.00 above bicubic"],
        ["100", "1 min 0 s", "0.0001", "12.5000"], ["5e-05", "3.2500", "33.500"],
        ["start", "random weights"],
    ):  # fmt: skip
        assert any(set(texts) <= set(page.texts[at : at + 6]) for at in range(len(page.texts)))
    says = [each["aria-label"] for each in page.all("svg") if "aria-label" in each]
    loss = "from 12.5 at 100 to 3.25 at 200"
    assert says == [
        loss, loss, "x2: from 28 at 0 to 33.5 at 200; x2 bicubic: 30.5",
        "from 0.0001 at 100 to 5e-05 at 200",
    ]  # fmt: skip
    assert "b" not in [tag for tag, _ in page.tags] and NAME in page.texts


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"rows": ROWS[:1], "update": 0, "fraction": 0.0, "parts": []}, "Nothing has been"),
        ({"state": "done", "update": 1000, "fraction": 1.0}, "done"),
        ({"state": "stopped"}, "stopped"),
        ({"state": "failed", "reason": "it has <diverged>."}, "it has <diverged>."),
        ({"rows": [], "bicubic": {}, "parts": []}, "Nothing has been"),
    ],
)  # fmt: skip
def test_states(tmp_path, fields, words):
    page = write(tmp_path / "page.html", **fields)
    assert any(words in text for text in page.texts)
    assert ("left" in page.texts) == (fields.get("state") is None and fields.get("fraction") != 0)
    assert any("Follow it" in text for text in page.texts) == ("state" not in fields)


def test_of_a_long_training_the_later_half_is_seen_alone(tmp_path):
    """What it gains in the end is next to nothing beside what it gains at first."""
    rows = [Row(n, 1.0, 1e-4, 1.0, {2: 20.0 if n < 6 else 35 + n / 100}) for n in range(12)]
    says = [each.get("aria-label") for each in write(tmp_path / "p.html", rows=rows).all("svg")]
    assert "x2: from 20 at 0 to 35.11 at 11; x2 bicubic: 30.5" in says
    assert "x2: from 35.06 at 6 to 35.11 at 11" in says


def test_somebody_elses_page_stays(tmp_path):
    path = tmp_path / "page.html"
    write(path), write(path)
    assert TRAINING.is_at(path)
    path.write_text("<!doctype html>\n<title>mine</title>\n")
    with pytest.raises(FileError, match="exists already"):
        write(path)
    assert "mine" in path.read_text()


# In a browser.


def until_ready(browser):
    browser.until("document.querySelector('.viewer')?.dataset.state === 'ready'")
    browser.run("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")


def choose(browser, selector, value, event="input"):
    browser.run(
        f"(each => {{ each.value = {value!r}; each.dispatchEvent(new Event({event!r})) }})"
        f"(document.querySelector({selector!r}))"
    )


def chosen(browser):
    return browser.run(
        "[...document.querySelectorAll('.viewer select.left, .viewer select.right')]"
        ".map(each => each.selectedOptions[0].textContent.slice(3))"
    )


def test_versions_over_time_and_scales_of_the_loss(browser, tmp_path):
    path = tmp_path / "page.html"
    write(path, parts=[part(0, 100, 200), part(0, 100, 200)])
    browser.open(path, prefers_color_scheme="dark")
    until_ready(browser)
    assert chosen(browser) == ["bicubic", "update 200"]
    choose(browser, "#time", 0)
    browser.until("document.querySelector('#time + output').value === 'update 0'")
    assert chosen(browser) == ["bicubic", "update 0"]
    choose(browser, "select.right", "2", "change")  # the viewer's own choice moves the time
    browser.until("document.querySelector('#time').value === '1'")
    choose(browser, "#part", "x2, picture 1 of 8", "change")
    words = "document.querySelector('.status').textContent"
    browser.until(f"{words}.includes('dB')")
    visible = "['.drawn', '.other'].map(each => document.querySelector(each).checkVisibility())"
    assert browser.run(visible) == [True, False]
    browser.run("document.querySelector('.choice').click()")
    assert browser.run(visible) == [False, True]
    assert browser.run("document.querySelectorAll('.subject, b').length") == 2
    assert browser.run("document.querySelector('.subject').checkVisibility()") is False
    assert browser.complaints == [] and browser.requests == [path.resolve().as_uri()]


def test_it_follows_the_training_and_stays_where_one_is(browser, tmp_path):
    path = tmp_path / "page.html"
    quick = {"every": 0.3}
    write(path, **quick, parts=[part(0, 100)])
    browser.open(path, height=400)
    until_ready(browser)
    browser.run(
        "document.querySelector('.choice').click(),"
        "document.querySelector('.swap').focus(), scrollTo(0, 500), window.old = true"
    )
    choose(browser, "select.mode", "beside", "change")
    browser.press("+")
    write(path, **quick, update=300, parts=[part(0, 100, 300)])
    browser.until("!window.old && document.querySelector('.tiles dd')?.textContent === '300'")
    until_ready(browser)
    assert chosen(browser) == ["bicubic", "update 300"]  # the newest, as before
    assert browser.run("scrollY") == 500
    assert browser.run("document.querySelector('.choice').checked") is False
    assert browser.run("document.activeElement.className") == "swap"
    assert browser.run("document.querySelector('select.mode').value") == "beside"
    choose(browser, "#time", 1)  # another one than the newest stays, or the one before it
    browser.run("window.old = true")
    write(path, **quick, update=1000, parts=[part(0, 100, 300, 1000)])
    browser.until("!window.old && document.querySelector('.tiles dd')?.textContent === '1,000'")
    until_ready(browser)
    assert chosen(browser) == ["bicubic", "update 100"]
    browser.run("window.old = true")
    write(path, "done", update=2000, parts=[part(0, 80, 300, 2000)])
    browser.until("!window.old && document.querySelector('.badge')?.textContent === 'done'")
    until_ready(browser)
    assert chosen(browser) == ["bicubic", "update 80"]
    browser.run("window.old = true, new Promise(done => setTimeout(done, 1500))")
    assert browser.run("window.old")  # there is nothing to wait for any more
    assert browser.complaints == []


def test_it_does_not_follow_where_it_is_not_to(browser, tmp_path):
    path = tmp_path / "page.html"
    write(path, every=0.1)
    browser.open(path)
    browser.run("document.querySelector('#live').click(), window.old = true")
    browser.run("new Promise(done => setTimeout(done, 1500))")
    assert browser.run("window.old")


def test_what_was_stopped_without_a_word_is_noticed(browser, tmp_path, monkeypatch):
    an_hour_ago = time.time() - 3600
    monkeypatch.setattr(training_page.time, "time", lambda: an_hour_ago)
    write(tmp_path / "page.html")
    browser.open(tmp_path / "page.html")
    words = browser.until("document.querySelector('#age').textContent")
    assert words == "Nothing has been written for 60 minutes: it may have been stopped."


def test_without_scripts_it_is_all_there(browser, tmp_path):
    browser.let_scripts_run(False)
    try:
        write(tmp_path / "page.html")
        browser.open(tmp_path / "page.html")
        visible = "[...document.querySelectorAll({!r})].map(each => each.checkVisibility())"
        assert browser.run(visible.format(".versions img")) == [True] * 4
        assert browser.run(visible.format(".viewer, .script-only")) == [False] * 3
        browser.run("document.querySelector('.choice').click()")
        assert browser.run(visible.format(".other, .drawn")) == [False, True, True, True]
    finally:
        browser.let_scripts_run(True)

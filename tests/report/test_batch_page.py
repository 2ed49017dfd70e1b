"""The page of edsr batch --report in a browser."""

import numpy as np
import pytest

from edsr_cli.errors import Kind
from edsr_cli.report import About
from tests.report.examples import done, failed, make_pictures, skipped, write_report

NASTY = "<b>\"'&amp;שלום.png"


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """A report on two pictures that are done, one of them of a nasty name, and on others."""
    folder = tmp_path_factory.mktemp("report")
    records = [
        make_pictures(done("b.png", folder, seconds=0.5)),
        make_pictures(
            done(NASTY, folder, seconds=12.0, input_size=(30, 20), output_size=(120, 80))
        ),
        failed("in/c.jpg"),
        failed("in/d.jpg", Kind.TOO_LARGE, "it is large. Cut it."),
        skipped("in/e.jpg"),
    ]  # fmt: skip
    about = About((folder / "in",), (folder / "in_x4",))
    write_report(folder / "r.html", records, about)
    return folder / "r.html"


def names(browser):
    """The files that are listed, from top to bottom."""
    listed = browser.run(
        "[...document.querySelectorAll('#files tbody tr')].filter(each => !each.hidden)"
        ".map(each => each.cells[0].textContent)"
    )
    return [name.replace("\\", "/").rpartition("/")[2] for name in listed]


def sort(browser, column):
    browser.run(f"document.querySelectorAll('#files thead button')[{column}].click()")
    return names(browser)


def enter(browser, number, value):
    browser.run(
        f"(each => {{ each.value = {value!r}; each.dispatchEvent(new Event('input')) }})"
        f"(document.querySelectorAll('.filters input, .filters select')[{number}])"
    )
    return names(browser)


def test_the_list_can_be_sorted_and_filtered(browser, page):
    browser.open(page)
    everything = ["b.png", NASTY, "c.jpg", "d.jpg", "e.jpg"]
    assert names(browser) == everything
    assert sort(browser, 5)[:2] == [NASTY, "b.png"]  # time, the longest first
    assert sort(browser, 5)[-2:] == ["b.png", NASTY]
    assert sort(browser, 4)[:2] == ["b.png", NASTY]  # size
    assert sort(browser, 1)[2:] == ["c.jpg", "d.jpg", "e.jpg"]  # done, failed, skipped
    assert enter(browser, 0, "PNG") and set(names(browser)) == {"b.png", NASTY}
    enter(browser, 0, "")
    assert set(enter(browser, 1, "failed")) == {"c.jpg", "d.jpg"}
    assert enter(browser, 2, "too large") == ["d.jpg"]
    assert browser.run("document.querySelector('.filters output').value") == "1 of 5"
    assert browser.run("document.querySelectorAll('b').length") == 0
    assert browser.complaints == [] and len(browser.requests) == 1


@pytest.mark.parametrize("number", [0, 1], ids=["whole", "detail"])
def test_a_pair_opens_in_the_viewer(browser, page, number):
    browser.open(page)
    browser.run(f"document.querySelectorAll('.pair[role=button]')[{number}].focus()")
    browser.press("Enter")
    browser.until("document.querySelector('.viewer').dataset.state === 'ready'")
    browser.run("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    assert browser.run("document.querySelector('dialog').open")
    assert browser.run("document.querySelector('dialog h2').textContent") == "b.png"
    colours = browser.run(
        "(canvas => [...new Uint32Array(canvas.getContext('2d').getImageData("
        "0, 0, canvas.width, canvas.height).data.buffer)])(document.querySelector('.picture'))"
    )
    assert len(np.unique(colours)) > 500  # a picture of noise
    browser.press(" ")
    browser.until("!document.querySelector('.handle').checkVisibility()")  # one is seen alone
    assert browser.run("document.querySelector('dialog').open")
    browser.press("Escape")
    browser.until("document.querySelector('.handle').checkVisibility()")
    browser.press("Escape")
    browser.until("!document.querySelector('dialog').open")
    assert browser.complaints == []


def test_without_scripts_it_is_all_there(browser, page):
    browser.let_scripts_run(False)
    try:
        browser.open(page)
        visible = "[...document.querySelectorAll({!r})].map(each => each.checkVisibility())"
        assert browser.run(visible.format(".pair img")) == [True] * 8
        assert browser.run(visible.format(".filters, dialog, .script-only")) == [False] * 3
        browser.run("document.querySelector('#files details').open = true")
        assert browser.run(visible.format("#files tbody tr")) == [True] * 5
    finally:
        browser.let_scripts_run(True)


@pytest.mark.parametrize("count", [2_000, pytest.param(10_000, marks=pytest.mark.slow)])
def test_a_long_list_of_files(count, browser, tmp_path):
    kinds = (done, failed, skipped)
    records = [
        kinds[number % 3](f"{'in/' if number % 3 else ''}{number:05}.jpg")
        for number in range(count)
    ]
    write_report(tmp_path / "r.html", records)
    browser.open(tmp_path / "r.html")
    browser.run("document.querySelector('#files details').open = true")
    all_names = [f"{number:05}.jpg" for number in range(count)]
    assert len(names(browser)) == count
    assert enter(browser, 0, "077") == [name for name in all_names if "077" in name]
    assert sort(browser, 0)[0] == "00077.jpg"
    assert browser.complaints == []

"""The page of edsr evaluate, as a file and in a browser."""

import math

import numpy as np
import pytest

from edsr_cli.errors import EdsrError, UsageError
from edsr_cli.report.evaluation_page import (
    MOST_SEEN,
    Mean,
    Measured,
    Section,
    Worst,
    write_evaluation,
)
from edsr_cli.report.places import EVALUATION
from tests.report.comparisons import near, noise
from tests.report.examples import Page
from tests.report.test_pictures import samples

MEANS = [
    Mean("mine", "network", 30.0, 0.9), Mean("bicubic", "bicubic", 28.0, 0.8),
    Mean("theirs (a paper)", "published", 32.0, None),
]  # fmt: skip
PICTURES = [
    Measured("good", 34.0, 0.95, 30.0, 1.5), Measured("bad", 26.0, 0.7, 27.5, 0.2),
    Measured("broken", error="broken.png: it is cut short."),
]  # fmt: skip
SECTION = Section("Set5 x4", "Y", MEANS, PICTURES)


def write(path, *sections):
    write_evaluation(path, sections or [SECTION], overwrite=False)
    return Page(path.read_text("utf-8"))


def test_means_and_pictures_the_worst_first(tmp_path):
    page = write(tmp_path / "p.html")
    start = page.texts.index("bad")
    assert page.texts[start : start + 6] == ["bad", "26.00", "27.50", "-1.50", "0.7000", "200 ms"]
    assert page.texts[start + 6 : start + 9] == ["good", "34.00", "30.00"]
    assert {"32.00", "theirs (a paper)", "broken.png: it is cut short."} <= set(page.texts)
    # Bars from 25 to 34 dB.
    assert "PSNR of Y in dB; bars go from 25 to 34 dB." in page.texts
    percent = [float(meter["value"]) for meter in page.all("meter")]
    wanted = [30, 28, 32, 26, 27.5, 34, 30]
    assert percent == pytest.approx([100 * (each - 25) / 9 for each in wanted], abs=0.05)


@pytest.mark.parametrize(
    "section",
    [
        Section("all failed", "Y", [], PICTURES[2:]),
        Section("equal", "RGB", [], [Measured("same", math.inf, 1.0, math.inf, 0.1)]),
        Section("one", "Y", [], [Measured("a", 30.0, 1.0, 30.0, 0.1)]),
    ],
    ids=lambda each: each.title,
)
def test_extremes(tmp_path, section):
    page = write(tmp_path / "p.html", section)
    assert all(0 <= float(meter["value"]) <= 100 for meter in page.all("meter"))
    assert ("∞" in page.texts) == (section.title == "equal")


def test_no_gain_over_what_was_perfect(tmp_path):
    flat = Section("flat", "Y", [], [Measured("a", 50.0, 1.0, math.inf, 0.1)])
    assert "-inf" not in write(tmp_path / "p.html", flat).texts


def test_which_files_are_replaced(tmp_path):
    path = tmp_path / "p.html"
    write(path), EVALUATION.check(path), write(path)
    path.write_text("mine")
    with pytest.raises(UsageError, match="not a page of edsr evaluate"):
        EVALUATION.check(path)
    with pytest.raises(EdsrError, match="exists already"):
        write(path)


def test_names_are_escaped(tmp_path):
    name = "<b>\n'\"&amp;‮"
    page = write(tmp_path / "p.html", Section(name, "Y", MEANS, [Measured(name, 1, 1, 1, 1)]))
    assert "b" not in [tag for tag, _ in page.tags]
    assert "<b>\\n'\"&amp;\\u202e" in page.texts


# What is to be seen.


def versions(seed, width=60, height=40):
    truth = noise(seed, width, height)
    return {"bicubic": near(truth, 1, most=30), "mine": near(truth, 2), "original": truth}


def test_the_worst_are_kept():
    worst = Worst()
    figures = np.random.default_rng(0).permutation(3 * MOST_SEEN)
    for number in figures:
        worst.consider(f"p{number}", float(number), 4, versions(number))
    kept = [worst.look(f"p{number}") for number in range(3 * MOST_SEEN)]
    assert all(kept[:MOST_SEEN]) and not any(kept[MOST_SEEN:])
    look = kept[0]
    assert (look.name, look.border, look.labels) == ("p0", 4, ["bicubic", "mine", "original"])
    for found, wanted in zip(samples(look.pictures), versions(0).values(), strict=True):
        assert np.array_equal(found, wanted)


def test_of_a_large_picture_it_is_the_part_where_it_is_worst():
    worst, large = Worst(), {}
    flat = np.zeros((1010, 1200, 3), np.uint8)
    for name in ("bicubic", "mine", "original"):
        large[name] = flat.copy()
    large["bicubic"][:20] = 255
    large["mine"][1008:, 150:] = 9
    worst.consider("large", 30.0, 4, large)
    look = worst.look("large")
    assert (look.name, look.border) == ("large 1000x1000+150+10", 0)
    bicubic, mine, original = samples(look.pictures)
    assert bicubic[:10].min() == 255 and bicubic[10:].max() == original.max() == 0
    assert mine[-2:].min() == 9


def looked(name, seed):
    worst = Worst()
    worst.consider(name, 20.0, 4, versions(seed))
    return Measured(name, 26.0, 0.7, 27.5, 0.2, look=worst.look(name))


@pytest.mark.parametrize("most", [10**7, 1], ids=["inside", "beside"])
def test_a_picture_opens_in_the_viewer(browser, tmp_path, monkeypatch, most):
    monkeypatch.setattr("edsr_cli.report.evaluation_page.DEFAULT_MAX_EMBED", most)
    name = "<b>'\"&amp;"
    pictures = [*PICTURES, looked("one", 1), looked(name, 2)]
    path = tmp_path / "p.html"
    write(path, SECTION, Section("again", "RGB", MEANS, pictures))
    assert len([*tmp_path.glob("p_files/*.js")]) == (0 if most > 1 else 6)
    browser.open(path)
    assert browser.run("document.querySelectorAll('button[data-subject]').length") == 2
    assert browser.run("document.querySelector('.subject').checkVisibility()") is False
    browser.run("[...document.querySelectorAll('button[data-subject]')].at(-1).click()")
    browser.until("document.querySelector('.viewer').dataset.state === 'ready'")
    assert browser.run("document.querySelector('dialog h2').textContent") == name
    words = browser.until(
        "(words => words.includes('dB') && words)(document.querySelector('.status').textContent)"
    )
    assert "bicubic" in words and "mine" in words
    assert browser.complaints == [] and browser.run("document.querySelectorAll('b').length") == 0
    assert len(browser.requests) == (1 if most > 1 else 4)

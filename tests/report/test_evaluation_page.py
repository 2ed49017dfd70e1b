import math

import pytest

from edsr_cli.errors import EdsrError, UsageError
from edsr_cli.report.evaluation_page import Mean, Measured, Section, write_evaluation
from edsr_cli.report.places import EVALUATION
from tests.report.examples import Page

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

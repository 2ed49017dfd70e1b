import errno
import gc
import json
import os
import subprocess
import sys
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edsr_cli.errors import EdsrError, Kind, UsageError
from edsr_cli.folders.scanning import Ignored
from edsr_cli.folders.summary import Summary
from edsr_cli.jobs.executors import Load
from edsr_cli.jobs.record import Record, Status
from edsr_cli.report import REPORT, About, Report
from edsr_cli.report.page import LISTED, UNFOLDED
from edsr_cli.report.records import RecordFile
from tests.report.examples import (
    ABOUT,
    Page,
    done,
    failed,
    make_pictures,
    skipped,
    write_report,
)

MIXED = [
    done("a.jpg"),
    failed("in/d.jpg", Kind.TOO_LARGE, "600 pixels are too many. Cut it."),
    failed("in/b.jpg"),
    skipped("in/c.jpg"),
    failed("in/e.jpg"),
]

NASTY = (
    "two\nlines", "<script>alert(1)</script>", '"><img src=x>', "\udcff", "\x1b[31m", "‮gpj.",
    "{{ 7 * 7 }}", "{% raw %}", "{#",
)  # fmt: skip


# Which files.


@pytest.mark.parametrize("name", ["r.json", "r.html", "r.HTM", "r.JSON"])
def test_names_that_a_report_can_have(tmp_path, name):
    REPORT.check(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("r.txt", ".json or .html"),
        ("r", ".json or .html"),
        (".json", ".json or .html"),
        ("folder.json", "this is a folder"),
        ("nowhere/r.json", "there is no such folder"),
        ("r" * 300 + ".json", "the name is too long"),
    ],
)
def test_names_that_are_refused_before_the_run(tmp_path, name, words):
    (tmp_path / "folder.json").mkdir()
    with pytest.raises(UsageError, match=words):
        REPORT.check(tmp_path / name)


def test_an_older_report_is_replaced(tmp_path):
    path = tmp_path / "r.json"
    write_report(path, MIXED)
    assert len(json.loads(write_report(path, MIXED[:1]))["files"]) == 1


@pytest.mark.parametrize("name", ["r.json", "r.html"])
def test_without_an_end_there_is_no_report(tmp_path, name):
    with pytest.raises(ZeroDivisionError), Report(tmp_path / name, ABOUT) as report:
        report.ended(MIXED[0])
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


# JSON.


@pytest.mark.parametrize("records", [[], MIXED[:1], MIXED], ids=["none", "one", "mixed"])
def test_json_has_everything(tmp_path, records):
    report = json.loads(write_report(tmp_path / "r.json", records, stopped="interrupted"))
    summary = Summary(seconds=100.0, stopped="interrupted")
    for record in records:
        summary.add(record)
    wanted = summary.to_dict() | {"began": report["summary"]["began"]}
    assert report["summary"] == json.loads(json.dumps(wanted))
    assert report["files"] == [json.loads(json.dumps(record.to_dict())) for record in records]
    assert report["inputs"] == ["in"] and report["outputs"] == ["in_x4"]
    assert report["settings"] == {"model": "edsr-free", "scale": "x4"}
    assert report["version"]


@settings(max_examples=30)
@given(st.lists(st.text(st.characters(exclude_characters="\0"), min_size=1), max_size=5))
def test_names_survive_in_json(tmp_path, names):
    """Also those that are not UTF-8, which have surrogates in them."""
    report = json.loads(write_report(tmp_path / "r.json", [failed(name) for name in names]))
    assert [record["input"] for record in report["files"]] == names


# The page.


def test_the_page_says_what_became_of_the_run(tmp_path):
    page = Page(write_report(
        tmp_path / "r.html", MIXED, load=Load(busy=9, starved=1), ignored={Ignored.HIDDEN: 3}
    ))  # fmt: skip
    texts = page.texts
    start = texts.index("done")
    tiles = dict(zip(texts[start : start + 12 : 2], texts[start + 1 : start + 13 : 2], strict=True))
    assert (tiles["done"], tiles["failed"], tiles["skipped"]) == ("1", "3", "1")
    assert tiles["time"] == "1 min 40 s" and tiles["pictures a minute"] == "0.600"
    assert "3 failed" in texts
    assert {"edsr-free", "x4", "model"} <= set(texts)
    assert "90%" in " ".join(texts)
    assert texts[texts.index("Left out: hidden") + 1] == "3"


def test_failures_are_on_top_by_kind(tmp_path):
    texts = Page(write_report(tmp_path / "r.html", MIXED)).texts
    first = texts.index("Failed")
    assert texts[first + 1 : first + 11] == [
        "Damaged, or no picture", "2",
        "in/b.jpg", "It is broken. Mend it.",
        "in/e.jpg", "It is broken. Mend it.",
        "Too large", "1",
        "in/d.jpg", "600 pixels are too many. Cut it.",
    ]  # fmt: skip
    assert first < texts.index("Time") < texts.index("Settings")


def test_many_failures_are_all_there_but_folded_up(tmp_path):
    count = UNFOLDED + 7
    page = Page(write_report(tmp_path / "r.html", [failed(f"{n}.jpg") for n in range(count)]))
    assert "7 more" in page.texts
    files = page.texts.index("All files")
    assert [text for text in page.texts[:files] if text.endswith(".jpg")] == [
        f"{n}.jpg" for n in range(count)
    ]


def test_a_long_list_of_files_is_cut_and_says_so(tmp_path):
    html = write_report(tmp_path / "r.html", [skipped(f"{n}") for n in range(LISTED + 1)])
    texts = Page(html).texts
    assert f"The first {LISTED:,} files" in texts
    assert f"All {LISTED + 1:,} are in a report whose name ends in .json." in texts
    assert texts.count("skipped") == LISTED + 1  # and one for the total


@pytest.mark.parametrize(
    ("stopped", "watching", "words"),
    [
        (None, False, None),
        ("interrupted", False, "stopped before the end"),
        ("failure", False, "--fail-fast"),
        ("disk-full", False, "disk was full"),
        ("another reason", False, "another reason"),
        ("interrupted", True, "were watched"),
    ],
)
def test_whether_it_was_stopped(tmp_path, stopped, watching, words):
    about = About(ABOUT.inputs, ABOUT.outputs, watching=watching)
    html = write_report(tmp_path / "r.html", [done("a.jpg")], about, stopped=stopped)
    texts = Page(html).texts
    assert ("This is not all." in texts) == (stopped is not None and not watching)
    assert ("nothing failed" in texts) == (stopped is None)
    assert words is None or words in html


def test_pictures_are_in_the_page_and_lead_to_the_outputs(tmp_path):
    records = [make_pictures(done(name, tmp_path)) for name in ("a.png", "sub/b#?%.png")]
    about = About((tmp_path / "in",), (tmp_path / "in_x4",))
    page = Page(write_report(tmp_path / "reports.html", records, about))
    assert len(page.all("img")) == 8
    assert [a["href"] for a in page.all("a")] == ["./in_x4/a.png", "./in_x4/sub/b%23%3F%25.png"]
    assert {"a.png", str(Path("sub/b#?%.png"))} <= set(page.texts)


def test_the_page_says_of_how_many_pictures_it_shows_some(tmp_path):
    records = [make_pictures(done(name, tmp_path)) for name in ("a.png", "b.png")]
    words = "The lower pair is a detail, pixel by pixel."
    assert words in Page(write_report(tmp_path / "r.html", records)).texts
    records.append(done("gone.png", tmp_path))
    texts = Page(write_report(tmp_path / "r.html", records)).texts
    assert f"2 of 3 pictures. {words}" in texts


def test_pictures_that_are_gone_are_no_failure(tmp_path):
    page = Page(write_report(tmp_path / "r.html", [done("a.png", tmp_path)]))
    assert page.all("img") == [] and "Before and after" not in page.texts


def test_the_page_loads_nothing(tmp_path):
    html = write_report(tmp_path / "r.html", [make_pictures(done("a.png", tmp_path)), *MIXED])
    page = Page(html)
    assert {tag for tag, _ in page.tags}.isdisjoint(
        {"link", "iframe", "object", "embed", "form", "base", "svg"}
    )
    for _, attributes in page.tags:
        assert not any(name.startswith("on") for name in attributes)
        assert attributes.get("src", "data:image/webp;base64,").startswith("data:image/webp;")
        assert attributes.get("href", "./").startswith("./")
    style = html[html.index("<style>") : html.index("</style>")]
    assert "url(" not in style and "@import" not in style
    assert "prefers-color-scheme: dark" in style
    [policy] = [m["content"] for m in page.all("meta") if "http-equiv" in m]
    assert policy.startswith("default-src 'none'")


def nasty_records(name):
    about = About((Path(name),), (Path(name),), {name: name}, version=name)
    records = [
        Record(name, name, Status.FAILED, Kind.UNEXPECTED, f"{name}: {name}"),
        Record(name, name, Status.DONE, input_size=(1, 1), output_size=(4, 4), stages={name: 1.0}),
        Record(name, name, Status.SKIPPED, Kind.COMPLETE, name),
    ]
    return about, records


@settings(max_examples=60)
@given(
    st.one_of(st.sampled_from(NASTY), st.text(st.characters(exclude_characters="\0"), min_size=1))
)
def test_no_name_does_harm(tmp_path, name):
    """The tags of the page do not depend on names, and its text has no control characters."""
    path = tmp_path / "r.html"
    about, records = nasty_records(name)
    page = Page(write_report(path, records, about))
    about, records = nasty_records("x")
    harmless = Page(write_report(path, records, about))
    assert [tag for tag, _ in page.tags] == [tag for tag, _ in harmless.tags]
    assert all(c.isprintable() for text in page.texts for c in text.replace("\n", ""))


def test_links_are_relative_whatever_the_output_is_called(tmp_path):
    """A folder may be called like the scheme of an address."""
    folder = tmp_path / "javascript:alert(1)"
    try:
        record = make_pictures(done("a.png", folder))
    except OSError:
        pytest.skip("this file system has no such names")
    page = Page(write_report(folder / "r.html", [record]))
    assert [a["href"] for a in page.all("a")] == ["./in_x4/a.png"]
    page = Page(write_report(tmp_path / "r.html", [record]))
    assert [a["href"] for a in page.all("a")] == ["./javascript%3Aalert%281%29/in_x4/a.png"]


# What goes wrong, and how much it needs.


def full(*_, **__):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_for_temporary_files_spoils_the_report_only(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(RecordFile, "append", full)
    with Report(tmp_path / "r.json", ABOUT) as report:
        for record in MIXED:
            report.ended(record)
        with pytest.raises(EdsrError, match=r"r\.json: the report cannot be written.*No space"):
            report.finished(Summary())
    assert len(caplog.records) == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no disk that is always full")
def test_a_disk_that_is_full_when_it_is_over(tmp_path, monkeypatch):
    """What is written only when the file is read, or closed, has no room either."""

    def never_enough(mode, encoding):
        return open("/dev/full", mode, encoding=encoding)  # noqa: PTH123

    monkeypatch.setattr("tempfile.TemporaryFile", never_enough)
    with pytest.raises(EdsrError, match=r"its temporary file failed.*No space"):
        write_report(tmp_path / "r.json", MIXED)
    with Report(tmp_path / "r.json", ABOUT) as report:
        report.ended(MIXED[0])


def test_no_place_for_a_temporary_file(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.TemporaryFile", full)
    with pytest.raises(EdsrError, match=r"r\.json: a report takes a temporary file.*No space"):
        Report(tmp_path / "r.json", ABOUT)


def test_a_report_that_cannot_be_written_in_the_end(tmp_path):
    path = tmp_path / "gone" / "r.json"
    path.parent.mkdir()
    with Report(path, ABOUT) as report:
        path.parent.rmdir()
        with pytest.raises(EdsrError, match=r"r\.json: it cannot be written"):
            report.finished(Summary())


@pytest.mark.parametrize("name", ["r.json", pytest.param("r.html", marks=pytest.mark.slow)])
def test_memory_does_not_grow_with_the_number_of_files(tmp_path, name):
    """Neither what is kept of files, nor what writing the report needs."""

    def written(count):
        kinds = [failed] + [done, skipped] * 12  # few have failed: of a thousand the summary knows
        summary = Summary(seconds=1.0)
        with Report(tmp_path / name, ABOUT) as report:
            for number in range(count):
                record = kinds[number % 25](f"{number:05}.jpg")
                summary.add(record)
                report.ended(record)
            gc.collect()  # what is kept counts, not what waits for a collector
            tracemalloc.reset_peak()
            report.finished(summary)
            return tracemalloc.get_traced_memory()[1]

    def peak_of(count):
        gc.collect()
        gc.freeze()  # all that other tests have left need not be looked through again and again
        tracemalloc.start()
        try:
            return written(count)
        finally:
            tracemalloc.stop()
            gc.unfreeze()

    peak_of(10)  # so that nobody pays for what is loaded or kept once
    # Paths intern their parts, and now and then the interpreter's table of these takes several MB
    # anew, whoever is about: the least of a few times is what the report takes.
    few, many = (min(peak_of(count) for _ in range(3)) for count in (250, 1000))
    assert many < few + 75_000  # they take 0.55 MB on disk


def test_a_report_needs_no_network():
    """Nor what networks need: it may be written by a process that has none."""
    program = "import edsr_cli.report, edsr_cli.report.page, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0

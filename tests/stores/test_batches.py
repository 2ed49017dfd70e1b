"""Batches from and to an S3 server, with faults put in, beside the same batch over folders."""

import json
import logging
import shutil
import signal
import sys
import threading
import time
from copy import copy
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import pytest
from PIL import Image

import edsr_cli
from edsr_cli.errors import Kind, UsageError, WeightsError
from edsr_cli.jobs.ledger import LedgerError
from edsr_cli.jobs.record import Status
from edsr_cli.stores.failures import StoreError
from edsr_cli.stores.ranged import BLOCK
from edsr_cli.stores.store import Store
from tests import forking
from tests.jobs.nearest import save_nearest
from tests.stores.conftest import SECRET, Bucket, every_store, one_store
from tests.stores.server import Fault, Rule

NAMES = ["a.png", "b.jpg", "sub/c.png", "sub/c.jpg", "sub/ü d#1?.png", "e.bmp"]


OPTIONS: dict[str, Any] = {"engine": "torch", "workers": 1}


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model, pictures `in` a folder, and what a run over that has made, in `out`."""
    folder = tmp_path_factory.mktemp("pictures")
    for number, name in enumerate(NAMES):
        path = folder / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        colours = np.random.default_rng(number).integers(0, 256, (12, 9, 3), np.uint8)
        Image.fromarray(colours).save(path)
    (folder / "in" / "bad.png").write_bytes(b"no picture")
    (folder / "in" / "notes.txt").write_text("words")
    model = str(save_nearest(folder / "nearest.safetensors", 2))
    edsr_cli.batch([str(folder / "in")], str(folder / "out"), model=model, **OPTIONS)
    return folder


class Both:
    """The same pictures in a folder and in a bucket, and what a run over the folder makes."""

    def __init__(self, bucket: Bucket, folder: Path, pictures: Path) -> None:
        self.bucket, self.folder = bucket, folder
        self.model = str(pictures / "nearest.safetensors")
        shutil.copytree(pictures / "in", folder / "in")
        bucket.fill(folder / "in", "in")
        self.source, self.output = f"{bucket.address}/in", f"{bucket.address}/out"
        self.expected = files(pictures / "out")
        bucket.proxy.clear()

    def run(self, source=None, output=None, **options):
        """Run a batch; gives the summary, and a record for each input."""
        self.records = []
        options = {"model": self.model} | OPTIONS | options
        return edsr_cli.batch(
            [source or self.source],
            output or self.output,
            each=self.records.append,
            **options,
        )

    def is_whole(self):
        """Whether the bucket has what the run over the folder has made, byte for byte."""
        return self.bucket.content("out") == self.expected


def files(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not path.name.startswith(".")
    }


def counts(summary):
    return summary.done, summary.skipped, summary.failed


@pytest.fixture
def both(bucket: Bucket, tmp_path: Path, pictures: Path) -> Both:
    return Both(bucket, tmp_path, pictures)


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where objects are kept meanwhile; nothing is left there."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr("tempfile.tempdir", None)
    return folder


@every_store
def test_a_bucket_becomes_what_a_folder_becomes(both, scratch):
    assert counts(both.run()) == (6, 0, 1)
    assert both.is_whole()
    failed = next(record for record in both.records if record.status is Status.FAILED)
    assert failed.input == f"{both.source}/bad.png"
    assert (
        failed.reason.startswith(f"{both.source}/bad.png: ") and str(scratch) not in failed.reason
    )
    assert list(scratch.iterdir()) == []
    both.bucket.proxy.clear()
    assert counts(both.run()) == (0, 6, 1)
    asked = both.bucket.proxy.requests
    assert not any("/out/" in path and "manifest" not in path for _, path in asked), asked
    assert sum(method == "PUT" for method, _ in asked) <= 3  # of the manifest
    assert len(both.bucket.manifests("out")) == 2, "an object for each run"


@every_store
def test_what_has_changed_is_made_again(both):
    both.run()
    changed = Store(both.source).blob("a.png")
    Image.new("RGB", (5, 4), "red").save(both.folder / "in" / "a.png")
    changed.put_bytes((both.folder / "in" / "a.png").read_bytes())
    edited = Store(both.output).blob("b.png")
    edited.put_bytes(b"edited")
    somebody = Store(both.output).blob("sub/c.png.png")
    assert counts(both.run()) == (1, 5, 1)
    skipped = {record.output: record.kind for record in both.records}
    assert skipped[edited.shown] is Kind.EDITED and skipped[somebody.shown] is Kind.COMPLETE
    both.run(str(both.folder / "in"), str(both.folder / "out"))
    both.expected = files(both.folder / "out") | {"b.png": b"edited"}
    assert both.is_whole()
    assert counts(both.run(overwrite=True)) == (6, 0, 1)
    both.expected["b.png"] = (both.folder / "out" / "b.png").read_bytes()
    assert both.is_whole()


@every_store
def test_somebody_elses_objects_are_left_alone(both):
    Store(both.output).blob("a.png").put_bytes(b"somebody else's")
    assert counts(both.run()) == (5, 0, 2)
    failed = {record.input: record for record in both.records if record.kind is Kind.EXISTS}
    assert list(failed) == [f"{both.source}/a.png"]
    assert "--overwrite" in failed[f"{both.source}/a.png"].reason
    both.expected["a.png"] = b"somebody else's"
    assert both.is_whole()


@one_store
def test_shards_and_status(both):
    for shard in ("2/3", "1/3"):
        both.run(shard=shard)
    told = edsr_cli.batch([both.output], status=True)
    assert told.planned + told.done + told.failed == 7 and told.planned
    rest = both.run(shard="3/3")
    assert rest.done + rest.failed == told.planned and both.is_whole()
    page, data = both.folder / "report.html", both.folder / "report.json"
    for report in (page, data):
        told = edsr_cli.batch([both.output], status=True, report=str(report))
        assert (told.done, told.failed, told.planned) == (6, 1, 0)
    report = json.loads(data.read_text())
    assert report["inputs"] == [both.source] and report["outputs"] == [both.output]
    assert {record["output"] for record in report["files"]} >= {f"{both.output}/a.png"}
    assert f"{both.source}/bad.png" in page.read_text()


@pytest.mark.parametrize("way", ["in", "out"])
def test_a_folder_on_one_side(both, way):
    if way == "in":
        both.run(output=str(both.folder / "here"))
        assert files(both.folder / "here") == both.expected
        assert both.run(output=str(both.folder / "here")).skipped == 6
    else:
        both.run(str(both.folder / "in"))
        assert both.is_whole() and both.run(str(both.folder / "in")).skipped == 6


def test_faults_that_pass_change_nothing(both):
    rules = [
        Rule(Fault.BUSY, "", "", 4),
        Rule(Fault.CUT_ANSWER, "GET", "/in/", 4),
        Rule(Fault.CUT_BODY, "PUT", "/out/", 4),
        Rule(Fault.LOST_ANSWER, "PUT", "/out/", 4),
    ]
    both.bucket.proxy.rules = rules
    assert counts(both.run()) == (6, 0, 1)
    assert [rule.seen for rule in rules] == [4] * 4 and both.is_whole()
    assert counts(both.run()) == (0, 6, 1)


@pytest.mark.parametrize(
    ("fault", "method", "part"),
    [
        pytest.param(Fault.BUSY, "GET", "/in/sub/c", marks=pytest.mark.slow),
        pytest.param(Fault.CUT_ANSWER, "GET", "/in/b.jpg", marks=pytest.mark.slow),
        (Fault.CUT_BODY, "PUT", "/out/sub/"),
    ],
    ids=str,
)
def test_faults_that_stay_cost_the_pictures_that_they_hit(fault, method, part, both):
    both.bucket.proxy.rules = [Rule(fault, method, part)]
    summary = both.run()
    assert summary.failed > 1 and summary.done == 7 - summary.failed
    assert all("again" in record.reason for record in summary.failures if "bad" not in record.input)
    made = both.bucket.content("out")
    assert made == {name: both.expected[name] for name in made}, "nothing partial"
    both.bucket.proxy.clear()
    assert counts(both.run()) == (summary.failed - 1, summary.done, 1)
    assert both.is_whole()


def test_a_store_that_turns_read_only(both, caplog):
    puts = []

    def before(method, path):
        puts.append(path) if method == "PUT" and "/out/" in path else None
        if len(puts) == 5:
            both.bucket.proxy.rules = [Rule(Fault.DENIED, "PUT")]

    both.bucket.proxy.before = before
    try:
        summary = both.run()
    finally:
        both.bucket.proxy.before = lambda method, path: None
    assert 0 < summary.done < 6 and summary.stopped == "manifest"
    reason = next(r for r in summary.failures if r.kind is Kind.MANIFEST).reason
    assert "AccessDenied" in reason and "AWS_PROFILE" in reason and SECRET not in reason
    with pytest.raises(LedgerError, match="AccessDenied"):
        both.run()
    both.bucket.proxy.clear()
    assert both.run().failed == 1 and both.is_whole()


def test_a_store_that_is_read_only_is_found_out_before_the_work(both):
    both.bucket.proxy.rules = [Rule(Fault.DENIED, "PUT"), Rule(Fault.DENIED, "POST")]
    for overwrite in (False, True):
        (record,) = edsr_cli.upscale(
            [both.folder / "in" / "a.png"],
            f"{both.output}/a.png",
            model=both.model,
            engine="torch",
            overwrite=overwrite,
        )
        assert record.kind is Kind.PERMISSION and record.stages.keys() == {"decode"}
        assert record.error.startswith(f"{both.output}/a.png: the store does not permit this")
    assert both.bucket.content("out") == {}


def test_a_folder_that_cannot_be_listed(both):
    both.bucket.proxy.rules = [Rule(Fault.BUSY, "GET", "prefix=in%2Fsub%2F")]
    assert counts(both.run()) == (3, 0, 2)
    failed = {record.input: record.reason for record in both.records if record.reason}
    assert "does not answer" in failed[f"{both.source}/sub"]
    both.bucket.proxy.clear()
    assert counts(both.run()) == (3, 3, 1) and both.is_whole()


@one_store
def test_a_dry_run_makes_nothing(both):
    assert both.run(dry_run=True).planned == 6
    assert both.bucket.content("out") == {} == both.bucket.manifests("out")
    both.run()
    assert both.run(dry_run=True).skipped == 6


@every_store
def test_a_dry_run_fetches_what_headers_need(both):
    """And says the same as over files."""
    folder, source = both.folder / "large", f"{both.bucket.address}/large"
    folder.mkdir()
    pixels = np.random.default_rng(9).integers(0, 256, (350, 400, 3), np.uint8)
    image, turned = Image.fromarray(pixels), Image.Exif()
    turned[0x112] = 6
    image.save(folder / "a.jpg", exif=turned, quality=100, subsampling=0)
    image.save(folder / "b.bmp")
    image.save(folder / "c.jpg", exif=turned, comment=bytes(60_000), quality=100, subsampling=0)
    image.save(folder / "d.png", exif=turned, compress_level=0)
    image.save(folder / "e.tif", exif=turned)
    image.save(folder / "f.gif")
    image.save(folder / "g.webp", lossless=True)
    image.save(folder / "h.avif", quality=100)
    (folder / "i.jpg").write_bytes(b"no picture" * BLOCK)
    both.bucket.fill(folder, "large")
    both.bucket.proxy.clear()

    def planned(where):
        assert both.run(where, f"{both.output}/planned", dry_run=True).planned == 8
        records = sorted(both.records, key=lambda record: record.input)
        return [(each.input_size, each.output_size, each.plan, each.notes) for each in records]

    def sent(path):
        parts = both.bucket.proxy.sent.items()
        return sum(count for name, count in parts if f"large{path.name}" in letters(name))

    found = planned(source)
    assert found == planned(str(folder))
    assert [size for size, *_ in found[:3]] == [(350, 400), (400, 350), (350, 400)]
    for path in folder.iterdir():
        size = path.stat().st_size
        # A GIF has to be gone through to count its frames, and readers of WebP and AVIF begin with
        # all of it; what is no picture here may be one when all of it is.
        whole = path.suffix in (".gif", ".webp", ".avif") or path.name == "i.jpg"
        assert size > 2 * BLOCK and sent(path) <= 2 * BLOCK + (size if whole else 0), path.name
    both.bucket.proxy.clear()
    options = {"model": "edsr-free", "include": ["d.png"]}
    both.run(source, f"{both.output}/planned", dry_run=True, **options)
    (record,) = both.records  # whose pixels say how much to restore
    path = folder / "d.png"
    assert record.restore is not None and sent(path) >= path.stat().st_size


def letters(address):
    """What tells the object in an address, however a store writes it."""
    return unquote(address).partition("?")[0].replace("/", "")


def test_what_cannot_be_begun(both, scratch):
    cases = {
        "s3://no-such-bucket-here/in": (StoreError, "no such bucket"),
        f"{both.bucket.address}/nothing": (UsageError, "nothing in it"),
        "s3://KEY:SECRET@bucket/in": (UsageError, r"\*\*\*@bucket.*credentials do not belong"),
        "https://example.org/in?sig=SECRET": (UsageError, "no folders on the web"),
        "ftp://example.org/in": (UsageError, "an address"),
    }
    for source, (error, words) in cases.items():
        with pytest.raises(error, match=words) as caught:
            both.run(source)
        assert "SECRET" not in str(caught.value)
    for options, words in (
        ({"watch": True}, "--watch"),
        ({"checksum": True}, "--checksum"),
        ({"keep_times": True}, "--keep-times"),
        ({"ray": "local"}, "--ray"),
    ):
        with pytest.raises(UsageError, match=words):
            both.run(**options)
    with pytest.raises(UsageError, match="-o"):
        edsr_cli.batch([both.source], model=both.model, engine="torch")
    with pytest.raises(UsageError, match="written"):
        both.run(output="https://example.org/out")
    assert list(scratch.iterdir()) == []
    assert both.bucket.content("out") == {}


def test_what_fails_before_the_first_picture_leaves_nothing(both, scratch, monkeypatch):
    def fail(*_):
        raise WeightsError("it cannot be had.")

    monkeypatch.setattr("edsr_cli.api.batch.recipe_of", fail)
    with pytest.raises(WeightsError) as caught:
        both.run()
    assert list(scratch.iterdir()) == [], f"while somebody has {caught.value}"


def test_a_list_of_addresses(both, caplog):
    caplog.set_level(logging.DEBUG, "edsr_cli")
    signed = f"{both.bucket.proxy.address}/{both.bucket.name}/in"
    lines = ["# pictures", "", f"{both.source}/a.png", f"{signed}/b.jpg?X-Amz-Signature=SECRET"]
    listed = both.folder / "pictures.txt"
    listed.write_text("\n".join([*lines, f"{signed}/gone.png?X-Amz-Signature=SECRET"]))
    assert counts(both.run(str(listed))) == (2, 0, 1)
    made = both.bucket.content("out")
    host = both.bucket.proxy.address.removeprefix("http://").replace(":", "_")
    assert made == {
        f"{both.bucket.name}/in/a.png": both.expected["a.png"],
        f"{host}/{both.bucket.name}/in/b.png": both.expected["b.png"],
    }
    assert counts(both.run(str(listed))) == (0, 2, 1)
    logged = [each.getMessage() for each in caplog.records if each.name.startswith("edsr_cli")]
    told = json.dumps([[record.to_dict() for record in both.records], logged])
    assert "b.jpg?***" in told and "gone.png?***" in told
    manifests = b"".join(both.bucket.manifests("out").values())
    assert b"gone.png" in manifests
    assert "SECRET" not in told and b"SECRET" not in manifests


@pytest.mark.parametrize("kills", [1, pytest.param(6, marks=pytest.mark.slow)])
def test_a_run_that_is_killed_goes_on(kills, both, scratch):
    """At every kill an upload has just arrived, or is about to."""
    command = [sys.executable, "-m", "edsr_cli", "batch", both.source, "-o", both.output]
    command += ["-m", both.model, "--engine", "torch", "-j", "1", "-q"]
    for kill in range(kills):
        both.bucket.proxy.clear()
        reached: list[str] = []

        def before(method, path, reached=reached):
            if method == "PUT" and path.endswith(".png"):
                reached.append(path)
                time.sleep(0.5 if len(reached) > 1 else 0)

        both.bucket.proxy.before = before
        done = len(both.bucket.content("out"))
        with forking.Popen(command) as process:
            while len(reached) < 2 and process.poll() is None:
                time.sleep(0.02)
            time.sleep(0.3 * (kill % 3))
            process.send_signal(signal.SIGKILL if hasattr(signal, "SIGKILL") else signal.SIGTERM)
        made = both.bucket.content("out")
        assert made == {name: both.expected[name] for name in made}, "nothing partial"
        assert len(made) >= min(6, done + 1)
        assert len(list(scratch.glob("edsr-stores-*"))) <= 1, "the next run removes what is left"
    both.bucket.proxy.before = lambda method, path: None
    done = len(both.bucket.content("out"))
    summary = both.run()  # what was on its way may have arrived since
    assert summary.skipped >= done > 0 and summary.done + summary.skipped == 6, both.records
    assert both.is_whole() and summary.failed == 1
    assert list(scratch.iterdir()) == []


@every_store
def test_two_runs_at_once_lose_nothing(both):
    threads = [threading.Thread(target=each.run) for each in (both, copy(both))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert both.is_whole()
    assert counts(both.run()) == (0, 6, 1)


def test_a_single_picture(both):
    arguments = {"model": both.model, "engine": "torch"}
    (record,) = edsr_cli.upscale([f"{both.source}/a.png"], f"{both.output}/", **arguments)
    assert record.output == f"{both.output}/a_x2.png" and record.error is None
    (record,) = edsr_cli.upscale([both.folder / "in/b.jpg"], f"{both.output}/b.png", **arguments)
    assert record.output == f"{both.output}/b.png" and record.error is None
    made = both.bucket.content("out")
    assert made == {"a_x2.png": both.expected["a.png"], "b.png": both.expected["b.png"]}
    (record,) = edsr_cli.upscale([f"{both.source}/a.png"], f"{both.output}/b.png", **arguments)
    assert "--overwrite" in record.error and both.bucket.content("out") == made
    web = f"{both.bucket.proxy.address}/{both.bucket.name}/in/a.png?X-Amz-Signature=SECRET"
    (record,) = edsr_cli.upscale([web], both.folder / "web.png", **arguments)
    assert record.error is None
    assert (both.folder / "web.png").read_bytes() == both.expected["a.png"]
    assert "SECRET" not in str(record)
    (record,) = edsr_cli.upscale([f"{both.source}/no.png"], both.folder / "no.png", **arguments)
    assert record.error.startswith(f"{both.source}/no.png: there is nothing at this address")
    with pytest.raises(UsageError, match="-o"):
        edsr_cli.upscale([f"{both.source}/a.png"], **arguments)

"""Objects on a real S3 server, with faults put in."""

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from edsr_cli.errors import Kind, UsageError
from edsr_cli.stores import store
from edsr_cli.stores.failures import StoreError
from edsr_cli.stores.store import Blob, Store
from tests.stores.conftest import SECRET, Bucket, every_store
from tests.stores.server import Fault, Rule

CONTENT = bytes(range(256)) * 400


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(CONTENT)
    return path


@pytest.fixture
def blob(bucket: Bucket) -> Blob:
    """An object with `CONTENT`, as it was listed."""
    folder = Store(f"{bucket.address}/folder")
    folder.blob("there").put_bytes(CONTENT)
    (entry,) = folder.entries()
    bucket.proxy.clear()
    return folder.blob("there", entry.state)


def failure(call):
    with pytest.raises(StoreError) as caught:
        call()
    assert SECRET not in str(caught.value)
    return caught.value


def test_a_folder_is_listed_by_pages(bucket, monkeypatch):
    monkeypatch.setattr(store, "_PAGE", 2)
    folder = Store.at(f"{bucket.address}/in/")
    for name in ("a", "b", "c", "ü 1?#%", "sub/d", "sub/deeper/e", "../up"):
        folder.blob(name).put_bytes(name.encode())
    bucket.proxy.clear()
    found = {entry.name: entry.state and entry.state.size for entry in folder.entries()}
    assert found == {"a": 1, "b": 1, "c": 1, "ü 1?#%": 7, "sub": None}
    assert len(bucket.proxy.requests) >= 3
    assert [entry.name for entry in folder.entries("su")] == ["sub"]
    assert [entry.name for entry in folder.folder("sub").entries()] == ["d", "deeper"]
    assert list(folder.folder("nothing").entries()) == []
    assert list(folder.read_all(["c", "ü 1?#%", "a"])) == [b"c", "ü 1?#%".encode(), b"a"]


@every_store
def test_an_object_that_is_there_is_not_replaced_unasked(blob, file, bucket):
    before = blob.look()
    assert before is not None and before == blob.known and before.version
    assert blob.put(file, replace=False) == before, "it has the same bytes"
    file.write_bytes(CONTENT[::-1])
    assert failure(lambda: blob.put(file, replace=False)).kind is Kind.EXISTS
    assert blob.look() == before
    after = blob.put(file, replace=True)
    assert after.size == before.size and after.version != before.version
    new = Blob(f"{bucket.address}/new")
    assert new.look() is None
    assert new.put(file, replace=False) == new.look()


@every_store
def test_of_two_who_create_an_object_at_once_one_does(bucket, tmp_path):
    blob, errors = Blob(f"{bucket.address}/contested"), []
    paths = [tmp_path / str(number) for number in range(4)]

    def create(path):
        try:
            blob.put(path, replace=False)
        except StoreError as error:
            errors.append(error.kind)

    for path in paths:
        path.write_text(path.name)
    threads = [threading.Thread(target=create, args=(path,)) for path in paths]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == [Kind.EXISTS] * 3


@pytest.mark.parametrize("fault", [Fault.BUSY, Fault.CUT_ANSWER, Fault.STALLED], ids=str)
def test_an_object_is_read_whole_in_spite_of(fault, blob, bucket, tmp_path, monkeypatch, settings):
    import fsspec

    monkeypatch.setitem(fsspec.config.conf, "s3", {"config_kwargs": {"read_timeout": 0.5}})
    settings()
    rule = Rule(fault, "GET", "there", 3)
    bucket.proxy.rules = [rule]
    blob.fetch(tmp_path / "fetched")
    assert (tmp_path / "fetched").read_bytes() == CONTENT and rule.seen == 3


@pytest.mark.parametrize(
    "fault", [Fault.BUSY, Fault.CUT_BODY, Fault.LOST_ANSWER, Fault.AT_ODDS], ids=str
)
@pytest.mark.parametrize("replace", [False, True], ids=["new", "replaced"])
def test_an_object_is_written_whole_in_spite_of(fault, replace, bucket, file):
    blob = Blob(f"{bucket.address}/made")
    if replace:
        blob.put_bytes(b"older")
    rule = Rule(fault, "PUT", "made", 3)
    bucket.proxy.rules = [rule]
    state = blob.put(file, replace=replace)
    assert rule.seen == 3 and state == blob.look()
    assert list(Store(bucket.address).read_all(["made"])) == [CONTENT]


def test_a_large_object_goes_in_parts(bucket, file, tmp_path, monkeypatch):
    monkeypatch.setattr(store, "_PART", 5 << 20)
    monkeypatch.setattr(store, "_PARTS_AT_ONCE", 1)
    content = CONTENT * 120
    file.write_bytes(content)
    blob = Blob(f"{bucket.address}/made")
    bucket.proxy.rules = [Rule(Fault.CUT_BODY, "PUT", "partNumber=2")]
    assert failure(lambda: blob.put(file, replace=False)).passing
    assert blob.look() is None, "nothing of it is to be seen"
    assert [path for method, path in bucket.proxy.requests if method == "DELETE"], "nor kept"
    bucket.proxy.rules = [
        Rule(Fault.CUT_BODY, "PUT", "partNumber=2", 1),
        Rule(Fault.LOST_ANSWER, "PUT", "partNumber=1", 1),
        Rule(Fault.CUT_ANSWER, "GET", "", 2),
    ]
    blob.put(file, replace=False)
    blob.fetch(tmp_path / "fetched")
    assert (tmp_path / "fetched").read_bytes() == content
    assert blob.put(file, replace=False) == blob.look(), "the same again"


def test_a_store_that_goes_on_failing_is_given_up(blob, bucket, file, tmp_path):
    bucket.proxy.rules = [Rule(Fault.BUSY)]
    error = failure(lambda: blob.fetch(tmp_path / "fetched"))
    assert error.passing and "(SlowDown)" in error.what and "again" in error.hint
    assert len(bucket.proxy.requests) == store._INNER_TRIES * (1 + len(store.PAUSES))
    assert failure(lambda: blob.put(file, replace=True)).passing
    assert failure(lambda: blob.look()).passing
    assert failure(lambda: list(Store(bucket.address).entries())).passing


def test_a_store_that_may_not_be_written_to(blob, bucket, file):
    bucket.proxy.rules = [Rule(Fault.DENIED, "PUT")]
    error = failure(lambda: blob.put(file, replace=True))
    assert error.kind is Kind.PERMISSION and not error.passing and "AccessDenied" in error.what
    assert "AWS_PROFILE" in error.hint and error.about == blob.address
    assert len(bucket.proxy.requests) == 1, "it is not tried again"


def content(bucket):
    """All there is in a bucket, what has only begun included."""
    listed = store._tried(
        bucket.address, lambda fs: fs.call_s3("list_multipart_uploads", Bucket=bucket.name)
    )
    return bucket.content(""), listed.get("Uploads", [])


@pytest.mark.parametrize("way", [store._begin_parts, store._put_beside])
def test_whether_it_can_be_written_is_found_out_without_a_trace(way, bucket, monkeypatch, caplog):
    monkeypatch.setattr(store, "_begin_parts", way)
    blob = Blob(f"{bucket.address}/new")
    blob.check_writable()
    assert content(bucket) == ({}, [])
    bucket.proxy.rules = [Rule(Fault.BUSY, "P", "", 2), Rule(Fault.LOST_ANSWER, "DELETE", "", 1)]
    blob.check_writable()
    assert content(bucket) == ({}, []) and blob.look() is None
    bucket.proxy.rules = [Rule(Fault.DENIED, "DELETE")]
    blob.check_writable()
    warned = [each for each in caplog.records if each.name == store.__name__]
    assert len(warned) == (way is store._put_beside)
    bucket.proxy.rules = [Rule(Fault.DENIED, "PUT"), Rule(Fault.DENIED, "POST")]
    error = failure(blob.check_writable)
    assert error.kind is Kind.PERMISSION and error.about == blob.address
    error = failure(Blob("s3://no-such-bucket-here/x").check_writable)
    assert error.kind in (Kind.MISSING, Kind.PERMISSION)


def test_what_is_not_there(bucket, tmp_path):
    nothing = Blob(f"{bucket.address}/nothing")
    error = failure(lambda: nothing.fetch(tmp_path / "fetched"))
    assert error.kind is Kind.MISSING and "nothing at this address" in error.what
    nowhere = Store("s3://no-such-bucket-here")
    for call in (
        lambda: nowhere.blob("x").fetch(tmp_path / "fetched"),
        lambda: list(nowhere.entries()),
        lambda: nowhere.blob("x").put(Path(__file__), replace=False),
    ):
        error = failure(call)
        assert error.kind is Kind.MISSING and error.what == "there is no such bucket."


@pytest.mark.parametrize(
    ("address", "extra"), [("s3://b/a", "cloud"), ("gs://b/a", "gcs"), ("https://h/a", "cloud")]
)
def test_a_missing_package_is_named(address, extra, monkeypatch):
    monkeypatch.setitem(sys.modules, "fsspec", None)
    store._file_system.cache_clear()
    with pytest.raises(UsageError, match=rf"pip install 'edsr-cli\[{extra}\]'"):
        Blob(address).look()


def test_fsspec_is_imported_when_an_address_is_used():
    script = (
        "import sys, edsr_cli.api.batch, edsr_cli.api.upscale, edsr_cli.api.checks\n"
        "sys.exit(bool({'fsspec', 'aiohttp', 'botocore'} & sys.modules.keys()))"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_without_credentials(bucket, monkeypatch, settings):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    settings()
    error = failure(lambda: list(Store(bucket.address).entries()))
    assert error.kind is Kind.PERMISSION and "no credentials" in error.what
    assert "~/.aws" in error.hint

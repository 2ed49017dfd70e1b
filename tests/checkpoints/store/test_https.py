"""Downloads over real HTTPS from a server that misbehaves."""

import os
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from edsr_cli.checkpoints.store.answers import SourceError, retry_after
from edsr_cli.checkpoints.store.https import Patience, download
from tests.checkpoints.store.server import Act, closed_port

CONTENT = os.urandom(300_000)
QUICK = Patience(stall=0.5, attempts=3, pause=0.01, longest_pause=2.0)


@pytest.fixture
def get(server, tmp_path):
    """Download CONTENT; the part file's bytes and whether it was continued from before."""
    server.files["/a.pt"] = CONTENT

    def run(url: str = "", size: int | None = None, limit: int = 10**6, patience=QUICK):
        reports = []
        part = tmp_path / "a.part"
        report = lambda done, total: reports.append((done, total))  # noqa: E731
        resumed = download(url or f"{server.url}/a.pt", part, size, limit, report, patience)
        assert reports[-1] == (len(CONTENT), len(CONTENT))
        return part.read_bytes(), resumed

    run.part = tmp_path / "a.part"
    return run


def test_a_file_is_downloaded(server, get):
    assert get(size=len(CONTENT)) == (CONTENT, False)
    (request,) = server.requests
    assert request.headers["accept-encoding"] == "identity"
    assert request.headers["user-agent"].startswith("edsr/")


def test_a_cut_connection_is_resumed_where_it_was_cut(server, get):
    server.acts["/a.pt"] = [Act(cut=100_000), Act(cut=100_000)]
    assert get() == (CONTENT, False)
    assert server.ranges() == [None, "bytes=100000-", "bytes=200000-"]
    assert server.requests[1].headers["if-range"].startswith('"')


def test_an_earlier_runs_beginning_is_continued(server, get):
    server.acts["/a.pt"] = [Act(cut=100_000)] + [Act(status=503)] * 2
    with pytest.raises(SourceError, match="HTTP 503"):
        get()
    assert get.part.read_bytes() == CONTENT[:100_000]
    assert get() == (CONTENT, True)
    assert server.ranges()[-1] == "bytes=100000-"


def test_a_file_that_changed_meanwhile_is_fetched_from_the_start(server, get):
    server.acts["/a.pt"] = [Act(cut=50, body=b"older" * 1000)]
    assert get() == (CONTENT, False)
    assert server.ranges() == [None, "bytes=50-"]


@pytest.mark.parametrize("act", [Act(ignore_range=True), Act(shift=-1), Act(shift=1)])
def test_an_answer_with_another_range_is_not_joined(server, get, act):
    server.acts["/a.pt"] = [Act(cut=1000), act]
    assert get() == (CONTENT, False)


@pytest.mark.parametrize("act", [Act(drop=("ETag",)), Act(headers={"ETag": 'W/"weak"'})])
def test_without_a_version_nothing_is_joined(server, get, act):
    server.acts["/a.pt"] = [replace(act, cut=1000)]
    assert get() == (CONTENT, False)
    assert server.ranges() == [None, None]


def test_a_part_longer_than_the_file_is_thrown_away(server, get):
    server.acts["/a.pt"] = [Act(cut=1000)] + [Act(status=503)] * 2
    with pytest.raises(SourceError):
        get()
    get.part.write_bytes(CONTENT + b"more")
    assert get() == (CONTENT, False)
    assert server.ranges()[-2:] == [f"bytes={len(CONTENT) + 4}-", None]


def test_a_stalled_connection_is_given_up_and_resumed(server, get):
    server.acts["/a.pt"] = [Act(cut=1000, stall=90)]
    begin = time.monotonic()
    assert get()[0] == CONTENT
    assert 0.5 <= time.monotonic() - begin < 60
    assert server.ranges() == [None, "bytes=1000-"]


def test_a_server_that_always_stalls_is_given_up(server, get):
    server.acts["/a.pt"] = [Act(cut=10, stall=2)] * 9
    with pytest.raises(SourceError, match=r"no data for 0\.5 s after 30 bytes"):
        get()
    assert len(server.requests) == 3


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_passing_failures_are_tried_again(server, get, status):
    server.acts["/a.pt"] = [Act(status=status)] * 2
    assert get()[0] == CONTENT


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410])
def test_lasting_failures_are_not_tried_again(server, get, status):
    server.acts["/a.pt"] = [Act(status=status)]
    with pytest.raises(SourceError, match=f"HTTP {status}"):
        get()
    assert len(server.requests) == 1


@pytest.fixture
def pauses(monkeypatch):
    """Seconds that this thread was to sleep, which it does not, in order."""
    asked, sleep, me = [], time.sleep, threading.get_ident()
    monkeypatch.setattr(
        time,
        "sleep",
        lambda seconds: asked.append(seconds) if threading.get_ident() == me else sleep(seconds),
    )
    return asked


def test_pauses_double(server, get, pauses):
    server.acts["/a.pt"] = [Act(status=500)] * 4
    with pytest.raises(SourceError, match="HTTP 500"):
        get(patience=Patience(stall=5, attempts=4, pause=0.2))
    assert pauses == [0.2, 0.4, 0.8]


def test_retry_after_is_obeyed(server, get, pauses):
    server.acts["/a.pt"] = [Act(status=503, headers={"Retry-After": "1"})]
    assert get()[0] == CONTENT
    assert pauses == [1.0]


def test_a_server_that_asks_for_too_long_a_pause_is_given_up(server, get):
    server.acts["/a.pt"] = [Act(status=429, headers={"Retry-After": "3600"})]
    with pytest.raises(SourceError, match=r"HTTP 429 .*asks to wait 3600 s"):
        get()
    assert len(server.requests) == 1


def test_retry_after_is_a_number_or_a_date():
    assert retry_after("7") == 7
    later = datetime.now(UTC) + timedelta(seconds=100)
    assert 95 < retry_after(format_datetime(later, usegmt=True)) <= 100
    assert retry_after(format_datetime(datetime.now(UTC) - timedelta(days=1), usegmt=True)) == 0
    assert retry_after("soon") is retry_after(None) is retry_after("-1") is None


def test_a_wrong_or_too_large_size_is_noticed_before_the_download(server, get):
    with pytest.raises(SourceError, match="expected 5 bytes, found 300000") as caught:
        get(size=5)
    assert caught.value.wrong
    with pytest.raises(SourceError, match="300000 bytes are too many"):
        get(limit=1000)
    assert not get.part.exists()


def test_a_body_without_a_length_is_limited(server, get):
    server.acts["/a.pt"] = [Act(drop=("Content-Length",))]
    with pytest.raises(SourceError, match="more than 1000 bytes"):
        get(limit=1000)
    assert not get.part.exists()


def test_redirects_are_followed_to_https_only(server, hub_server, get):
    server.acts["/b.pt"] = [Act(status=302, headers={"Location": f"{server.url}/a.pt"})]
    assert get(f"{server.url}/b.pt")[0] == CONTENT
    hub_server.files["/a.pt"] = CONTENT
    server.acts["/b.pt"] = [Act(status=302, headers={"Location": f"{hub_server.url}/a.pt"})]
    with pytest.raises(SourceError, match=r"redirects to http://127.*not https"):
        get(f"{server.url}/b.pt")
    assert not hub_server.requests


def test_a_certificate_that_is_not_trusted_is_explained(get, monkeypatch):
    monkeypatch.delenv("SSL_CERT_FILE")
    with pytest.raises(SourceError, match=r"not accepted \(self.signed.*SSL_CERT_FILE") as caught:
        get()
    assert not caught.value.unreachable


def test_no_connection_is_no_reason_to_wait(trusted, get):
    begin = time.monotonic()
    for url in (f"https://127.0.0.1:{closed_port()}/a.pt", "https://no-such-host.invalid/a.pt"):
        with pytest.raises(SourceError) as caught:
            get(url, patience=Patience(pause=30))
        assert caught.value.unreachable
    assert time.monotonic() - begin < 25


def test_the_proxy_of_the_environment_is_used(server, get, monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{closed_port()}")
    with pytest.raises(SourceError, match="refused"):
        get()
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    assert get()[0] == CONTENT

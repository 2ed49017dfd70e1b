import math
from pathlib import Path

import pytest
from PIL import Image

from edsr_cli.errors import FileError
from edsr_cli.training.log import Log, Row, plot

ROWS = [
    Row(0, 0.5, 0.0, math.nan, {2: 30.25, 4: 25.125}),
    Row(100, 10.25, 1e-4, 3.5, {}),
    Row(200, 20.5, 5e-5, 2.75, {2: 31.5, 4: 26.0}),
]


@pytest.fixture
def log(tmp_path: Path) -> Log:
    log = Log(tmp_path / "log.csv", (2, 4))
    log.start()
    for row in ROWS:
        log.write(row)
    return log


def test_what_is_written_can_be_read(log: Log) -> None:
    assert str(log.rows()) == str(ROWS)  # NaN differs from itself
    header, *lines = log.path.read_text().splitlines()
    assert header == "update,seconds,learning_rate,loss,psnr_x2,psnr_x4"
    assert lines[1] == "100,10.25,0.0001,3.500000,,"


def test_resuming_drops_what_will_come_again(log: Log) -> None:
    with log.path.open("a") as file:
        file.write("300,30")  # cut off
    log.resume(150)
    assert [row.update for row in log.rows()] == [0, 100]
    log.write(ROWS[2])
    assert str(log.rows()) == str(ROWS)


@pytest.mark.parametrize(
    "rest", [b"300,30.0,1e-4", b"300,30.0,1e-4,2.", b"300,\xff,1e-4,2.5,,\r\n"]
)
def test_a_line_that_was_cut_off_or_is_damaged_is_left_out(log: Log, rest: bytes) -> None:
    with log.path.open("ab") as file:
        file.write(rest)
    assert [row.update for row in log.rows()] == [0, 100, 200]


def test_a_file_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"log\.csv: it cannot be written"):
        Log(tmp_path / "gone" / "log.csv", (2,)).write(ROWS[1])


@pytest.mark.usefixtures("plots")
def test_the_plot_is_a_picture(log: Log, tmp_path: Path) -> None:
    assert plot(log, tmp_path / "plot.png")
    image = Image.open(tmp_path / "plot.png").convert("RGB")
    assert image.width > 500
    assert len(image.getcolors(1 << 20) or []) > 10


@pytest.mark.usefixtures("plots")
def test_an_empty_record_can_be_plotted(tmp_path: Path) -> None:
    assert plot(Log(tmp_path / "none.csv", (2,)), tmp_path / "plot.png")

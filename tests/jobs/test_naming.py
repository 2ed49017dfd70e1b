import os
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edsr_cli.errors import UsageError
from edsr_cli.jobs.naming import STREAM, assign_outputs
from tests.jobs.nearest import by_factor

posix = pytest.mark.skipif(os.name == "nt", reason="about names and links of POSIX")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Work in an empty folder, so that names may be relative."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def outputs(inputs, output=None, scale=4, form=None):
    tasks = assign_outputs(inputs, output, by_factor(scale), form)
    assert [task.source_name for task in tasks] == [
        name if name == STREAM else str(Path(name)) for name in inputs
    ]
    return [(task.destination_name, task.output_format.name) for task in tasks]


def refused(inputs, output=None, form=None):
    with pytest.raises(UsageError) as caught:
        assign_outputs(inputs, output, by_factor(), form)
    text = str(caught.value)
    assert text.endswith(".") or text.endswith(os.sep)
    return text


@pytest.mark.parametrize(
    ("inputs", "output", "form", "wanted"),
    [
        # Beside the input.
        (["a.jpg"], None, None, [("a_x4.png", "PNG")]),
        (["deep/er/a.jpg"], None, None, [("deep/er/a_x4.png", "PNG")]),
        (["/root/a.b.jpg"], None, None, [("/root/a.b_x4.png", "PNG")]),
        (["a.jpg"], None, "jpeg", [("a_x4.jpg", "JPEG")]),
        (["a.jpg"], None, ".TIF", [("a_x4.tif", "TIFF")]),
        (["a"], None, "tiff", [("a_x4.tif", "TIFF")]),
        ([".hidden"], None, None, [(".hidden_x4.png", "PNG")]),
        (["a.png", "sub/a.png"], None, "webp", [("a_x4.webp", "WebP"), ("sub/a_x4.webp", "WebP")]),
        # A file.
        (["a.png"], "b.png", None, [("b.png", "PNG")]),
        (["a.png"], "b.JPEG", None, [("b.JPEG", "JPEG")]),
        (["a.png"], "b.tiff", "tif", [("b.tiff", "TIFF")]),
        (["a.png"], "b.jpg", "jpeg", [("b.jpg", "JPEG")]),
        (["a.png"], "b.weird", "avif", [("b.weird", "AVIF")]),
        (["a.png"], "new/b.bmp", None, [("new/b.bmp", "BMP")]),
        ([STREAM], "b.png", None, [("b.png", "PNG")]),
        # A folder: it is one, ends in a separator, has no suffix, or there are several inputs.
        (["a.png"], "there", None, [("there/a_x4.png", "PNG")]),
        (["a.png"], "there.d", None, [("there.d/a_x4.png", "PNG")]),
        (["a.png"], "new.d/", "bmp", [("new.d/a_x4.bmp", "BMP")]),
        (["a.png"], "new", None, [("new/a_x4.png", "PNG")]),
        (["x/a.png", "y/b.png"], "new", None, [("new/a_x4.png", "PNG"), ("new/b_x4.png", "PNG")]),
        (["a.png", STREAM], "new", None, [("new/a_x4.png", "PNG"), ("new/stdin_x4.png", "PNG")]),
        ([STREAM], "there", "jpg", [("there/stdin_x4.jpg", "JPEG")]),
        (["a.png"], "", None, [("a_x4.png", "PNG")]),
        # Pictures that differ in their ending alone keep it.
        (["x.png", "x.jpg"], None, None, [("x.png_x4.png", "PNG"), ("x.jpg_x4.png", "PNG")]),
        (["a.png", "x.png", "sub/x.jpg", "x.gif"], None, "webp",
         [("a_x4.webp", "WebP"), ("x.png_x4.webp", "WebP"), ("sub/x_x4.webp", "WebP"),
          ("x.gif_x4.webp", "WebP")]),
        (["x.png", "sub/x.jpg"], "new", None,
         [("new/x.png_x4.png", "PNG"), ("new/x.jpg_x4.png", "PNG")]),
        # Standard output.
        ([STREAM], None, None, [(STREAM, "PNG")]),
        ([STREAM], STREAM, "webp", [(STREAM, "WebP")]),
        (["a.png"], STREAM, "jpeg", [(STREAM, "JPEG")]),
        # Names of all kinds.
        (["Grüße 写真.png"], None, None, [("Grüße 写真_x4.png", "PNG")]),
        (["two\nlines.png"], None, None, [("two\nlines_x4.png", "PNG")]),
        (["not \udcff UTF-8.png"], None, None, [("not \udcff UTF-8_x4.png", "PNG")]),
        (["-dash.png"], None, None, [("-dash_x4.png", "PNG")]),
    ],
)  # fmt: skip
def test_where_outputs_go(folder, inputs, output, form, wanted):
    (folder / "there").mkdir()
    (folder / "there.d").mkdir()
    assert outputs(inputs, output, form=form) == [
        (name if name == STREAM else str(Path(name)), kind) for name, kind in wanted
    ]
    # Nothing was read or written.
    assert sorted(path.name for path in folder.rglob("*")) == ["there", "there.d"]


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_the_scale_is_part_of_the_name(scale):
    assert outputs(["a.png"], scale=scale) == [(f"a_x{scale}.png", "PNG")]


@pytest.mark.parametrize(
    ("inputs", "output", "form", "words"),
    [
        (["a.png", "a.png"], None, None, ["a.png and a.png", "a_x4.png"]),
        (["a.png", "./a.png"], None, None, ["both", "a_x4.png"]),
        (["a.png", "a.jpg", "./a.png"], None, None, ["a.png and a.png", "both", "a.png_x4.png"]),
        (["a.png", "a.jpg", "a.jpg_x4.png"], None, None, ["a.jpg_x4.png is an input"]),
        (["x/a.png", "y/a.png"], "new", None, ["x/a.png and y/a.png", "new/a_x4.png"]),
        ([STREAM, STREAM], "new", None, ["stdin_x4.png"]),
        ([STREAM, "stdin.jpg"], "new", None, ["stdin_x4.png"]),
        (["a.png"], "a.png", None, ["a.png is an input"]),
        (["sub/../a.png"], "./a.png", None, ["a.png is an input"]),
        (["a_x4.png", "a.png"], None, None, ["a_x4.png is an input"]),
        (["a.png", "b.png"], "out.png", None, ["2 pictures", "out.png", "out.png/"]),
        (["a.png", "b.png"], "file", None, ["file is a file"]),
        (["a.png", "b.png"], "file.png", None, ["file.png is a file"]),
        (["a.png", "b.png"], STREAM, None, ["Standard output", "one picture, not 2"]),
        (["a.png", STREAM], None, None, ["Standard output", "not 2"]),
        (["a.png"], "b.pcx", None, ["b.pcx", ".pcx", ".png"]),
        (["a.png"], "file", None, ["file", "without ending"]),
        (["a.png"], "b.png", "jpeg", ["b.png", "JPEG", ".jpg"]),
        (["a.png"], None, "pcx", ["'pcx'", ".png"]),
        (["a.png"], None, "", ["format"]),
        ([STREAM], None, "x\ny", [r"x\\ny"]),
        (["a.png", "b.png"], "o\nt.png", None, [r"o\nt.png"]),
        (["x\n/a.png", "y/a.png"], "new\n", None, [r"x\n/a.png and y/a.png", r"new\n/a_x4.png"]),
        (["a\n.png"], "a\n.png", None, [r"a\n.png is an input"]),
    ],
)  # fmt: skip
def test_what_is_refused(folder, inputs, output, form, words):
    (folder / "file").touch()
    (folder / "file.png").touch()
    text = refused(inputs, output, form)
    assert all(str(Path(word)) if "/" in word[:-1] else word in text for word in words), text


@posix
def test_links_to_one_file(folder):
    (folder / "a.png").touch()
    (folder / "link.png").symlink_to("a.png")
    (folder / "sub").symlink_to(".")
    assert "is an input" in refused(["a.png"], "link.png")
    assert "is an input" in refused(["link.png"], "a.png")
    assert "would both be written" in refused(["a.png", "sub/a.png"])
    # Two names beside each other have two outputs, whatever they lead to.
    assert outputs(["a.png", "link.png"]) == [("a_x4.png", "PNG"), ("link_x4.png", "PNG")]
    # A link that leads nowhere is no folder.
    (folder / "nowhere").symlink_to("missing")
    assert "nowhere" in refused(["a.png"], "nowhere")


@posix
def test_names_that_no_file_can_have(folder):
    long = "x" * 5000
    assert outputs([long], None) == [(f"{long}_x4.png", "PNG")]
    assert outputs(["a.png"], long) == [(f"{long}/a_x4.png", "PNG")]
    assert outputs(["a.png"], f"{long}.png") == [(f"{long}.png", "PNG")]
    (folder / "loop").symlink_to("loop")
    assert outputs(["loop/a.png", "b.png"]) == [("loop/a_x4.png", "PNG"), ("b_x4.png", "PNG")]
    assert outputs(["a.png"], "loop/b.png") == [("loop/b.png", "PNG")]
    (folder / "file").touch()
    assert outputs(["a.png"], "file/b.png") == [("file/b.png", "PNG")]


def test_on_macos_names_that_differ_in_case_or_normal_form_are_one(monkeypatch):
    names = ["Ä.png", unicodedata.normalize("NFD", "ä.png")]
    if os.name != "nt":
        monkeypatch.setattr("sys.platform", "linux")
        assert len(outputs(names)) == 2
    monkeypatch.setattr("sys.platform", "darwin")
    assert "would both be written" in refused(names)


NAMES = st.sampled_from([
    "a.png", "a.jpg", "b.png", "x/a.png", "x/../a.png", "./b.png", "a_x4.png", "b", "ü\n.tif", ".a",
    STREAM,
])  # fmt: skip
OUTPUTS = st.sampled_from([None, "a.png", "new", "new/", "x", "x/c.jpg", "c.webp", "c.pcx", STREAM])


@given(st.lists(NAMES, min_size=1, max_size=4), OUTPUTS, st.sampled_from([None, "png", "JPG", "x"]))
def test_outputs_never_meet(folder, inputs, output, form):
    (folder / "x").mkdir(exist_ok=True)
    try:
        tasks = assign_outputs(inputs, output, by_factor(2), form)
    except UsageError as error:
        assert error.message
        return
    assert len(tasks) == len(inputs)
    written = [task.destination.resolve() for task in tasks if task.destination]
    read = {task.source.resolve() for task in tasks if task.source}
    assert len(set(written)) == len(written)
    assert not read & set(written)
    assert len(written) == len(tasks) or len(tasks) == 1
    for task in tasks:
        if form is not None:
            assert task.output_format.name == {"png": "PNG", "JPG": "JPEG"}[form]
        if task.destination is not None and task.destination.suffix != ".pcx":
            assert task.destination.suffix in task.output_format.suffixes

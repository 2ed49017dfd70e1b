"""What becomes of everything that files say, in every format: kept, made true, or remarked on."""

import functools
import html
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace

from edsr_cli.errors import PictureError
from edsr_cli.images import FORMATS, OutputFormat, decode, write_picture
from edsr_cli.images.outputs import JXL
from edsr_cli.images.provenance import provenance
from tests.conftest import REPOSITORY
from tests.images import rich
from tests.images.rich import SCALE, Fact, Rich

PICTURES = rich.pictures()
PAGE = REPOSITORY / "docs" / "colour-and-metadata.md"
BEGIN, END = "<!-- metadata-table -->\n", "<!-- /metadata-table -->"
RECORD = provenance("test-model", SCALE, 0.5)


def upscaled(picture: Rich, output: OutputFormat, folder: Path) -> tuple[Path, tuple[str, ...]]:
    """The picture enlarged, without a network, and written; and all remarks."""
    source = folder / picture.name
    source.write_bytes(picture.data)
    read = decode(source)
    pixels = np.repeat(np.repeat(read.pixels, SCALE, 0), SCALE, 1)
    path = folder / f"{picture.name}{output.suffixes[0]}"
    metadata = replace(read.metadata, software=RECORD)
    return path, read.notes + write_picture(path, pixels, output, metadata, overwrite=True)


@functools.cache
def all_outputs(folder: Path) -> dict[tuple[str, str], tuple[Path, tuple[str, ...]]]:
    return {
        (picture.name, output.name): upscaled(picture, output, folder)
        for picture in PICTURES
        for output in FORMATS
    }


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return all_outputs(tmp_path_factory.mktemp("rich"))


def everything(path: Path) -> bytes:
    """The bytes of a file, and what is compressed, split or encoded in it, as text."""
    read = decode(path)
    found = read.metadata
    parts = [path.read_bytes(), found.exif or b"", found.iptc or b"", found.icc_profile or b""]
    parts += [f"{text.keyword}: {text.value}".encode() for text in found.texts]
    parts.append(html.unescape((found.xmp or b"").decode()).encode())
    for encoding in ("utf-16-le", "utf-16-be"):  # of user comments, at even and odd offsets
        for start in (0, 1):
            parts.append((found.exif or b"")[start:].decode(encoding, "ignore").encode())
    if found.dpi:
        parts.append("dpi {:.0f} x {:.0f}".format(*found.dpi).encode())
    return b"\n".join(parts)


def outcome(fact: Fact, output: OutputFormat, content: bytes, notes: tuple[str, ...]) -> str:
    """What became of a fact; "LOST" is what must not be."""

    def has(value: str | bytes) -> bool:
        return (value.encode() if isinstance(value, str) else value) in content

    if fact.scaled is not None and has(fact.scaled):
        return "made true"
    if fact.scaled is None and has(fact.value):
        return "kept" if not fact.silent else "LOST"  # it should be gone
    whole = f"{output.name} cannot hold the "  # so begins what is said of a kind of metadata
    words = fact.gone or whole
    if any(words in note or whole in note for note in notes):
        return "remark"
    if fact.label == "resolution":
        return "-" if "resolution" not in output.keeps else "LOST"
    return "-" if fact.silent else "LOST"


def rows(outputs: Any) -> dict[str, dict[str, set[str]]]:
    table: dict[str, dict[str, set[str]]] = {}
    lost = []
    for picture in PICTURES:
        for output in FORMATS:
            path, notes = outputs[picture.name, output.name]
            content = everything(path)
            for fact in picture.facts:
                cell = table.setdefault(fact.label, {}).setdefault(output.name, set())
                result = outcome(fact, output, content, notes)
                cell.add(result)
                if result == "LOST":
                    lost.append((picture.name, output.name, fact, notes))
    assert lost == []
    return table


def test_nothing_is_lost_in_silence(outputs: Any) -> None:
    """Every fact of every picture, in every format; the page shows what became of it."""
    assert len(PICTURES) >= 30
    lines = ["| | " + " | ".join(output.name for output in FORMATS) + " |"]
    lines.append("|---" * (len(FORMATS) + 1) + "|")
    for label, cells in sorted(rows(outputs).items()):
        words = [" or ".join(sorted(cells[output.name])) for output in FORMATS]
        lines.append(f"| {label} | " + " | ".join(words) + " |")
    made = "\n".join(lines) + "\n"
    if JXL not in FORMATS:
        pytest.skip("JPEG XL, which the page has a column for, is not installed")
    page = PAGE.read_text(encoding="utf-8")
    written = page[page.index(BEGIN) + len(BEGIN) : page.index(END)]
    assert written == made, made


@pytest.mark.parametrize("output", FORMATS, ids=lambda output: output.name)
def test_every_output_names_what_made_it(output: OutputFormat, outputs: Any) -> None:
    for picture in PICTURES:
        path, _ = outputs[picture.name, output.name]
        assert (RECORD.encode() in path.read_bytes()) == output.names_its_maker, picture.name


def test_results_are_always_the_same(outputs: Any, tmp_path: Path) -> None:
    for picture in PICTURES[::7]:
        for output in FORMATS:
            again, notes = upscaled(picture, output, tmp_path)
            first, expected = outputs[picture.name, output.name]
            assert again.read_bytes() == first.read_bytes() and notes == expected


@pytest.mark.parametrize("output", FORMATS, ids=lambda output: output.name)
def test_a_second_time_nothing_more_is_lost(output: OutputFormat, outputs: Any) -> None:
    """What is in an output comes through again; maker notes of a TIFF are the exception."""
    for picture in PICTURES:
        path, _ = outputs[picture.name, output.name]
        read = decode(path)
        assert not [note for note in read.notes if "maker notes" not in note], picture.name


def damaged(data: bytes) -> Iterator[bytes]:
    random = np.random.default_rng(len(data))
    for _ in range(6):
        changed = bytearray(data)
        for place in random.integers(2, len(data), 1 + int(random.integers(12))):
            changed[place] = int(random.integers(256))
        yield bytes(changed[: int(random.integers(len(data) // 2, len(data) + 1))])


@pytest.mark.parametrize("picture", PICTURES, ids=lambda picture: picture.name)
def test_no_damage_does_more_than_refuse(picture: Rich, tmp_path: Path) -> None:
    for number, data in enumerate(damaged(picture.data)):
        broken = Rich(picture.name, data)
        try:
            upscaled(broken, FORMATS[number % len(FORMATS)], tmp_path)
        except PictureError:
            continue


# What exiftool calls the things that are about how a file stores its pixels, or where parts of it
# lie, which the new file says of itself; thumbnails; and the version of a library that wrote it.
STORAGE = frozenset(
    re.findall(
        r"\S+",
        """
    ImageWidth ImageHeight BitsPerSample Compression PhotometricInterpretation StripOffsets
    SamplesPerPixel RowsPerStrip StripByteCounts PlanarConfiguration SampleFormat Predictor
    ThumbnailOffset ThumbnailLength ThumbnailImage ThumbnailTIFF Orientation XMPToolkit
    HasExtendedXMP ResolutionUnit XResolution YResolution IPTCDigest BitDepth ColorType Filter
    Interlace GIFVersion HasColorMap ColorResolutionDepth BitsPerPixel BackgroundColor
    PixelAspectRatio MajorBrand MinorVersion CompatibleBrands NumberOfComponents BitsPerComponent
    ColorSpecMethod ColorSpecPrecedence ColorSpecApproximation ColorSpace NumChannels ColorMode
    PixelsPerUnitX PixelsPerUnitY PixelUnits CodedCharacterSet ApplicationRecordVersion
    DisplayedUnitsX DisplayedUnitsY WebP_Flags AlphaPreprocessing Filtering RunLengthEncoding
    PrimaryItemReference Thumbnails InstanceID Format VideoFullRangeFlag ImageSpatialExtent
    ImagePixelDepth AV1ConfigurationVersion
    """,
    )
)
IGNORED_GROUPS = ("SourceFile", "ExifTool", "System", "File", "Composite", "JFIF", "IFD1",
                  "ICC-header", "ICC-chad", "Meta", "QuickTime", "ItemInfo")  # fmt: skip


def exiftool(paths: list[Path]) -> dict[str, dict[str, Any]]:
    run = subprocess.run(
        ["exiftool", "-json", "-b", "-a", "-u", "-n",
         "-G1", "-charset", "filename=utf8", "-@", "-"],
        input="\n".join(map(str, paths)), capture_output=True, text=True, encoding="utf-8",
        timeout=600,
    )  # fmt: skip
    return {item["SourceFile"]: item for item in json.loads(run.stdout)}


def tags(item: dict[str, Any]) -> dict[str, Any]:
    return {
        name: value for name, value in item.items()
        if name == "File:Comment" or (":" in name and name.split(":")[0] not in IGNORED_GROUPS)
    }  # fmt: skip


def test_exiftool_finds_again_what_was_there(outputs: Any) -> None:
    """By an independent reader: what is neither kept nor storage has a remark; no new warnings."""
    if shutil.which("exiftool") is None:
        pytest.skip("exiftool is not installed")
    folder = next(iter(outputs.values()))[0].parent
    sources = {picture.name: folder / picture.name for picture in PICTURES}
    seen = exiftool([*sources.values(), *(path for path, _ in outputs.values())])
    silent, warned, count = [], [], 0
    with_exif = {output.name for output in FORMATS if "EXIF data" in output.keeps}
    for (name, form), (path, notes) in outputs.items():
        before, after = tags(seen[str(sources[name])]), tags(seen[str(path)])
        names = {key.split(":")[1] for key in after}
        values = json.dumps(list(after.values()), ensure_ascii=False)
        count += len(before)
        for key, value in before.items():
            short = key.split(":")[1]
            said = json.dumps(value, ensure_ascii=False).strip('"[]{}')
            if form == "JXL" and key.startswith("ICC"):  # it is inside of what is compressed
                continue
            if short in names or short in STORAGE or said in values or str(value) in values:
                continue
            if isinstance(value, list) and all(str(part) in values for part in value):
                continue
            if not notes:
                silent.append((name, form, key, value))
        warning = seen[str(path)].get("ExifTool:Warning")
        if warning and warning != seen[str(sources[name])].get("ExifTool:Warning"):
            warned.append((name, form, warning))
        if form in with_exif and "Canon:OwnerName" in before:
            assert after["Canon:OwnerName"] == "Owner-behind-an-offset", (name, form)
        if "ExifIFD:ExifImageWidth" in after:
            height, width = decode(path).pixels.shape[:2]
            assert after["ExifIFD:ExifImageWidth"] == width, (name, form)
            assert after["ExifIFD:ExifImageHeight"] == height, (name, form)
    assert silent == [] and warned == []
    assert count > 1000

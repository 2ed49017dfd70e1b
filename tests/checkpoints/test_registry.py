import subprocess
import sys

import pytest

from edsr_cli.checkpoints import layouts, registry
from edsr_cli.checkpoints.registry import bundled_file
from edsr_cli.errors import WeightsError
from edsr_cli.model.config import edsr_baseline

DOWNLOADABLE = """
[[model]]
name = "other"
scales = [2, 3, 4]
architecture = "mdsr"
blocks = 32
features = 64
residual_scale = 0.1
value_range = 1.0
mean_shift = false
licence = "none stated"
origin = "Somebody"
unverified = ["that it is any good"]
psnr = [{ dataset = "DIV2K", scale = 2, channel = "RGB", published = 34.63, source = "README" }]

[[model.sources]]
kind = "huggingface"
layout = "official"
repo = "owner/name"
revision = "0123456789012345678901234567890123456789"
file = "a.pt"
size = 12
sha256_prefix = "a00cab12"

[[model.sources]]
kind = "url"
layout = "official"
url = "https://example.org/b.pt"
git_blob = "b72194e19148695edfcd2c32e79cbb6be61bb07d"
"""


@pytest.fixture
def read(tmp_path):
    def read_text(text: str):
        path = tmp_path / "registry.toml"
        path.write_text(text, encoding="utf-8")
        return registry.read_registry(path)

    return read_text


def test_the_bundled_models_are_listed():
    assert registry.names()[0] == registry.DEFAULT_MODEL == "edsr-free"
    assert registry.scales("edsr-free") == (2, 3, 4)
    assert registry.DEFAULT_SCALE in registry.scales(registry.DEFAULT_MODEL)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_a_bundled_row_describes_the_file_that_is_there(scale):
    row = registry.find("edsr-free", scale)
    assert row.config == edsr_baseline(scale)
    assert (row.licence, row.value_range, row.mean_shift) == ("CC0-1.0", 255.0, True)
    source = row.bundled
    assert source is not None
    assert source.layout == layouts.CANONICAL
    assert bundled_file(source.file, source.size, source.sha256).name == source.file
    assert {each.dataset for each in row.psnr} == {"Set5", "Set14"}
    assert all(each.scale == scale and each.measured for each in row.psnr)


def test_what_restores_a_model_is_the_same_network_with_other_weights():
    restored = [row for row in registry.rows() if row.restored_by]
    assert {row.name for row in restored} == {"edsr-free"}
    for row in restored:
        assert row.restored_by in registry.names() and row.restored_by != row.name
        for scale in set(row.scales) & set(registry.scales(row.restored_by)):
            other = registry.find(row.restored_by, scale)
            assert (other.config, other.value_range) == (row.config, row.value_range)
            assert other.bundled is not None and not other.restored_by


def test_an_unknown_model_or_scale_lists_the_alternatives():
    with pytest.raises(
        WeightsError,
        match=r"no model 'esdr'\. Did you mean edsr\? Models: edsr-free, edsr-photo, m",
    ):
        registry.find("esdr", 4)
    with pytest.raises(WeightsError, match=r"'edsr-free' has no scale x8\. It has x2, x3, x4\."):
        registry.find("edsr-free", 8)


def test_models_are_listed_without_importing_torch(repository):
    program = (
        "import sys; from edsr_cli.checkpoints import registry; print(registry.names()[0]);"
        "sys.exit('torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=repository, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (0, "edsr-free\n"), done.stderr


def test_a_row_can_name_downloads_in_order(read):
    (row,) = read(DOWNLOADABLE)
    assert row.bundled is None
    assert [source.kind for source in row.sources] == ["huggingface", "url"]
    assert row.sources[0].sha256_prefix == "a00cab12"
    assert row.sources[1].size is None
    assert row.licence == registry.NONE_STATED
    assert row.config.residual_scale == 0.1
    assert row.psnr == (registry.Psnr("DIV2K", 2, "RGB", published=34.63, source="README"),)
    assert row.unverified == ("that it is any good",)
    assert row.label == "other x2 x3 x4"
    assert row.size == 12


def test_a_source_says_whether_it_can_be_checked(read):
    hub, url = read(DOWNLOADABLE)[0].sources
    assert hub.place == f"hf://owner/name@{hub.revision}/a.pt"
    assert (hub.host, url.host) == ("huggingface.co/owner/name", "example.org")
    assert hub.has_digest and url.has_digest
    without = DOWNLOADABLE.replace('sha256_prefix = "a00cab12"', "")
    without = without.replace('git_blob = "b72194e19148695edfcd2c32e79cbb6be61bb07d"', "")
    hub, url = read(without)[0].sources
    assert (hub.has_digest, hub.can_be_checked) == (False, True)
    assert (url.has_digest, url.can_be_checked) == (False, False)
    (hub, _) = read(without.replace(hub.revision, "main"))[0].sources
    assert not hub.can_be_checked


def test_rows_are_chosen_by_name_and_scale():
    chosen = registry.select(["mdsr", "edsr-free", "mdsr"])
    assert [row.label for row in chosen] == [
        "edsr-free x2",
        "edsr-free x3",
        "edsr-free x4",
        "mdsr x2 x3 x4",
    ]
    assert [row.label for row in registry.select(["edsr"], 3)] == ["edsr x3"]
    with pytest.raises(WeightsError, match="no model 'other'"):
        registry.select(["edsr", "other"])


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('name = "other"', "", "name"),
        ("blocks = 32", "bloks = 32", "bloks"),
        (
            'kind = "url"',
            'kind = "ftp"',
            "kind must be one of bundled, huggingface, url, not 'ftp'",
        ),
        ('kind = "url"', 'kind = "bundled"', "'file'"),
        ('repo = "owner/name"', "", "'repo'"),
        ('"a00cab12"', '"a00cab1"', "sha256_prefix must be 8"),
        ('"a00cab12"', '"A00CAB12"', "sha256_prefix must be 8"),
        ('kind = "huggingface"', 'kind = "bundled"', "'size' and 'sha256'"),
        ("scales = [2, 3, 4]", "scales = 2", "model 1"),
        ("https://", "http://", "url must start with https://"),
        ("0123456789", "v1", "revision must be 40"),
        (', source = "README"', "", "needs its 'source'"),
        ('channel = "RGB"', 'channel = "B"', "channel must be"),
        ("value_range = 1.0", "value_range = 2.0", "value_range must be"),
        ("mean_shift", "tensors_sha256 = '1'\nmean_shift", "tensors_sha256 must be 64"),
    ],
)
def test_a_row_that_makes_no_sense_is_refused(read, old, new, message):
    assert old in DOWNLOADABLE
    with pytest.raises(WeightsError, match=message) as caught:
        read(DOWNLOADABLE.replace(old, new, 1))
    assert "registry.toml: model 1 is wrong" in caught.value.message


@pytest.mark.parametrize("text", ["", "[[model", "other = 1"])
def test_a_file_that_is_no_registry_is_refused(read, text):
    with pytest.raises(WeightsError, match=r"registry\.toml: it is not a registry"):
        read(text)


def test_a_missing_registry_is_refused(tmp_path):
    with pytest.raises(WeightsError, match="cannot be read: No such file"):
        registry.read_registry(tmp_path / "none.toml")

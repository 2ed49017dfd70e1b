"""What the registry says about published models, against what is known of them."""

import re

import pytest

from edsr_cli.checkpoints import layouts, registry

OFFICIAL = ("edsr-baseline", "edsr", "mdsr-baseline", "mdsr")
OTHERS = ("super-image-edsr-base", "super-image-edsr", "super-image-mdsr", "mmagic-edsr")
ROWS = [row for row in registry.rows() if row.bundled is None]

each_row = pytest.mark.parametrize("row", ROWS, ids=lambda row: row.label.replace(" ", "-"))


def test_every_published_model_is_listed_at_every_scale():
    assert registry.names() == ("edsr-free", "edsr-photo", "mdsr-free", *OFFICIAL, *OTHERS)
    assert all(registry.scales(name) == (2, 3, 4) for name in registry.names())


@each_row
def test_the_number_of_parameters_is_that_of_the_network(row):
    total = 0
    for key, shape in row.config.shapes():
        if not key.startswith(("sub_mean.", "add_mean.")):
            size = 1
            for length in shape:
                size *= length
            total += size
    assert row.parameters == total


@pytest.mark.parametrize(
    ("name", "millions"),  # EDSR-PyTorch README; super-image's by its classes
    [
        ("edsr-baseline", (1.37, 1.55, 1.52)),
        ("edsr", (40.73, 43.68, 43.09)),
        ("mdsr-baseline", (3.23, 3.23, 3.23)),
        ("mdsr", (7.95, 7.95, 7.95)),
        ("super-image-mdsr", (2.70, 2.88, 2.85)),
    ],
)
def test_published_numbers_of_parameters(name, millions):
    found = tuple(round(registry.find(name, scale).parameters / 1e6, 2) for scale in (2, 3, 4))
    assert found == millions


@each_row
def test_value_range_mean_and_residual_scale(row):
    expected = {
        "edsr": (255.0, True, 0.1),
        "super-image-edsr-base": (1.0, False, 1.0),
        "super-image-edsr": (1.0, False, 1.0),
        "super-image-mdsr": (1.0, False, 0.1),
        "mmagic-edsr": (1.0, True, 1.0),
    }.get(row.name, (255.0, True, 1.0))
    assert (row.value_range, row.mean_shift, row.residual_scale) == expected


@each_row
def test_rows_agree_with_what_the_layouts_are_known_to_need(row):
    for source in row.sources:
        layout = layouts.find(source.layout)
        assert (layout.value_range, layout.mean_shift) == (row.value_range, row.mean_shift)
        assert layout.residual_scale in (None, row.residual_scale)


@each_row
def test_sizes_are_those_of_the_tensors_and_a_little_more(row):
    for source in row.sources:
        size = source.size or source.size_about
        assert size is None or 0.99 < size / (4 * row.parameters) < 1.03


@each_row
def test_licences_are_claimed_by_the_publisher_only(row):
    assert row.licence == ("Apache-2.0" if row.name.startswith("super-image") else "none stated")


@each_row
def test_every_row_has_published_psnr_with_its_source(row):
    assert {each.scale for each in row.psnr} == set(row.scales)
    assert all(each.published and each.source and each.measured is None for each in row.psnr)


@each_row
def test_every_address_is_pinned_or_checked_or_marked(row):
    for source in row.sources:
        if not source.can_be_checked:
            assert any("digest" in each for each in source.unverified)
        elif not source.has_digest:
            assert re.fullmatch("[0-9a-f]{40}", source.revision)


def test_what_cannot_be_checked_is_torchsr_and_one_file_of_super_image():
    left = {(row.label, source.host) for row in ROWS for source in row.sources
            if not source.can_be_checked}  # fmt: skip
    torchsr = {f"{name} x{scale}" for name in ("edsr", "edsr-baseline") for scale in (2, 3, 4)}
    assert {label for label, host in left if host == "github.com/Coloquinte/torchSR"} == torchsr
    assert {each for each in left if "github" not in each[1]} == {
        ("super-image-mdsr x4", "huggingface.co/eugenesiow/mdsr")
    }


def test_separately_trained_networks_share_no_source():
    places = [(source.place, row.label) for row in ROWS for source in row.sources]
    assert len({place for place, _ in places}) == len(places)
    for place, label in places:
        assert ("eugenesiow" in place) == label.startswith("super-image")
        assert ("openmmlab" in place) == label.startswith("mmagic")


@pytest.mark.parametrize("prefix", ["1bc95232", "ea3ef2c6", "a00cab12", "4a78bedf", "3c2af8a3"])
def test_a_prefix_is_the_one_in_the_files_name(prefix):
    (source,) = (each for row in ROWS for each in row.sources if each.sha256_prefix == prefix)
    assert re.search(r"-([0-9a-f]{8})\.pth?$", source.url)[1] == prefix

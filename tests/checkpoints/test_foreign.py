"""Files and networks of other kinds are refused, and the message says what they are."""

import io
import tarfile
import zipfile

import numpy as np
import pytest
import torch

from edsr_cli.checkpoints.files import foreign_format, foreign_network
from edsr_cli.checkpoints.loader import load_network
from edsr_cli.errors import ExitCode, WeightsError
from tests.checkpoints.published import EDSR_FILES, OfficialMdsr, SuperImageMdsr


def tar_archive():
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("EDSR_x2.pt"))
    return content.getvalue()


def zip_archive(*names):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name in names:
            archive.writestr(name, "something")
    return content.getvalue()


def numpy_file(save):
    content = io.BytesIO()
    save(content, np.zeros(3))
    return content.getvalue()


FORMATS = {
    "weights.h5": (b"\x89HDF\r\n\x1a\n" + bytes(100), "an HDF5 file"),
    "EDSR_x4.pb": (b"\x0a\x2e\x0a\x05input\x12\x0bPlaceholder" + bytes(100), "a TensorFlow graph"),
    "edsr.onnx": (b"\x08\x07\x12\x07pytorch\x1a\x031.9" + bytes(100), "an ONNX model"),
    "EDSR_x2.t7": (b"\x04\0\0\0\x01\0\0\0\x03\0\0\0V 1\x0d\0\0\0nn.Sequential", "a Torch7 file"),
    "table.t7": (b"\x03\0\0\0\x01\0\0\0" + bytes(100), "a Torch7 file"),
    "ascii.t7": (b"4\n1\n3\nV 1\n13\nnn.Sequential\n", "a Torch7 file"),
    "edsr.tflite": (b"\x1c\0\0\0TFL3" + bytes(100), "a TensorFlow Lite model"),
    "model_pytorch.tar": (tar_archive(), "a tar archive: unpack"),
    "weights.tar.gz": (b"\x1f\x8b\x08" + bytes(100), "a gzip archive: unpack"),
    "weights.zip": (zip_archive("EDSR_x2.pt"), "a zip archive, but not of PyTorch: unpack"),
    "edsr.keras": (zip_archive("config.json", "model.weights.h5"), "a Keras model"),
    "weights.npz": (numpy_file(lambda file, a: np.savez(file, a=a)), "an archive of NumPy arrays"),
    "weights.npy": (numpy_file(np.save), "a NumPy array"),
    "edsr.pt": (
        zip_archive("m/data.pkl", "m/constants.pkl", "m/code/m.py"),
        "a TorchScript program",
    ),
    "page.pth": (b"<!DOCTYPE html><title>404</title>", "a web page"),
    "pointer.pth": (b"version https://git-lfs.github.com/spec/v1\n", "a Git LFS pointer"),
}


@pytest.mark.parametrize("name", FORMATS)
def test_another_format_is_named(name, tmp_path):
    content, kind = FORMATS[name]
    # What counts is what is in a file: it is also known under another name.
    for path in (tmp_path / name, tmp_path / "weights.pth", tmp_path / "download"):
        path.write_bytes(content)
        with pytest.raises(WeightsError) as caught:
            load_network(path)
        assert caught.value.message.startswith(f"{path}: it is {kind}")
        assert caught.value.exit_code == ExitCode.WEIGHTS
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("legacy", [True, False])
def test_files_of_pytorch_are_not_taken_for_another_format(tmp_path, legacy):
    path = tmp_path / "weights"
    torch.save({"a": torch.zeros(3)}, path, _use_new_zipfile_serialization=not legacy)
    assert foreign_format(path.read_bytes()[:512]) == ""


BLOCK = "body.0.body.0"
NETWORKS = {
    "MDSR with attention": ["head.0.0.weight", "body.0.attention.ca.fc1.weight"],
    "RCAN": ["head.0.weight", f"{BLOCK}.body.0.weight", f"{BLOCK}.body.3.conv_du.0.weight"],
    "RCAN ": ["conv_first.weight", "body.0.residual_group.0.rcab.0.weight"],
    "SRResNet": ["conv_first.weight", "body.0.conv1.weight", "upconv1.weight", "conv_hr.weight"],
    "SRResNet ": ["generator.body.0.conv1.weight", "generator.upsample1.upsample_conv.weight"],
    "ESRGAN": ["conv_first.weight", "body.0.rdb1.conv1.weight"],
    "ESRGAN ": ["model.0.weight", "model.1.sub.0.RDB1.conv1.0.weight"],
    "SwinIR": ["layers.0.residual_group.blocks.0.attn.relative_position_bias_table"],
    "the compact network of Real-ESRGAN": ["body.0.weight", "body.0.bias", "body.1.weight"],
    "LIIF": ["encoder.head.0.weight", "encoder.body.0.body.0.weight", "imnet.layers.0.weight"],
    "RDN": ["SFENet1.weight", "RDBs.0.convs.0.conv.0.weight"],
    "HAN": ["head.0.weight", f"{BLOCK}.body.0.weight", "csa.gamma"],
    "a network with batch normalisation": ["head.0.weight", "body.0.body.1.running_mean"],
    "a network with weight normalisation": ["head.0.weight_g", "head.0.weight_v"],
}


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("prefix", ["", "module."])
def test_another_network_is_named(name, prefix, tmp_path):
    path = tmp_path / "weights.pth"
    torch.save({"params": {prefix + key: torch.zeros(1) for key in NETWORKS[name]}}, path)
    with pytest.raises(WeightsError, match=r"Only EDSR and MDSR can be used\.") as caught:
        load_network(path)
    assert caught.value.message.startswith(f"{path}: it holds {name.strip()}")


def test_edsr_and_mdsr_are_not_taken_for_another_network():
    networks = [kind.network(4, 2, 4, 1.0) for kind in EDSR_FILES.values()]
    for network in [*networks, OfficialMdsr((2, 3, 4), 2, 4), SuperImageMdsr(3, 2, 4)]:
        assert foreign_network(network.state_dict()) == ""
    assert foreign_network({}) == ""

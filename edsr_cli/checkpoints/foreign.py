"""Files and networks of other kinds, recognised so that a message can say what they are."""

import re
from collections.abc import Collection, Iterable

# (regular expression for the start of such a file, what it is)
_STARTS = (
    (rb"\x89HDF\r\n\x1a\n", "an HDF5 file, as Keras writes them"),
    (rb"\x1f\x8b", "a gzip archive: unpack it first"),
    (rb"7z\xbc\xaf\x27\x1c", "a 7-Zip archive: unpack it first"),
    (rb"Rar!", "a RAR archive: unpack it first"),
    (rb"\x93NUMPY", "a NumPy array"),
    (rb"version https://git-lfs", "a Git LFS pointer, which stands for the file: download that"),
    (rb"\s*<(!doctype html|html)", "a web page: the download went wrong"),
    # Torch7 begins with the number of a type, 3 (table) or 4 (object), and the index of the first
    # object, 1: in four bytes each, or as text.
    (rb"[\x03\x04]\0{3}\x01\0{3}|[34]\n1\n", "a Torch7 file (.t7)"),
    (rb".{4}TFL3", "a TensorFlow Lite model"),
    # Two protocol buffers: ONNX has its version and the producer's name in front, a TensorFlow
    # graph its first node, which begins with its name.
    (rb"\x08[\x01-\x7f]\x12", "an ONNX model"),
    (rb"\x0a[\x80-\xff]{0,2}[\0-\x7f]\x0a", "a TensorFlow graph (.pb), such as those of OpenCV"),
    # The oldest files of PyTorch are such archives too, and cannot be read without running code.
    (rb".{257}ustar", "a tar archive: unpack it first"),
)

# (regular expression for part of a key, the network that has such keys)
_NETWORKS = (
    (r"(^|\.)attention\.(ca|sa)\.", "MDSR with attention (BAM)"),
    (r"(^|\.)conv_du\.|(^|\.)rcab\.", "RCAN"),
    (r"(^|\.)relative_position_bias_table$", "SwinIR or another Swin transformer"),
    (r"(^|\.)(rdb|RDB)\d\.", "ESRGAN (RRDBNet)"),
    (r"(^|\.)(RDBs|SFENet1|sfe1)\.", "RDN"),
    (r"(^|\.)imnet\.", "LIIF, of which EDSR is only the encoder"),
    (r"(^|\.)csa\.gamma$|(^|\.)la\.gamma$", "HAN"),
    (r"(^|\.)(upconv1|conv_hr|HRconv)\.|(^|\.)upsample1\.", "SRResNet (MSRResNet)"),
    (r"\.running_mean$", "a network with batch normalisation, such as SRResNet"),
    (r"\.weight_g$", "a network with weight normalisation, such as WDSR"),
)


def foreign_format(start: bytes) -> str:
    """What a file is that begins with these bytes; empty if it may hold weights for PyTorch."""
    return next(
        (
            kind
            for start_of, kind in _STARTS
            if re.match(start_of, start, re.DOTALL | re.IGNORECASE)
        ),
        "",
    )


def foreign_archive(names: Collection[str]) -> str:
    """What a zip archive with these files in it is; empty if it may be one of torch.save."""
    if any(name.endswith("/data.pkl") or name == "data.pkl" for name in names):
        scripted = any(name.endswith("/constants.pkl") for name in names)
        return "a TorchScript program, not a state dict" if scripted else ""
    if any(name.endswith(".weights.h5") for name in names):
        return "a Keras model"
    if names and all(name.endswith(".npy") for name in names):
        return "an archive of NumPy arrays"
    return "a zip archive, but not of PyTorch: unpack it first"


def foreign_network(keys: Iterable[str]) -> str:
    """The network that has such keys; empty if none that is known here."""
    keys = list(keys)
    for pattern, name in _NETWORKS:
        if any(re.search(pattern, key) for key in keys):
            return name
    if keys and all(re.fullmatch(r"(module\.)?body\.\d+\.(weight|bias)", key) for key in keys):
        return "the compact network of Real-ESRGAN (SRVGGNetCompact)"
    return ""

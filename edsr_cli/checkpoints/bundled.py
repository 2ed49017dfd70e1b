"""The weight files that come with the program."""

import hashlib
from importlib import resources
from pathlib import Path

from edsr_cli.errors import WeightsError

REGISTRY_FILE = "registry.toml"
REINSTALL = "Reinstall edsr-cli."


def weights_folder() -> Path:
    """The folder of `registry.toml` and the bundled weight files.

    It is `edsr_cli/weights` in an installed wheel, and `weights` beside the package in a checkout,
    which is also where an editable install leads to.

    Raises:
        WeightsError: neither folder holds a registry: the installation is not complete.
    """
    package = Path(str(resources.files("edsr_cli")))
    # A folder counts only with its registry in it: beside an installed package, a folder called
    # `weights` would be somebody else's.
    for folder in (package / "weights", package.parent / "weights"):
        if (folder / REGISTRY_FILE).is_file():
            return folder
    raise WeightsError(
        f"The bundled weights were not found: {package / 'weights' / REGISTRY_FILE} is missing.",
        REINSTALL,
    )


def bundled_file(name: str, size: int, sha256: str) -> Path:
    """The path of a bundled file whose bytes are those that the registry states.

    The digest is taken every time: for 6 MB it costs 4 to 20 ms, where importing torch costs
    seconds.

    Args:
        name: the file's name in the weights folder.
        size: its length in bytes.
        sha256: its digest, 64 hexadecimal digits.

    Raises:
        WeightsError: the file is missing, cannot be read, or holds other bytes.
    """
    path = weights_folder() / name
    try:
        found = path.stat().st_size
        if found != size:
            raise WeightsError(f"{path} is damaged: {found} bytes, not {size}.", REINSTALL)
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise WeightsError(
            f"{path} cannot be read: {error.strerror or error}.", REINSTALL
        ) from error
    if digest != sha256:
        raise WeightsError(
            f"{path} is damaged: its sha256 digest is not the stated one.", REINSTALL
        )
    return path

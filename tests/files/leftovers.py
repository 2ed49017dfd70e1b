"""Files as killed processes leave them."""

import os
from pathlib import Path

from edsr_cli.files.temporary import create


def abandoned(folder: Path) -> Path:
    """Leave a temporary file in a folder."""
    path, descriptor = create(folder)
    os.write(descriptor, b"half")
    os.close(descriptor)
    return path

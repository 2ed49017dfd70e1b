"""Put weights in the place of the bundled ones of the same names, in a copy of the program.

    python benchmarks/gpu/adopt.py FOLDER FILE...

FOLDER has edsr_cli/ and weights/. What is trained next in there starts from the new weights.
"""

import hashlib
import re
import sys
from pathlib import Path


def adopt(folder: Path, file: Path) -> None:
    """Copy a file to the weights of a folder, and state its size and digest in the registry."""
    content = file.read_bytes()
    registry = folder / "weights" / "registry.toml"
    size, digest = len(content), hashlib.sha256(content).hexdigest()
    text, count = re.subn(
        rf'(file = "{re.escape(file.name)}"\nsize = )\d+(\nsha256 = ")[0-9a-f]+',
        rf"\g<1>{size}\g<2>{digest}",
        registry.read_text(encoding="utf-8"),
    )
    if count != 1:
        raise SystemExit(f"{registry} has {count} bundled files called {file.name}, not one.")
    (folder / "weights" / file.name).write_bytes(content)
    registry.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    for name in sys.argv[2:]:
        adopt(Path(sys.argv[1]), Path(name))
        print(f"{name} is adopted")

"""torch takes seconds to import: who names, lists, reads and mixes networks does without it."""

import subprocess
import sys

SCRIPT = """
import sys

from edsr_cli.checkpoints import registry, store
from edsr_cli.checkpoints.checkpoint import weights_digest
from edsr_cli.checkpoints.listing import listing, markdown_table
from edsr_cli.checkpoints.loader import load_network
from edsr_cli.checkpoints.convention import Stated
from edsr_cli.checkpoints.mixing import mixed

assert registry.find("edsr", 2).config.blocks == 32
assert listing(store.cache_folder()) and markdown_table()
plain, restoring = (load_network(name, 2) for name in ("edsr-free", "edsr-photo"))
load_network(plain.path, stated=Stated())
weights_digest(mixed(plain.checkpoint, restoring.checkpoint, 0.5))
assert "torch" not in sys.modules
assert plain.network and "torch" in sys.modules
"""


def test_torch_is_imported_for_a_network_only():
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr

"""How many threads compute."""

import os

from edsr_cli.inference import processors


def threads() -> int:
    """As many as were asked for, or told OpenMP, or as there are processors for."""
    asked = processors.asked()
    if asked:
        return asked
    told = os.environ.get("OMP_NUM_THREADS", "")
    most = processors.available()
    return min(int(told), most) if told.isdecimal() and int(told) else most

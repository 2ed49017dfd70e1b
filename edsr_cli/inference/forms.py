"""The forms in which a network is computed: made when first needed, few of them kept."""

import threading
from collections import OrderedDict
from collections.abc import Callable

from edsr_cli.inference.engine import Compiled, Precision

KEPT = 2
"""Forms that are kept: pictures of both orientations, or both number formats where one overflows at
times. Each is a copy of the weights, with the self-ensemble eight of them."""

Make = Callable[[Precision, bool, bool], Compiled]
"""Compiles in a number format, as the mean of all views, for transposed pictures; see
`edsr_cli.inference.engine.Engine.compile`."""


class Forms:
    """A network's compiled forms; any thread may ask for them.

    Attributes:
        kept: those that were asked for last, the latest at the end.
    """

    def __init__(self) -> None:
        self.kept: OrderedDict[tuple[Precision, bool, bool], Compiled] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, make: Make, precision: Precision, ensemble: bool, transposed: bool) -> Compiled:
        """A form; see `Make`, which makes those that are not kept.

        It is not kept itself: a method of who owns the forms would tie a knot that holds the
        weights, on a GPU too, until the interpreter looks for such knots, long after both are let
        go.

        Raises:
            OutOfMemoryError: its weights do not fit on the device.
        """
        # The mean of all views is the same whichever way the picture lies.
        key = (precision, ensemble, transposed and not ensemble)
        with self._lock:
            if key not in self.kept:
                while len(self.kept) >= KEPT:
                    self.kept.popitem(last=False)
                self.kept[key] = make(*key)
            self.kept.move_to_end(key)
            return self.kept[key]

"""The streamed forms of a network on a device: made when first needed, few of them kept."""

import threading
from collections import OrderedDict

import torch

from edsr_cli.inference.assembly import Precision, collapse_tail, stream, stream_ensemble
from edsr_cli.inference.ensemble import TRANSPOSE, View, fold_view
from edsr_cli.inference.streaming import Node
from edsr_cli.inference.trouble import weights_must_fit
from edsr_cli.model.networks import EDSR, MDSR

KEPT = 2
"""Streamed forms that are kept: pictures of both orientations, or both number formats where one
overflows at times. Each is a copy of the weights, with the self-ensemble eight of them."""


class Streams:
    """A network's streamed forms; any thread may ask for them.

    Args:
        network: the network, on the CPU, where it stays.
        scale: one of its scales.
        device: where the streamed forms are.

    Attributes:
        kept: those that were asked for last, the latest at the end.
    """

    def __init__(self, network: EDSR | MDSR, scale: int, device: torch.device) -> None:
        self.network, self.scale, self.device = network, scale, device
        self.kept: OrderedDict[tuple[bool, Precision, bool], Node] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, ensemble: bool, precision: Precision, transposed: bool) -> Node:
        """The streamed network, which holds no rows: pictures are pushed through a `fresh` one.

        Args:
            ensemble: whether it is the mean of all views.
            precision: number format of the residual blocks.
            transposed: whether the picture that it gets is.

        Raises:
            DeviceMemoryError: its weights do not fit on the device.
        """
        # The mean of all views is the same whichever way the picture lies.
        key = (ensemble, precision, transposed and not ensemble)
        with self._lock:
            if key not in self.kept:
                while len(self.kept) >= KEPT:
                    self.kept.popitem(last=False)
                self.kept[key] = self._made(*key)
            self.kept.move_to_end(key)
            return self.kept[key]

    def _made(self, ensemble: bool, precision: Precision, transposed: bool) -> Node:
        with weights_must_fit(self.device):
            network = fold_view(self.network, TRANSPOSE if transposed else View(0, False))
            network = network.to(self.device)
            if ensemble:
                return stream_ensemble(network, self.scale, precision)
            return stream(network, self.scale, precision, collapse_tail(network, self.scale))

"""Random numbers that depend on a key and a place alone, on any device.

A generator with a state gives other numbers on a GPU than on a CPU, and other ones when the batch
before was skipped. Here every number is a hash of its key and its index, so that a patch gets the
same noise wherever and whenever it is made, and a recorded graph of operations can be replayed with
another key.
"""

import math

import torch
from torch import Tensor

_MASK = 0xFFFFFFFF


def gaussian(keys: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Independent standard normal numbers, by the method of Box and Muller (1958).

    Args:
        keys: (N,) int64, from 0 to 2^32 - 1: one key for each patch.
        shape: of a patch's numbers.

    Returns:
        (N, *shape), fp32.
    """
    count = math.prod(shape)
    half = (count + 1) // 2
    # Two hashes a pair: the radius and the angle must not have to do with one another.
    index = 2 * torch.arange(half, device=keys.device)
    key = _mix(keys)[:, None]
    first, second = _mix(key ^ index), _mix(key ^ (index + 1))
    radius = torch.sqrt(-2 * torch.log((first.float() + 1) / (_MASK + 2.0)))
    angle = second.float() * (2 * math.pi / (_MASK + 1.0))
    numbers = torch.cat([radius * torch.cos(angle), radius * torch.sin(angle)], 1)
    return numbers[:, :count].reshape(-1, *shape)


def _mix(x: Tensor) -> Tensor:
    """A bijection of 32-bit numbers that leaves no pattern (finaliser "lowbias32", C. Wellons)."""
    x = (x ^ (x >> 16)) * 0x7FEB352D & _MASK
    x = (x ^ (x >> 15)) * 0x846CA68B & _MASK
    return x ^ (x >> 16)

"""To begin in the middle gives what would have come there, to the last bit of every sum."""

import numpy as np
import pytest
import torch
from msgspec.structs import replace

from edsr_cli.checkpoints.checkpoint import Checkpoint
from edsr_cli.inference import Upscaler
from edsr_cli.inference.engines import engine_for
from edsr_cli.model.config import NetworkConfig
from edsr_cli.model.networks import EDSR, tensors_of
from edsr_cli.pixels.windows import ArrayWindow

HEIGHT, WIDTH = 260, 19


@pytest.fixture(scope="module")
def weights():
    torch.manual_seed(1)
    network = EDSR(NetworkConfig("edsr", (2,), 3, 16))
    return Checkpoint(network.config, tensors_of(network))


@pytest.mark.parametrize("engine", ["ncnn", "torch"])
@pytest.mark.parametrize("strip_rows", [1, 7, 24])
def test_rounding_is_the_same(weights, engine, strip_rows):
    upscaler = Upscaler(weights, 2, "cpu", "fp32", engine=engine_for("cpu", "fp32", engine))
    plan = replace(upscaler.plan(HEIGHT, WIDTH, rows_only=True), strip_rows=strip_rows)
    pixels = np.random.default_rng(2).integers(0, 65536, (HEIGHT, WIDTH, 3), np.uint16)
    seen = []

    def made(first_row):
        output = np.zeros((2 * HEIGHT, 2 * WIDTH, 3), np.uint16)
        upscaler.upscale_into(
            ArrayWindow(pixels),
            ArrayWindow(output),
            plan=plan,
            first_row=first_row,
            progress=lambda done, total: seen.append(done),
        )
        return output

    whole = made(0)
    for first_row in (1, strip_rows, 140, 201, HEIGHT - 1, HEIGHT):
        seen.clear()
        rest = made(first_row)
        assert (rest[2 * first_row :] == whole[2 * first_row :]).all()
        assert not rest[: 2 * first_row].any()
        assert first_row == HEIGHT or (seen[0] > first_row * WIDTH and seen[-1] == HEIGHT * WIDTH)

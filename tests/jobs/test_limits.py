from types import SimpleNamespace

import pytest

from edsr_cli.jobs.threads import choose_limits


def upscalers(*kinds, scale=4):
    return [SimpleNamespace(device=SimpleNamespace(type=kind), scale=scale) for kind in kinds]


@pytest.fixture(autouse=True)
def machine(monkeypatch):
    monkeypatch.setattr("edsr_cli.inference.processors.available", lambda: 16)
    monkeypatch.setattr("edsr_cli.inference.memory.budget", lambda: 100 << 30)


def test_workers_by_device_and_cores(monkeypatch):
    assert choose_limits(upscalers("cpu")).workers == 4
    assert choose_limits(upscalers("cuda")).workers == 16
    assert choose_limits(upscalers("cuda", "cpu")).workers == 16
    assert choose_limits(upscalers("cpu"), workers=1).workers == 1
    monkeypatch.setattr("edsr_cli.inference.processors.available", lambda: 1)
    assert choose_limits(upscalers("cpu")).workers == 2


def test_room_for_as_many_pictures_before_a_device_as_behind_it():
    for scale in (2, 3, 4):
        limits = choose_limits(upscalers("cuda", scale=scale))
        assert limits.upscaled_bytes == scale**2 * limits.decoded_bytes
    one, two = (choose_limits(upscalers(*["cpu"] * count)) for count in (1, 2))
    assert two.decoded_bytes == 2 * one.decoded_bytes


def test_memory_is_what_was_asked_for_or_is_free(monkeypatch):
    limits = choose_limits(upscalers("cpu"), queue_bytes=1700)
    assert (limits.decoded_bytes, limits.upscaled_bytes) == (100, 1600)
    monkeypatch.setattr("edsr_cli.inference.memory.budget", lambda: 3400)
    limits = choose_limits(upscalers("cuda"))
    assert (limits.decoded_bytes, limits.upscaled_bytes) == (100, 1600)

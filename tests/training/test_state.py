import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from edsr_cli.errors import UsageError, WeightsError
from edsr_cli.training.photos import Photos
from edsr_cli.training.run import Run
from tests.training.runs import make


@pytest.mark.parametrize(
    "content", [b"", b"nothing", b"PK\x03\x04", b"\x80\x02]q\x00.", b"\x80\x04N.", None]
)
def test_a_damaged_state_is_said(
    whole: Run, photos: Photos, tmp_path: Path, content: bytes | None
) -> None:
    state = whole.folder.state.read_bytes()
    (tmp_path / "state.pt").write_bytes(state[: len(state) // 2] if content is None else content)
    with pytest.raises(WeightsError, match=r"state\.pt (cannot be read.*--overwrite|is not the)"):
        make(tmp_path, photos, resume=True)


def test_what_is_no_file_is_no_state(photos: Photos, tmp_path: Path) -> None:
    kinds: list[Callable[[Path], object]] = [Path.mkdir]
    kinds += [] if os.name == "nt" else [os.mkfifo]
    for kind in kinds:
        folder = tmp_path / kind.__name__
        folder.mkdir()
        kind(folder / "state.pt")
        with pytest.raises(WeightsError, match=r"state\.pt cannot be read: this is not a file"):
            make(folder, photos, resume=True)


@pytest.mark.parametrize(
    "content", [{"version": 0}, {}, [], 5, {"version": torch.ones(3)}, {"version": 2.0}]
)
def test_another_file_is_not_a_state(photos: Photos, tmp_path: Path, content: object) -> None:
    torch.save(content, tmp_path / "state.pt")
    with pytest.raises(WeightsError, match="not the state of a training"):
        make(tmp_path, photos, resume=True)


def test_weights_are_not_a_state(whole: Run, photos: Photos, tmp_path: Path) -> None:
    (tmp_path / "state.pt").write_bytes(whole.folder.weights.read_bytes())
    with pytest.raises(WeightsError, match=r"state\.pt cannot be read"):
        make(tmp_path, photos, resume=True)
    torch.save(whole.trainer.result().state_dict(), tmp_path / "state.pt")
    with pytest.raises(WeightsError, match="not the state of a training"):
        make(tmp_path, photos, resume=True)


def without(path: str) -> Callable[[Any], object]:
    """Takes something out of a state, given by keys with "/" between them."""

    def change(state: Any) -> None:
        *above, last = path.split("/")
        for key in above:
            state = state[key]
        del state[last]

    return change


def setting(path: str, value: object) -> Callable[[Any], object]:
    """Sets something in a state."""

    def change(state: Any) -> None:
        *above, last = path.split("/")
        for key in above:
            state = state[int(key) if key.isdecimal() else key]
        state[last] = value

    return change


def spoil(path: str, make: Callable[[torch.Tensor], object]) -> Callable[[Any], object]:
    """Replaces a tensor in a state by what is made of it."""

    def change(state: Any) -> None:
        *above, last = [int(key) if key.isdecimal() else key for key in path.split("/")]
        for key in above:
            state = state[key]
        state[last] = make(state[last])

    return change


WEIGHT, MOMENT = "trainer/network/head.0.weight", "trainer/optimizer/state/0/exp_avg"

CHANGES = {
    **{f"no {key}": without(key) for key in (
        "subject", "trainer", "psnr", "subject/recipe", "subject/config", "subject/data",
        "subject/init", "subject/start", "subject/recipe/betas", "trainer/update",
        "trainer/network", "trainer/optimizer", "trainer/average", "trainer/loss", WEIGHT,
        "trainer/optimizer/state", "trainer/optimizer/param_groups",
    )},
    **{f"{key} as {value}": setting(key, value) for key, value in (
        ("subject", []),
        ("subject/recipe", 5),
        ("subject/recipe/betas", 5),
        ("subject/start", None),
        ("subject/recipe/schedule", "zigzag"),
        ("subject/recipe/unheard_of", 1),
        ("psnr", [30.0]),
        ("trainer", None),
        ("trainer/update", "8"),
        ("trainer/update", -1),
        ("trainer/update", 2.5),
        ("trainer/seconds", math.nan),
        ("trainer/seconds", "long"),
        ("trainer/summed", None),
        ("trainer/network", []),
        (WEIGHT, 5),
        ("trainer/average", {}),
        ("trainer/loss", 0.0),
        ("trainer/optimizer", 5),
        ("trainer/optimizer/state", []),
        ("trainer/optimizer/param_groups", []),
        ("trainer/optimizer/state/0", None),
    )},
    "another shape": spoil(WEIGHT, lambda tensor: tensor[:2]),
    "another type": spoil(WEIGHT, lambda tensor: tensor.double()),
    "no numbers": spoil(WEIGHT, lambda tensor: tensor * math.nan),
    "infinite moments": spoil(MOMENT, lambda tensor: tensor + math.inf),
    "moments of another shape": spoil(MOMENT, lambda tensor: tensor[:2]),
    "an average of another shape": spoil("trainer/average/0", lambda tensor: tensor.flatten()),
    "a loss of another shape": spoil("trainer/loss", lambda tensor: tensor.expand(3)),
    "a sparse tensor": spoil(WEIGHT, lambda tensor: tensor.to_sparse()),
    "a meta tensor": spoil(WEIGHT, lambda tensor: tensor.to("meta")),
}  # fmt: skip


@pytest.mark.parametrize("name", CHANGES)
def test_a_state_that_does_not_fit_is_said(
    whole: Run, photos: Photos, tmp_path: Path, name: str
) -> None:
    state = torch.load(whole.folder.state, weights_only=True)
    CHANGES[name](state)
    torch.save(state, tmp_path / "state.pt")
    with pytest.raises(WeightsError, match=r"state\.pt[ :].*--overwrite") as caught:
        make(tmp_path, photos, resume=True)
    assert "\n" not in str(caught.value)


def test_the_state_of_another_network_is_said(whole: Run, photos: Photos, tmp_path: Path) -> None:
    state = torch.load(whole.folder.state, weights_only=True)
    state["subject"]["config"]["blocks"] = 3
    torch.save(state, tmp_path / "state.pt")
    with pytest.raises(UsageError, match=r"other values: config\."):
        make(tmp_path, photos, resume=True)


def test_a_state_cannot_run_code(photos: Photos, tmp_path: Path) -> None:
    class Harmful:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (Path.touch, (str(tmp_path / "run"),))

    torch.save({"version": 2, "subject": Harmful()}, tmp_path / "state.pt")
    with pytest.raises(WeightsError, match="cannot be read"):
        make(tmp_path, photos, resume=True)
    assert not (tmp_path / "run").exists()

"""Checkpoints: exact, whole or absent, refused by name."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from varl_agent.training import checkpoint
from varl_agent.training.checkpoint import Identity
from varl_common.errors import VarlError

REACH = Identity("reach", "varl_arm", ("x", "y"), ("dx", "dy"))
STATE: dict[str, Any] = {
    "weights": {"layer.weight": torch.randn(3, 2), "step": torch.tensor(7.0)},
    "optimizer": {"state": {0: {"exp_avg": torch.zeros(0)}}, "lr": 1e-3, "betas": (0.9, 0.999)},
    "random": ("MT19937", np.arange(5, dtype=np.uint32), 2**100, None, True),
    "curve": [float("nan"), float("inf"), 0.1 + 0.2],
}


def test_a_state_comes_back_exactly(tmp_path: Path) -> None:
    checkpoint.save(tmp_path, 5, REACH, STATE, keep=2)
    _, state = checkpoint.load_newest(tmp_path, REACH)
    assert torch.equal(state["weights"]["layer.weight"], STATE["weights"]["layer.weight"])
    assert state["weights"]["step"].shape == ()
    assert state["optimizer"]["state"][0]["exp_avg"].shape == (0,)
    assert state["optimizer"]["betas"] == (0.9, 0.999)
    assert state["random"][1].dtype == np.uint32
    assert state["random"][2:] == (2**100, None, True)
    assert np.isnan(state["curve"][0])
    assert state["curve"][1:] == [float("inf"), 0.1 + 0.2]


def test_the_last_k_are_kept(tmp_path: Path) -> None:
    for step in (5, 100, 20, 3000):
        checkpoint.save(tmp_path, step, REACH, {"step": step}, keep=2)
    assert [path.stem for path in checkpoint.list_checkpoints(tmp_path)] == ["step-000000000100", "step-000000003000"]


@pytest.mark.parametrize("damage", ["cut", "flipped"])
def test_a_damaged_newest_gives_way_to_the_one_before(tmp_path: Path, damage: str) -> None:
    checkpoint.save(tmp_path, 1, REACH, STATE, keep=2)
    newest = checkpoint.save(tmp_path, 2, REACH, STATE, keep=2)
    content = bytearray(newest.read_bytes())
    if damage == "cut":
        content = content[:-3]
    else:
        content[-3] ^= 1
    newest.write_bytes(content)
    path, _ = checkpoint.load_newest(tmp_path, REACH)
    assert path.stem.endswith("1")
    path.unlink()
    with pytest.raises(VarlError, match=r"no checkpoint in .* can be used: .*damaged"):
        checkpoint.load_newest(tmp_path, REACH)


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (Identity("push", "varl_arm", ("x", "y"), ("dx", "dy")), "of task 'reach', but this is task 'push'"),
        (Identity("reach", "ur5e", ("x", "y"), ("dx", "dy")), "of robot 'varl_arm', but this is robot 'ur5e'"),
        (Identity("reach", "varl_arm", ("x", "y"), ("dx",)), "of actions dx, dy, but this is actions dx"),
    ],
)
def test_one_of_something_else_is_refused_by_name(tmp_path: Path, other: Identity, words: str) -> None:
    checkpoint.save(tmp_path, 1, REACH, STATE, keep=1)
    with pytest.raises(VarlError, match=words):
        checkpoint.load_newest(tmp_path, other)


def test_one_of_another_version_is_refused_by_name(tmp_path: Path) -> None:
    old = Identity("reach", "varl_arm", ("x", "y"), ("dx", "dy"), format=checkpoint.FORMAT - 1)
    checkpoint.save(tmp_path, 1, old, STATE, keep=1)
    with pytest.raises(VarlError, match=rf"format {checkpoint.FORMAT - 1}, expected {checkpoint.FORMAT}; train anew"):
        checkpoint.load_newest(tmp_path, REACH)


def test_a_failed_write_leaves_the_older_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint.save(tmp_path, 1, REACH, STATE, keep=1)

    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint, "save_file", full)
    with pytest.raises(VarlError, match="No space left on device"):
        checkpoint.save(tmp_path, 2, REACH, STATE, keep=1)
    assert [path.stem for path in checkpoint.list_checkpoints(tmp_path)] == ["step-000000000001"]
    assert len(list(tmp_path.iterdir())) == 1


def test_what_is_not_data_is_not_saved(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="cannot hold object"):
        checkpoint.save(tmp_path, 1, REACH, {"bad": object()}, keep=1)

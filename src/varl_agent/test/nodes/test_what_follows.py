"""What a run names at its end to go on with."""

from pathlib import Path

import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not sourced")

from varl_agent.nodes.learner import _next
from varl_agent.training.run_folder import RunFolder


@pytest.mark.parametrize("by_make", [True, False])
def test_a_terminal_that_has_not_entered_the_workspace_is_told_how(
    by_make: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLCON_PREFIX_PATH", f"{tmp_path}/.ros/jazzy/install:/opt/other")
    monkeypatch.setenv("MAKELEVEL", "1") if by_make else monkeypatch.delenv("MAKELEVEL", raising=False)
    commands = [command for command, _ in _next(RunFolder(tmp_path / "runs" / "mine"), [])]
    entered = ["source .ros/jazzy/install/setup.bash"] if by_make else []
    assert commands == [*entered, "varl evaluate run:=runs/mine", "tensorboard --logdir runs/mine/tensorboard"]

"""What the compose files start, started without a container: a stand-in for an arm trains, a served model advises."""

import json
import os
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

pytest.importorskip("rclpy")

from varl_vlm_advisor.testing.server import Server

ROOT = Path(__file__).parents[1]


def command(compose: str, service: str, runs: Path, **given: str) -> list[str]:
    """The service's command as compose would pass it on, with the folders that it mounts where they are here."""
    text = (ROOT / "docker" / compose).read_text(encoding="utf-8")
    text = re.sub(r"\$\{(\w+):-([^}]*)\}", lambda found: given.get(found[1], found[2]), text)
    words = shlex.split(yaml.safe_load(text)["services"][service]["command"])
    assert words[:2] == ["ros2", "run"]
    return [word.replace("/config/", f"{ROOT}/config/").replace(":=/runs/", f":={runs}/") for word in words[2:]]


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_robots_and_the_learners_hosts_train_together(
    processes: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VLM_KEY", "none")
    urdf = ROOT / "src/varl_robot_env/urdf/standin_ur5e.urdf"
    robot_file = ROOT / "config/robots/ur5e.yaml"
    processes.node("varl_robot_env", "standin_driver", robot_file=robot_file, urdf_file=urdf)
    processes.node("varl_robot_env", "standin_camera", robot_file=robot_file, urdf_file=urdf)
    with Server() as server:
        processes.command(*command("compose.robot.yaml", "env", tmp_path))
        processes.command(*command("compose.learner.yaml", "advisor", tmp_path, VLM_URL=server.url, MODEL="m"))
        sooner = [
            "-p",
            "steps:=200",
            "-p",
            "advice.trigger:=[80]",
            "-p",
            "final_episodes:=1",
            "-p",
            "filmed_episodes:=0",
        ]
        learner = processes.command(*command("compose.learner.yaml", "learner", tmp_path), *sooner)
        assert learner.wait(240) == 0, learner.output[-3000:]
        summary = json.loads((tmp_path / "real" / "summary.json").read_text())
        assert summary["steps"] == 200
        assert summary["queries"] == 1
        assert server.calls, "the model was asked"
    assert os.path.getsize(tmp_path / "real" / "advisor_spending.json")

"""A person shows a stand-in arm by joystick where it may work, beyond the workspace that its file has."""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from varl_robot_env.config.robot import RobotConfig
from varl_robot_env.kinematics.kinematics import Kinematics
from varl_robot_env.safety.survey import survey

from .arm_watcher import ROBOT_FILE, URDF, Watcher
from .hand import Hand

BEYOND = 0.06  # m
SLOW = 0.1  # m/s along an axis
SLACK = 0.002  # m: what inverse kinematics may miss, and what servos do


@pytest.fixture
def file(processes: Any, robot_values: dict[str, Any], tmp_path: Path) -> Path:
    """Of a UR5e, whose stand-in drives."""
    file = tmp_path / "mine.yaml"
    file.write_text(yaml.safe_dump(robot_values, default_flow_style=None, sort_keys=False))
    processes.node("varl_robot_env", "standin_driver", robot_file=ROBOT_FILE, urdf_file=URDF, rate=250.0)
    return file


class Showing:
    """``varl find-limits`` by joystick, and a person who sees where the tool is."""

    def __init__(self, file: Path, hand: Hand, log: Path) -> None:
        words = ["varl", "find-limits", f"robot:={file}", "joystick:=gamepad", f"beyond:={BEYOND}"]
        self._log = log
        with log.open("wb") as out:
            self.process = subprocess.Popen(words, stdout=out, stderr=out, stdin=subprocess.DEVNULL)
        self.hand, self.watcher = hand, Watcher()
        robot = RobotConfig.from_yaml(file, urdf=URDF.read_text())
        self._kinematics = Kinematics(robot.urdf_text(), robot.joints, robot.base_frame, robot.tool_frame)

    @property
    def output(self) -> str:
        return self._log.read_text(errors="replace")

    def tools(self) -> np.ndarray:
        """(k, 3) m: where the tool was, at each joint state since the beginning."""
        return np.array([self._kinematics.forward(joints)[0] for _, joints in self.watcher.states])

    @property
    def tool(self) -> np.ndarray:
        """(3,) m: where it is now."""
        return self._kinematics.forward(self.watcher.states[-1][1])[0]

    def until(self, happens: Callable[[], object], seconds: float = 60.0) -> None:
        self.watcher.spin(seconds, lambda: happens() or self.process.poll() is not None)
        assert happens(), self.output

    def says(self, words: str) -> None:
        self.until(lambda: words in self.output)

    def push(self, ahead: float, left: float, up: float, corner: np.ndarray) -> None:
        """Hold the sticks at their ends until a corner of the box, (3,) m, holds the tool back."""
        self.hand.hold(ahead, left, up)
        self.until(lambda: np.abs(self.tool - corner).max() < 0.004)

    def press(self, button: str) -> None:
        self.hand.hold(buttons=("deadman", button))
        self.watcher.spin(0.2)
        self.hand.hold()


@pytest.fixture
def showing(file: Path, hand: Hand, tmp_path: Path) -> Iterator[Showing]:
    showing = Showing(file, hand, tmp_path / "find_limits.log")
    yield showing
    showing.process.terminate()
    showing.process.wait(30)


def test_by_joystick_the_tool_goes_beyond_the_workspace_and_never_beyond_what_was_allowed(
    showing: Showing, file: Path
) -> None:
    before = RobotConfig.from_yaml(file)
    low, high = np.array(before.safety.workspace_low), np.array(before.safety.workspace_high)
    nearest, farthest = low - [0.0, BEYOND, 0.0], high + BEYOND
    showing.says("the arm is yours")
    at_home = showing.watcher.states[-1][1]
    showing.hand.hold(1.0, 1.0, 1.0, buttons=())
    showing.watcher.spin(0.5)
    np.testing.assert_allclose(showing.watcher.states[-1][1], at_home, atol=1e-3, err_msg="nobody holds the deadman")

    showing.push(1.0, 1.0, 1.0, farthest)
    showing.press("corner")
    showing.says("corner 1 at")
    showing.press("write")
    showing.says("expected 0.02 m or more")
    showing.push(-1.0, -1.0, -1.0, nearest)
    showing.press("corner")
    showing.says("corner 2 at")
    showing.press("write")
    showing.says("mine.yaml written")

    times, tools = np.array([when for when, _ in showing.watcher.states]), showing.tools()
    assert (tools > nearest - SLACK).all()
    assert (tools < farthest + SLACK).all()
    lately = np.searchsorted(times, times - 0.2)  # joint states come in bursts on a busy machine
    far = times - times[lately] > 0.15
    speed = np.abs(tools - tools[lately])[far] / (times - times[lately])[far, None]
    assert speed.max() < 1.2 * SLOW

    after = RobotConfig.from_yaml(file, urdf=URDF.read_text())
    np.testing.assert_allclose(after.safety.workspace_low, nearest, atol=0.005)
    np.testing.assert_allclose(after.safety.workspace_high, farthest, atol=0.005)
    kinematics = Kinematics(after.urdf_text(), after.joints, after.base_frame, after.tool_frame)
    assert survey(after, kinematics).problem() is None
    box = {"workspace_low": before.safety.workspace_low, "workspace_high": before.safety.workspace_high}
    assert after.safety.model_copy(update=box) == before.safety


def test_what_stops_an_arm_stops_it_there_too(showing: Showing) -> None:
    showing.says("the arm is yours")
    showing.hand.hold(up=1.0)
    showing.until(lambda: showing.tool[2] > 0.2)
    showing.hand.unplug()
    showing.until(lambda: showing.watcher.status and "joystick fell silent" in showing.watcher.status.reason)
    showing.watcher.rearm()
    showing.until(lambda: showing.output.count("the arm is yours") == 2)
    assert showing.process.poll() is None

"""reach, push and lift are what they were when they were classes: the numbers of episodes that were recorded then.

Each row of data/episodes.npz is one state of the arm and of the things, with what was observed, rewarded and judged.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from varl_robot_env.arm import ArmState
from varl_robot_env.config.paths import config_file
from varl_robot_env.config.robot import RobotConfig
from varl_robot_env.env.env_core import EnvCore
from varl_robot_env.motion import GripperMotion, Moment, Trajectory
from varl_robot_env.tasks.task import load_task
from varl_robot_env.types import Array, Pose

RECORDED = np.load(Path(__file__).parent / "data" / "episodes.npz")


class ReplayedArm:
    """An arm that is, whatever it is told, where it was then."""

    lock_step = places = True
    cameras: list[str] = []  # noqa: RUF012

    def __init__(self, task: str) -> None:
        self.rows = {name: RECORDED[f"{task}_{name}"] for name in ("joints", "speeds", "gripper", "block", "target")}
        self.row = -1

    def reset(self, joints: Array, gripper: float | None, entities: Mapping[str, Pose], capture: bool) -> ArmState:
        self.placed = dict(entities)
        return self._next()

    def now(self) -> Moment:
        joints = self.rows["joints"][self.row]
        return Moment(joints, Trajectory.at_rest(joints), 0.0)

    def move(self, motion: Trajectory, gripper: GripperMotion | None, capture: bool) -> ArmState:
        return self._next()

    def frames(self) -> list:
        return []

    def _next(self) -> ArmState:
        self.row += 1
        joints, speeds, gripper, block, target = (self.rows[name][self.row] for name in self.rows)
        return ArmState(1, joints, speeds, float(gripper), {"block": block, "target": target})


@pytest.mark.parametrize("name", ["reach", "push", "lift"])
@pytest.mark.parametrize("reward", ["reward", "dense"])
def test_observations_rewards_and_successes_are_what_they_were(name: str, reward: str) -> None:
    robot = RobotConfig.from_yaml(config_file("robots", "varl_arm"))
    arm = ReplayedArm(name)
    core = EnvCore(load_task(config_file("tasks", name)), robot, arm, "mujoco", dense=reward == "dense")
    columns = [RECORDED[f"{name}_{column}"] for column in ("seed", "action", "observation", reward, "success")]
    for row, (seed, action, observation, rewarded, success) in enumerate(zip(*columns, strict=True)):
        if seed >= 0:
            state = core.reset(int(seed)).state
            for thing in ("block", "target"):
                np.testing.assert_array_equal(arm.placed[thing], RECORDED[f"{name}_{thing}"][row], strict=True)
        else:
            result = core.step(action)
            state = result.observation.state
            assert (result.is_success, result.reward) == (success, pytest.approx(rewarded, abs=1e-9))
        np.testing.assert_allclose(state, observation, rtol=0, atol=1e-6)

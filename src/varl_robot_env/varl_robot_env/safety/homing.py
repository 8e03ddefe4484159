"""The way home: joint positions, a control period apart, that bring the arm to its start through checked places."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from varl_robot_env.arm import ArmError
from varl_robot_env.config.robot import RobotConfig
from varl_robot_env.kinematics.kinematics import Kinematics
from varl_robot_env.safety.safety_filter import SafetyFilter
from varl_robot_env.types import Array

_NEAR = 0.002  # m: the tool is there
_LIMIT = 60.0  # s: a way that takes longer is stuck


def way_home(robot: RobotConfig, kinematics: Kinematics, start: Array) -> Iterator[Array]:
    """Joint positions (n,) rad from ``start`` to the robot's home.

    First the tool goes straight to its place at home, through the same filter as every action; the workspace is a
    box, so a straight way out of it does not exist from inside. Then, where the arm has more than one posture for
    that place, the joints go straight home, if the tool stays in the box meanwhile.

    Raises:
        ArmError: there is no such way; a person must bring the arm nearer.
    """
    home, period = np.array(robot.home), robot.control_period
    goal = kinematics.forward(home)[0]
    guard = SafetyFilter(robot, kinematics, with_gripper=False)
    guard.begin(start, None)
    joints = np.array(start)
    for _ in range(round(_LIMIT / period)):
        tool = kinematics.forward(joints)[0]
        if np.linalg.norm(goal - tool) <= _NEAR:
            break
        command = guard.filter(np.clip((goal - tool) / robot.action_scale, -1, 1), joints)
        if np.abs(command.joints - joints).max() < 1e-6:
            raise ArmError(f"the way home is blocked ({', '.join(command.interventions)}); {_BY_HAND}")
        joints = command.joints
        yield joints
    else:
        raise ArmError(f"the way home takes more than {_LIMIT:g} s; {_BY_HAND}")
    step = np.array(robot.safety.joint_speed) * period
    count = max(1, int(np.ceil((np.abs(home - joints) / step).max())))
    way = [joints + (home - joints) * (i + 1) / count for i in range(count)]
    low, high = np.array(robot.safety.workspace_low), np.array(robot.safety.workspace_high)
    for point in way:
        tool = kinematics.forward(point)[0]
        if (tool < low - _NEAR).any() or (tool > high + _NEAR).any():
            raise ArmError(f"turning the joints home would leave the workspace; {_BY_HAND}")
    yield from way


_BY_HAND = "bring the arm near its home by hand or by its pendant, then reset again"

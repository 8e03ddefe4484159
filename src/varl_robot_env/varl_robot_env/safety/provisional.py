"""The wider box in which a person may show an arm, by joystick, where it is to work."""

from __future__ import annotations

import numpy as np
from varl_common.errors import VarlError

from varl_robot_env.config.robot import RobotConfig

MOST_BEYOND = 0.3  # m: a person sees where the tool is going to be in the next seconds; farther is another showing
# m/s along an axis: less than half of the 0.25 m/s of ISO 10218-1 beside people, as nobody has moved it there before.
_SPEED = 0.1


def provisional(robot: RobotConfig, beyond: float) -> RobotConfig:
    """``robot`` with a box that is up to ``beyond`` (m) wider, and a slower tool; all its other bounds are as they are.

    The box grows upwards and to the sides, but neither down, where a table is, nor towards the axis of the base, where
    the arm itself is: what lies there a person decides in the robot's file.

    Raises:
        VarlError: ``beyond`` is not within 0 and 0.3 m.
    """
    if not 0.0 < beyond <= MOST_BEYOND:
        raise VarlError(
            f"beyond of {beyond:g} m is not above 0 and at most {MOST_BEYOND:g} m; show it farther in steps"
        )
    low, high = np.array(robot.safety.workspace_low), np.array(robot.safety.workspace_high)
    low[:2] -= beyond * (low[:2] <= 0.0)
    high[:2] += beyond * (high[:2] >= 0.0)
    high[2] += beyond
    box = {"workspace_low": tuple(low.round(6).tolist()), "workspace_high": tuple(high.round(6).tolist())}
    slow = min(robot.action_scale, _SPEED * robot.control_period)
    return robot.model_copy(update={"safety": robot.safety.model_copy(update=box), "action_scale": slow})

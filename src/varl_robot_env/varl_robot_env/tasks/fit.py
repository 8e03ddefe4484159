"""Whether a task can be done by a robot at all: asked before anything moves."""

from __future__ import annotations

import numpy as np
from varl_common.errors import VarlError

from varl_robot_env.config.robot import RobotConfig
from varl_robot_env.config.things import ThingConfig
from varl_robot_env.kinematics.kinematics import Kinematics
from varl_robot_env.tasks.observation import TOOL_MARGIN
from varl_robot_env.tasks.predicates import Distance
from varl_robot_env.tasks.situation import TOOL
from varl_robot_env.tasks.task import Task
from varl_robot_env.types import Array

_FALLS_SHORT = 0.05  # of a turn asked for: an arm that misses more of it cannot turn so
_TURNS = {"rx": 3, "ry": 4, "rz": 5, "yaw": 5}  # an axis of an action as a row of the Jacobian
_BELOW = 0.02  # m: what lies on the table is taken by its upper part, so it may lie so much deeper


def check_fits(task: Task, robot: RobotConfig, backend: str) -> None:
    """That ``robot`` can do ``task``.

    Raises:
        VarlError: it cannot; the message has the numbers.
    """
    source = f"task {task.name} does not fit {robot.name}"
    if robot.gripper is None and (task.grasps or "gripper" in task.config.observe):
        raise VarlError(f"{source}: it asks for a gripper, and {robot.source} has none; name its gripper there")
    for name in task.seen:
        if backend == "real" and task.config.things[name].source == "simulator":
            raise VarlError(f"{source}: {name} comes from a simulator; on an arm it is from: marker, color or vlm")
    if task.feels and (backend == "gazebo" or (backend == "real" and robot.driver.wrench is None)):
        raise VarlError(f"{source}: it asks for the force on the tool; name what measures it in driver: wrench")
    low, high = np.array(robot.safety.workspace_low), np.array(robot.safety.workspace_high)
    for name in sorted(task.config.concerned):
        box = _where(task, name)
        if box is None:
            continue
        near = _near_enough(task, name)
        lies = task.config.things[name].sensed and near == TOOL_MARGIN
        outside = np.maximum(np.maximum(low - [0, 0, _BELOW * lies] - box[0], box[1] - high), 0.0)
        if np.linalg.norm(outside) > near:
            axis = int(np.argmax(outside))
            raise VarlError(
                f"{source}: {name} starts at {'xyz'[axis]} from {box[0][axis]:g} to {box[1][axis]:g} m, the tool stays "
                f"within {low[axis]:g} to {high[axis]:g} m and must come as near as {near:g} m; change start in the "
                "task's file, or the workspace in the robot's"
            )


def check_turns(task: Task, robot: RobotConfig, kinematics: Kinematics) -> None:
    """That the arm of ``robot`` can turn its tool about the axes of ``task``, as it stands at home.

    Raises:
        VarlError: it cannot; the message has the numbers.
    """
    if not task.turns:
        return
    source = f"task {task.name} does not fit {robot.name}"
    if robot.turn is None:
        raise VarlError(
            f"{source}: its action turns the tool, and {robot.source} does not say how it may; add turn there"
        )
    jacobian = kinematics.jacobian(np.array(robot.home))
    span = jacobian @ np.linalg.pinv(jacobian, rcond=1e-3)  # what of a motion of the tool the joints can do
    for axis in task.turns:
        missed = np.eye(6)[_TURNS[axis]] - span[:, _TURNS[axis]]
        if np.linalg.norm(missed) > _FALLS_SHORT:
            raise VarlError(
                f"{source}: it turns the tool by {axis}, and of that the {len(robot.joints)} joints of the arm miss "
                f"{np.linalg.norm(missed):.0%} where it stands at home; act by yaw, if it can, or with an arm of six"
            )


def _where(task: Task, name: str) -> tuple[Array, Array] | None:
    """Corners of all the places where a thing may start, base frame, m; None where it is not said."""
    if name == TOOL:
        return None
    thing: ThingConfig = task.config.things[name]
    corners = thing.corners()
    if corners is None or thing.start is None:
        return None
    low, high = np.array(corners[0]), np.array(corners[1])
    if thing.start.relative_to:
        base = _where(task, thing.start.relative_to)
        if base is None:
            return None
        low, high = low + base[0], high + base[1]
    return low, high


def _near_enough(task: Task, name: str) -> float:
    """How far outside of the workspace a thing may start, m: what the tool need not come nearer to, or what the
    observation's bounds let through."""
    radii = [
        rule.at_most
        for rule in task.config.success.all_rules()
        if isinstance(rule, Distance) and set(rule.distance) == {TOOL, name} and rule.at_most is not None
    ]
    return min([TOOL_MARGIN, *radii])

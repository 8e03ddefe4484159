"""Random and adversarial actions on an arm that begins at home: how near the filter comes to its bounds."""

from collections.abc import Iterator, Sequence

import numpy as np
import pytest
from varl_common.host.progress import progress
from varl_robot_env.motion import Moment, Trajectory
from varl_robot_env.safety.governor import LEANT, REACHED
from varl_robot_env.safety.provisional import provisional
from varl_robot_env.safety.safety_filter import RefusedAction, SafetyFilter

from .robots import kinematics, robot

EPISODE = 500  # actions until the filter begins anew
NUMBERS = (0.0, -1.0, 1.0, 1e-9, -1e-300, 1.0 + 1e-7, 1e6, -1e30, 1e308, np.nan, np.inf, -np.inf)
# The most that is allowed of what `whatever_is_asked` finds. Shares have what arithmetic needs; between the places that
# the filter looks at the tool's way bends. An arm that is measured to be outside is not commanded farther out.
ALLOWED = {
    "speed": 1.0 + 1e-5,
    "acceleration": 1.0 + 1e-5,
    "gripper_speed": 1.0 + 1e-9,
    "gripper_beyond_m": 0.0,
    "beyond_joint_limit_rad": 1e-6,
    "outside_m": REACHED + 2e-4,
    "turning": 1.0 + 1e-3,  # shares of the tool's angular speed
    "beyond_cone_rad": LEANT + 1e-3,
}


def actions(rng: np.random.Generator, number: int, size: int) -> Iterator[np.ndarray]:
    """Many in a row of one kind, for it takes many to reach a wall at full speed."""
    while number > 0:
        kind, length = rng.integers(7), min(number, int(rng.integers(1, 60)))
        direction = rng.choice([-1.0, 1.0], size)
        for step in range(length):
            number -= 1
            match kind:
                case 0:  # anything
                    yield rng.uniform(-1.3, 1.3, size)
                case 1:  # into a corner
                    yield direction * 10.0 ** rng.uniform(-1, 30)
                case 2:  # bang-bang
                    yield direction * (-1.0) ** (step // max(1, length // 8))
                case 3:  # along a wall
                    yield direction * rng.choice([0.0, 1.0], size)
                case 4:  # numbers that are easily forgotten
                    yield rng.choice(NUMBERS, size)
                case 5:  # wrong size
                    yield np.zeros(int(rng.choice([0, size - 1, size + 1, 50])))
                case _:  # swinging
                    yield direction * np.sin(step * rng.uniform(0.1, 3.0)) * 1.5


def whatever_is_asked(name: str, number: int, turns: Sequence[str] = (), wider: float = 0.0) -> dict[str, float]:
    """The worst of ``number`` actions, by the names of ALLOWED, and how many were ``accepted`` and ``refused``.

    ``wider``, m: in the wider box in which a person shows the arm where it may work.
    The arm follows well, badly or not at all; its state comes late or shaken.
    """
    config = provisional(robot(name), wider) if wider else robot(name)
    arm, safety, period = kinematics(config), config.safety, config.control_period
    rng = np.random.default_rng(number)
    gripper = config.gripper
    filter_ = SafetyFilter(config, arm, ["dx", "dy", "dz", *turns, *(["gripper"] if gripper else [])])
    attitude = filter_.governor.attitude
    low, high = np.array(safety.workspace_low), np.array(safety.workspace_high)
    joint_low, joint_high = arm.limits[:, 0] + safety.joint_margin, arm.limits[:, 1] - safety.joint_margin
    speed, acceleration = np.minimum(safety.joint_speed, arm.speeds), np.array(safety.joint_acceleration)
    worst = dict.fromkeys(ALLOWED, 0.0)
    accepted = refused = 0
    measured = np.array(config.home)
    motion, follow, shake = Trajectory.at_rest(measured), 1.0, 0.0
    outside = beyond = leant = 0.0

    def look(what: str, value: float) -> None:
        worst[what] = max(worst[what], float(value))

    def out_of_box(joints: np.ndarray) -> float:
        tool = arm.forward(joints)[0]
        return float(np.maximum(np.maximum(low - tool, tool - high), 0.0).max())

    def out_of_limits(joints: np.ndarray) -> float:
        return float(np.maximum(np.maximum(joint_low - joints, joints - joint_high), 0.0).max())

    asked = progress(actions(rng, number, filter_.size), f"{name}, asked", number)
    for index, action in enumerate(asked):
        if index % EPISODE == 0:  # from where it stands now, as after a stop; sometimes from home
            measured = np.array(config.home) if rng.random() < 0.3 else motion.positions[-1]
            motion, follow = Trajectory.at_rest(measured), rng.choice([1.0, 0.5, 0.05, 0.0])
            shake = rng.choice([0.0, 3e-3])
            filter_.begin(gripper.open if gripper else None)
            outside = beyond = leant = 0.0  # the farthest that it was measured to be
        now = Moment(measured + shake * rng.standard_normal(len(measured)), motion, period)
        if action.shape != (filter_.size,) or not np.isfinite(action).all():
            with pytest.raises(RefusedAction):
                filter_.filter(action, now)
            refused += 1
            continue
        outside, beyond = max(outside, out_of_box(now.measured)), max(beyond, out_of_limits(now.measured))
        leant = max(leant, attitude.beyond(arm.forward(now.measured)[1]))
        command = filter_.filter(action, now)
        accepted += 1
        motion = command.motion
        assert not motion.velocities[-1].any(), "if no other follows it ends at rest"
        for part in range(len(motion.times) - 1):  # between its points the acceleration is constant
            length = motion.times[part + 1] - motion.times[part]
            change = np.abs(np.diff(motion.velocities[part : part + 2], axis=0)[0]) / length
            look("acceleration", (change / acceleration).max())
            way = motion.velocities[part : part + 2].mean(axis=0) * length
            np.testing.assert_allclose(np.diff(motion.positions[part : part + 2], axis=0)[0], way, atol=1e-9)
        look("speed", (np.abs(motion.velocities) / speed).max())
        for time in np.linspace(0.0, motion.duration, 5):
            joints = motion.at(time)[0]
            look("beyond_joint_limit_rad", out_of_limits(joints) - beyond)
            look("outside_m", out_of_box(joints) - outside)
            _, rotation, turning = arm.turning(*motion.at(time))
            look("turning", turning / attitude.turn.speed)
            look("beyond_cone_rad", attitude.beyond(rotation) - leant)
        assert (np.abs(command.executed) <= 1.0).all()
        if gripper and command.gripper:
            ends, at = sorted((gripper.open, gripper.closed)), command.gripper.position
            look("gripper_beyond_m", max(ends[0] - at, at - ends[1]))
            look("gripper_speed", abs(at - command.gripper.start) / (gripper.speed * period))
        measured = measured + follow * (motion.at(period)[0] - measured)
    return worst | {"accepted": accepted, "refused": refused}

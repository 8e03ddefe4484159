"""Whatever is asked of the safety filter, on every robot: what it commands stays inside every bound."""

from collections.abc import Iterator

import numpy as np
import pytest
from varl_robot_env.motion import Moment, Trajectory
from varl_robot_env.safety.safety_filter import RefusedAction, SafetyFilter

from .robots import ROBOTS, kinematics, robot

# Where the tool is at home, m: what each robot's file says beside its joints.
HOME = {
    "fr3": (0.45, 0.0, 0.22),
    "gen3": (0.45, -0.02, 0.18),
    "so101": (0.22, 0.0, 0.05),
    "ur5e": (0.45, 0.0, 0.18),
    "varl_arm": (0.40, 0.0, 0.18),
    "xarm6": (0.38, 0.0, 0.22),
}
REACHED = 1e-3  # m: how far inverse kinematics may miss
EPISODE = 500  # actions until the filter begins anew
NUMBERS = (0.0, -1.0, 1.0, 1e-9, -1e-300, 1.0 + 1e-7, 1e6, -1e30, 1e308, np.nan, np.inf, -np.inf)


def actions(rng: np.random.Generator, number: int, size: int) -> Iterator[np.ndarray]:
    """Random and adversarial ones: many in a row of one kind, for it takes many to reach a wall at full speed."""
    while number > 0:
        kind, length = rng.integers(7), int(rng.integers(1, 60))
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


@pytest.mark.parametrize("name", ROBOTS)
def test_the_description_puts_the_tool_where_the_robots_file_says(name: str) -> None:
    config = robot(name)
    np.testing.assert_allclose(kinematics(config).forward(np.array(config.home))[0], HOME[name], atol=0.006)


@pytest.mark.parametrize("number", [2_000, pytest.param(100_000, marks=[pytest.mark.slow, pytest.mark.timeout(900)])])
@pytest.mark.parametrize("name", ROBOTS)
def test_no_bound_is_left_whatever_is_asked(name: str, number: int) -> None:
    """The arm follows well, badly or not at all; its state comes late or shaken."""
    config = robot(name)
    arm, safety, period = kinematics(config), config.safety, config.control_period
    rng = np.random.default_rng(number)
    filter_ = SafetyFilter(config, arm, with_gripper=config.gripper is not None)
    low, high = np.array(safety.workspace_low), np.array(safety.workspace_high)
    joint_low, joint_high = arm.limits[:, 0] + safety.joint_margin, arm.limits[:, 1] - safety.joint_margin
    speed, acceleration = np.minimum(safety.joint_speed, arm.speeds), np.array(safety.joint_acceleration)
    worst = {"position": 0.0, "speed": 0.0, "acceleration": 0.0, "workspace": 0.0}
    accepted = refused = 0
    measured = np.array(config.home)
    motion, follow, shake = Trajectory.at_rest(measured), 1.0, 0.0
    for index, action in enumerate(actions(rng, number, filter_.size)):
        if index % EPISODE == 0:  # from where it stands now, as after a stop; sometimes from home
            measured = np.array(config.home) if rng.random() < 0.3 else motion.positions[-1]
            motion, follow = Trajectory.at_rest(measured), rng.choice([1.0, 0.5, 0.05, 0.0])
            shake = rng.choice([0.0, 3e-3])
            filter_.begin(config.gripper.open if config.gripper else None)
        now = Moment(measured + shake * rng.standard_normal(len(measured)), motion, period)
        if action.shape != (filter_.size,) or not np.isfinite(action).all():
            with pytest.raises(RefusedAction):
                filter_.filter(action, now)
            refused += 1
            continue
        command = filter_.filter(action, now)
        accepted += 1
        motion = command.motion
        assert not motion.velocities[-1].any(), "if no other follows it ends at rest"
        for part in range(len(motion.times) - 1):  # between its points the acceleration is constant
            length = motion.times[part + 1] - motion.times[part]
            change = np.abs(np.diff(motion.velocities[part : part + 2], axis=0)[0]) / length
            worst["acceleration"] = max(worst["acceleration"], float((change / acceleration).max()))
            way = motion.velocities[part : part + 2].mean(axis=0) * length
            np.testing.assert_allclose(np.diff(motion.positions[part : part + 2], axis=0)[0], way, atol=1e-9)
        worst["speed"] = max(worst["speed"], float((np.abs(motion.velocities) / speed).max()))
        for time in np.linspace(0.0, motion.duration, 5):
            joints = motion.at(time)[0]
            tool = arm.forward(joints)[0]
            beyond = np.maximum(joint_low - joints, joints - joint_high)
            worst["position"] = max(worst["position"], float(beyond.max()))
            worst["workspace"] = max(worst["workspace"], float(np.maximum(low - tool, tool - high).max()))
        assert (np.abs(command.executed) <= 1.0).all()
        if config.gripper and command.gripper is not None:
            assert min(config.gripper.open, config.gripper.closed) <= command.gripper.position
            assert command.gripper.position <= max(config.gripper.open, config.gripper.closed)
            assert abs(command.gripper.position - command.gripper.start) <= config.gripper.speed * period * (1 + 1e-9)
        measured = measured + follow * (motion.at(period)[0] - measured)
    print(f"{name}: {accepted} accepted, {refused} refused; at the most {worst}")
    assert accepted > number / 2
    assert refused > number / 20
    assert worst["position"] <= 1e-6, "rad beyond the limits less their margin"
    assert worst["speed"] <= 1.0 + 1e-5, "of the bound"
    assert worst["acceleration"] <= 1.0 + 1e-5, "of the bound"
    assert worst["workspace"] <= REACHED + 2e-4, "m outside of the box; places between those that are looked at bend"

"""The way home: through the box, within every bound, to its end; and a person is asked where there is none."""

import numpy as np
import pytest
from varl_robot_env.arm import ArmError
from varl_robot_env.motion import Moment, Trajectory
from varl_robot_env.safety.homing import WayHome

from .robots import ROBOTS, kinematics, robot

REACHED = 1.2e-3  # m


@pytest.mark.parametrize("name", ROBOTS)
def test_the_way_home_keeps_to_the_box_and_ends_there(name: str) -> None:
    config = robot(name)
    arm, rng, home = kinematics(config), np.random.default_rng(2), np.array(config.home)
    low, high = np.array(config.safety.workspace_low), np.array(config.safety.workspace_high)
    rotation = arm.forward(home)[1]
    for _ in range(3):
        start, _ = arm.inverse(low + rng.uniform(0.05, 0.95, 3) * (high - low), rotation, home, home)
        way, motion, measured = WayHome(config, arm), Trajectory.at_rest(start), start
        while (following := way.next(Moment(measured, motion, config.control_period))) is not None:
            motion = following
            measured = motion.at(config.control_period)[0]
            tool = arm.forward(measured)[0]
            assert (tool > low - REACHED).all()
            assert (tool < high + REACHED).all()
        np.testing.assert_allclose(motion.positions[-1], home, atol=1e-4)


def test_an_arm_that_is_still_moving_is_braked_on_its_way_home() -> None:
    config = robot("ur5e")
    arm, home, period = kinematics(config), np.array(config.home), config.control_period
    speed = np.array([0.6, 0.0, 0.0, 0.0, 0.0, 0.0])
    motion = Trajectory(
        np.array([0.0, period, 2.0]),
        np.vstack([home, home + speed * period, home + speed]),
        np.vstack([speed, speed, 0 * speed]),
    )
    first = WayHome(config, arm).next(Moment(home, motion, period))
    assert first is not None
    np.testing.assert_allclose(first.velocities[0], speed, err_msg="it begins where the controller is")
    change = np.abs(first.at(period)[1] - speed) / period
    assert (change <= np.array(config.safety.joint_acceleration) * (1 + 1e-9)).all()


def test_from_a_place_without_a_way_a_person_is_asked() -> None:
    config = robot("ur5e")
    way = WayHome(config, kinematics(config))
    measured = np.array([2.5, -0.5, 2.6, 0.0, 0.3, 0.0])
    motion = Trajectory.at_rest(measured)
    with pytest.raises(ArmError, match="by hand"):  # noqa: PT012 (it may get some of the way)
        while (following := way.next(Moment(measured, motion, config.control_period))) is not None:
            motion = following
            measured = motion.at(config.control_period)[0]


def test_the_fingertips_are_a_frame_of_ours() -> None:
    config = robot("ur5e")
    flange = kinematics(config.model_copy(update={"tool_frame": "tool0", "tool_parent": ""}))
    home = np.array(config.home)
    position, rotation = flange.forward(home)
    np.testing.assert_allclose(kinematics(config).forward(home)[0], position + rotation @ [0, 0, 0.15], atol=1e-12)

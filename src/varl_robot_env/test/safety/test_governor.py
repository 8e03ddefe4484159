"""From every start, whatever is asked and whatever the arm does: no bound is left, homing and halts included."""

import numpy as np
import pytest

from .robots import ROBOTS, kinematics, robot
from .started import ALLOWED, CYCLE, Bench, from_anywhere


@pytest.mark.parametrize(
    ("starts", "count"), [(6, 80), pytest.param(40, 250, marks=[pytest.mark.slow, pytest.mark.timeout(1800)])]
)
@pytest.mark.parametrize("name", ROBOTS)
def test_no_bound_is_left_from_any_start(name: str, starts: int, count: int) -> None:
    worst = from_anywhere(name, starts, count)
    print(name, worst)
    assert not {what: worst[what] for what, most in ALLOWED.items() if worst[what] > most}


@pytest.mark.parametrize("lag", [0.0, 0.02, 0.1])
def test_a_steady_course_is_kept_whatever_the_servos_lag(lag: float) -> None:
    """Where a controller begins each trajectory at the measured state, the set-point must not be pulled back by it."""
    config = robot("ur5e")
    bench = Bench(config, kinematics(config), np.array(config.home), lag)
    set_points = [bench.plant.desired]
    for _ in range(20):
        bench.carry_out(bench.filter.filter([0.0, 0.5, 0.0], bench.now()).motion)
        for _ in range(round(config.control_period / CYCLE)):
            bench.let_pass(CYCLE)
            set_points.append(bench.plant.desired)
    way = np.array([bench.kinematics.forward(joints)[0][1] for joints in set_points])
    assert np.diff(way).min() >= -1e-6, "never back"
    assert way[-1] == pytest.approx(20 * 0.5 * config.action_scale, rel=0.15)


def test_a_blocked_arm_is_pressed_no_harder_than_the_leash_and_goes_on_from_where_it_is_let_go() -> None:
    config = robot("ur5e")
    bench = Bench(config, kinematics(config), np.array(config.home), 0.02)
    bench.plant.blocked = True
    for _ in range(40):
        bench.carry_out(bench.filter.filter([0.0, 1.0, 0.0], bench.now()).motion)
        bench.let_pass(config.control_period)
    assert 0.8 < bench.worst["leash"] <= 1.0 + 1e-6


def test_a_halt_in_full_motion_brakes_at_the_bound_and_rests() -> None:
    config = robot("ur5e")
    bench = Bench(config, kinematics(config), np.array(config.home), 0.02)
    for _ in range(8):
        bench.carry_out(bench.filter.filter([0.0, 1.0, 0.0], bench.now()).motion)
        bench.let_pass(config.control_period)
    speed = bench.clock.commanded(bench.time)[1]
    assert np.abs(speed).max() > 0.3
    bench.halt()
    longest = float((np.abs(speed) / np.array(config.safety.joint_acceleration)).max())
    bench.let_pass(longest + CYCLE)
    at = bench.plant.desired
    bench.let_pass(0.2)
    np.testing.assert_allclose(bench.plant.desired, at, atol=1e-9)
    assert bench.worst["acceleration"] <= 1.0 + 1e-6


def test_a_joint_that_turns_round_within_a_period_keeps_inside_of_its_limit() -> None:
    """It goes farther than it is at either end of the period."""
    config = robot("so101")
    governor, period = Bench(config, kinematics(config), np.array(config.home), 0.02).filter.governor, 0.05
    joints, velocity = np.array(config.home), np.zeros(len(config.home))
    velocity[0] = 0.2 * period * config.safety.joint_acceleration[0]
    braking = velocity[0] / config.safety.joint_acceleration[0]
    joints[0] = governor.joint_high[0] - velocity[0] * braking / 2 - 1e-6  # it can just be braked
    wanted = np.array([-velocity[0], *([0.0] * (len(joints) - 1))])
    motion, kept = governor.next((joints, velocity), wanted, joints)
    places = np.array([motion.at(time)[0][0] for time in np.linspace(0.0, motion.duration, 200)])
    assert places.max() <= governor.joint_high[0] + 1e-9
    assert "joint_limit" in kept

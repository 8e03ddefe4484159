"""From every start, whatever is asked and whatever the arm does: no bound is left, homing and halts included."""

import contextlib

import numpy as np
import pytest
from varl_robot_env.arm import ArmError
from varl_robot_env.config.robot import RobotConfig
from varl_robot_env.kinematics.kinematics import Kinematics
from varl_robot_env.motion import Moment, Trajectory
from varl_robot_env.safety.governor import REACHED
from varl_robot_env.safety.homing import WayHome
from varl_robot_env.safety.motion_clock import MotionClock
from varl_robot_env.safety.safety_filter import SafetyFilter
from varl_robot_env.standin.plant import Plant

from .robots import ROBOTS, kinematics, robot

CYCLE = 0.002  # s, of the controller
WINDOW = 0.05  # s, over which the acceleration is told
BENDS = 2e-4  # m: places between those that are looked at


class Bench:
    """An arm on its controller, commanded as a real one is; every cycle of its set-point is held to the bounds."""

    def __init__(self, config: RobotConfig, arm: Kinematics, start: np.ndarray, lag: float) -> None:
        self.config, self.kinematics = config, arm
        self.filter = SafetyFilter(config, arm, with_gripper=False)
        self.plant = Plant(start, 0.0, 0.0, 1.0, servo_lag=lag)
        self.time = 0.0
        self.clock = MotionClock(start, 0.0)
        self.worst = {"speed": 0.0, "acceleration": 0.0, "leash": 0.0, "outside": 0.0}
        self._forget()

    def _forget(self) -> None:
        """Somebody moved the arm: what its set-point did then was no command."""
        self._path = [self.plant.desired]
        self._outside = self._beyond(self.plant.positions)

    def now(self) -> Moment:
        return Moment(self.plant.positions, self.clock.motion, self.clock.elapsed(self.time))

    def carry_out(self, motion: Trajectory) -> None:
        self.clock.begin(motion, self.time)
        self.plant.command(motion)
        if np.abs(motion.positions[0] - self.plant.positions).max() < 1e-12 and not motion.velocities[0].any():
            self._path = [self.plant.positions]  # a set-point that falls back to where the arm stands moves nothing

    def let_pass(self, seconds: float) -> None:
        safety = self.config.safety
        speed = np.minimum(safety.joint_speed, self.kinematics.speeds)
        span = round(WINDOW / CYCLE)
        for _ in range(round(seconds / CYCLE)):
            self.plant.step(CYCLE)
            self.time += CYCLE
            path = self._path
            path.append(self.plant.desired)
            step = np.abs(path[-1] - path[-2]) / CYCLE / speed
            self.worst["speed"] = max(self.worst["speed"], float(step.max()))
            if len(path) > span + 1:
                change = np.abs((path[-1] - path[-2]) - (path[-1 - span] - path[-2 - span])) / CYCLE / WINDOW
                share = float((change / np.array(safety.joint_acceleration)).max())
                self.worst["acceleration"] = max(self.worst["acceleration"], share)
                path.pop(0)
            ahead = self._tool(self.plant.desired) - self._tool(self.plant.positions)
            self.worst["leash"] = max(self.worst["leash"], float(np.linalg.norm(ahead)) / safety.leash)
            out = self._beyond(self.plant.desired)
            self.worst["outside"] = max(self.worst["outside"], out - max(self._outside, REACHED))

    def push(self, joints: np.ndarray) -> None:
        self.plant.push(joints)
        self._forget()

    def _tool(self, joints: np.ndarray) -> np.ndarray:
        return self.kinematics.forward(joints)[0]

    def _beyond(self, joints: np.ndarray) -> float:
        tool = self._tool(joints)
        low, high = np.array(self.config.safety.workspace_low), np.array(self.config.safety.workspace_high)
        return float(np.maximum(np.maximum(low - tool, tool - high), 0.0).max())


def assault(bench: Bench, rng: np.random.Generator, count: int) -> None:
    """Actions that are held for a while, from an agent that is late at times; pauses, pushes, blocks, halts, homing."""
    home, period = np.array(bench.config.home), bench.config.control_period
    action = np.zeros(3)
    for _ in range(count):
        event = rng.random()
        if event < 0.15:
            action = rng.choice([rng.uniform(-1.5, 1.5, 3), rng.choice([-1.0, 0.0, 1.0], 3)])
        elif event < 0.16:
            bench.plant.blocked = not bench.plant.blocked
        elif event < 0.165:  # a pause in which somebody moves the arm
            bench.let_pass(1.0)
            bench.plant.blocked = False
            bench.push(bench.plant.positions + rng.normal(0, 0.1, len(home)))
            bench.let_pass(0.5)
        elif event < 0.17:  # a halt
            bench.carry_out(bench.filter.governor.brake(bench.clock.commanded(bench.time)))
            bench.let_pass(0.4)
        elif event < 0.175:
            go_home(bench)
        bench.carry_out(bench.filter.filter(action, bench.now()).motion)
        bench.let_pass(period + rng.choice([0.0, 0.0, 0.0, 0.004, 0.03]))


def go_home(bench: Bench) -> None:
    bench.plant.blocked = False
    way = WayHome(bench.config, bench.kinematics)
    with contextlib.suppress(ArmError):  # from some places there is no way
        while (motion := way.next(bench.now())) is not None:
            bench.carry_out(motion)
            bench.let_pass(bench.config.control_period)


@pytest.mark.parametrize("lag", [0.02, 0.1])
@pytest.mark.parametrize(
    ("number", "starts"), [(80, 3), pytest.param(500, 20, marks=[pytest.mark.slow, pytest.mark.timeout(1800)])]
)
@pytest.mark.parametrize("name", ROBOTS)
def test_no_bound_is_left_from_any_start(name: str, number: int, starts: int, lag: float) -> None:
    config = robot(name)
    arm = kinematics(config)
    rng = np.random.default_rng(number)
    home = np.array(config.home)
    worst: dict[str, float] = {}
    for start in range(starts):
        joints = home + rng.normal(0.0, 0.3 if start % 2 else 0.02, len(home))
        joints = np.clip(joints, arm.limits[:, 0] + 0.01, arm.limits[:, 1] - 0.01)
        bench = Bench(config, arm, joints, lag)
        assault(bench, rng, number)
        worst = {what: max(worst.get(what, -1.0), share) for what, share in bench.worst.items()}
    print(name, worst)
    assert worst["speed"] <= 1.0 + 1e-6
    assert worst["acceleration"] <= 1.0 + 1e-6
    assert worst["outside"] <= BENDS, "m farther out than where it began"
    assert worst["leash"] <= 1.0 + REACHED / config.safety.leash


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
    bench.carry_out(bench.filter.governor.brake(bench.clock.commanded(bench.time)))
    longest = float((np.abs(speed) / np.array(config.safety.joint_acceleration)).max())
    bench.let_pass(longest + CYCLE)
    at = bench.plant.desired
    bench.let_pass(0.2)
    np.testing.assert_allclose(bench.plant.desired, at, atol=1e-9)
    assert bench.worst["acceleration"] <= 1.0 + 1e-6

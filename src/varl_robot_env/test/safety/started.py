"""An arm that begins anywhere, lags, is pushed, blocked, halted and sent home: how near it comes to its bounds."""

import contextlib

import numpy as np
from varl_common.host.progress import progress
from varl_robot_env.arm import ArmError
from varl_robot_env.config.robot import RobotConfig
from varl_robot_env.kinematics.kinematics import Kinematics
from varl_robot_env.motion import Moment, Trajectory
from varl_robot_env.safety.governor import REACHED
from varl_robot_env.safety.homing import WayHome
from varl_robot_env.safety.motion_clock import MotionClock
from varl_robot_env.safety.safety_filter import SafetyFilter
from varl_robot_env.standin.plant import Plant

from .robots import kinematics, robot

CYCLE = 0.002  # s, of the controller
WINDOW = 0.05  # s, over which the acceleration is told
# The most that is allowed of what `from_anywhere` finds: shares of a bound, and how much farther out than where the arm
# was put. Between the places that the filter looks at the tool's way bends.
ALLOWED = {
    "speed": 1.0 + 1e-6,
    "acceleration": 1.0 + 1e-6,
    "leash": 1.0 + 1e-6,
    "beyond_joint_limit_rad": 1e-6,
    "outside_m": 2e-4,
}


class Bench:
    """An arm on its controller, commanded as a real one is; every cycle of its set-point is held to the bounds.

    Attributes:
        worst: by the names of ALLOWED.
    """

    def __init__(self, config: RobotConfig, arm: Kinematics, start: np.ndarray, lag: float) -> None:
        """The arm stands at ``start`` (n,) rad, and follows with a time constant of ``lag`` s."""
        self.config, self.kinematics = config, arm
        self.filter = SafetyFilter(config, arm, ["dx", "dy", "dz"])
        self.plant = Plant(start, 0.0, 0.0, 1.0, servo_lag=lag)
        self.time = 0.0
        self.clock = MotionClock(start, 0.0)
        self.worst = dict.fromkeys(ALLOWED, 0.0)
        self._forget()

    def _forget(self) -> None:
        """Somebody moved the arm: what its set-point did then was no command."""
        self._path = [self.plant.desired]
        self._outside = max(self._out_of_box(self.plant.positions), REACHED)
        self._beyond = self._out_of_limits(self.plant.positions)

    def now(self) -> Moment:
        return Moment(self.plant.positions, self.clock.motion, self.clock.elapsed(self.time))

    def carry_out(self, motion: Trajectory) -> None:
        self.clock.begin(motion, self.time)
        self.plant.command(motion)
        if np.abs(motion.positions[0] - self.plant.positions).max() < 1e-12 and not motion.velocities[0].any():
            self._path = [self.plant.positions]  # a set-point that falls back to where the arm stands moves nothing

    def halt(self) -> None:
        """As a stop does it."""
        commanded = self.clock.commanded(self.time)
        self.carry_out(self.filter.governor.halt(commanded, self.plant.positions, self.plant.velocities))

    def let_pass(self, seconds: float) -> None:
        safety = self.config.safety
        speed = np.minimum(safety.joint_speed, self.kinematics.speeds)
        span = round(WINDOW / CYCLE)
        for _ in range(round(seconds / CYCLE)):
            self.plant.step(CYCLE)
            self.time += CYCLE
            path, at = self._path, self.plant.desired
            path.append(at)
            self._look("speed", (np.abs(at - path[-2]) / CYCLE / speed).max())
            if len(path) > span + 1:
                change = np.abs((at - path[-2]) - (path[-1 - span] - path[-2 - span])) / CYCLE / WINDOW
                self._look("acceleration", (change / safety.joint_acceleration).max())
                path.pop(0)
            ahead = self.kinematics.forward(at)[0] - self.kinematics.forward(self.plant.positions)[0]
            self._look("leash", np.linalg.norm(ahead) / safety.leash)
            self._look("outside_m", self._out_of_box(at) - self._outside)
            self._look("beyond_joint_limit_rad", self._out_of_limits(at) - self._beyond)

    def push(self, joints: np.ndarray) -> None:
        self.plant.push(joints)
        self._forget()

    def _look(self, what: str, value: float) -> None:
        self.worst[what] = max(self.worst[what], float(value))

    def _out_of_box(self, joints: np.ndarray) -> float:
        return self.filter.governor.outside(self.kinematics.forward(joints)[0])

    def _out_of_limits(self, joints: np.ndarray) -> float:
        governor = self.filter.governor
        return float(np.maximum(np.maximum(governor.joint_low - joints, joints - governor.joint_high), 0.0).max())


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
        elif event < 0.17:
            bench.halt()
            bench.let_pass(0.4)
        elif event < 0.175:
            go_home(bench, rng)
        bench.carry_out(bench.filter.filter(action, bench.now()).motion)
        bench.let_pass(period + rng.choice([0.0, 0.0, 0.0, 0.004, 0.03]))


def go_home(bench: Bench, rng: np.random.Generator) -> None:
    """As a reset does it; now and then a stop comes on the way."""
    bench.plant.blocked = False
    way = WayHome(bench.config, bench.kinematics)
    with contextlib.suppress(ArmError):  # from some places there is no way
        while (motion := way.next(bench.now())) is not None:
            bench.carry_out(motion)
            bench.let_pass(bench.config.control_period)
            if rng.random() < 0.01:
                return bench.halt()


def _start(config: RobotConfig, arm: Kinematics, rng: np.random.Generator) -> np.ndarray:
    """Near home, somewhere around it, somewhere in the box, or anywhere that the joints allow: (n,) rad."""
    home = np.array(config.home)
    kind = rng.integers(4)
    if kind == 2:
        low, high = np.array(config.safety.workspace_low), np.array(config.safety.workspace_high)
        place = low + rng.uniform(0.0, 1.0, 3) * (high - low)
        joints = arm.inverse(place, arm.forward(home)[1], home, home)[0]
    else:
        joints = home + rng.normal(0.0, (0.02, 0.3, 0.0, 1.0)[kind], len(home))
    return np.clip(joints, arm.limits[:, 0] + 0.01, arm.limits[:, 1] - 0.01)


def from_anywhere(name: str, starts: int, count: int) -> dict[str, float]:
    """The worst of ``count`` actions from each of so many ``starts``, by the names of ALLOWED.

    The servos of each lag by 20 to 100 ms; every other one is sent home first. ``starts_outside`` began out of the box.
    """
    config = robot(name)
    arm, rng = kinematics(config), np.random.default_rng(starts * count)
    worst, outside = dict.fromkeys(ALLOWED, 0.0), 0
    for start in progress(range(starts), f"{name}, starts", starts):
        bench = Bench(config, arm, _start(config, arm, rng), rng.uniform(0.02, 0.1))
        outside += bench.filter.governor.outside(arm.forward(bench.plant.positions)[0]) > 0
        if start % 2:
            go_home(bench, rng)
        assault(bench, rng, count)
        worst = {what: max(value, bench.worst[what]) for what, value in worst.items()}
    return worst | {"actions": starts * count, "starts": starts, "starts_outside": outside}

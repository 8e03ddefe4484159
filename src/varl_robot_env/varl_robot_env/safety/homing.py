"""The way home: motions, a control period each, that bring the arm to its start through checked places."""

from __future__ import annotations

import numpy as np

from varl_robot_env.arm import ArmError
from varl_robot_env.config.robot import RobotConfig
from varl_robot_env.kinematics.kinematics import Kinematics
from varl_robot_env.motion import Moment, Trajectory
from varl_robot_env.safety.safety_filter import SafetyFilter
from varl_robot_env.types import Array

_NEAR = 0.005  # m: the tool is there
_THERE = 1e-5  # rad: so are the joints
_STILL = 1e-6  # rad a period: it does not move
_LIMIT = 60.0  # s: a way that takes longer is stuck
_HALVINGS = 12
_BY_HAND = "bring the arm near its home by hand or by its pendant, then reset again"


class WayHome:
    """First the tool goes straight to its place at home, within the same bounds as every action; the workspace is a
    box, so a straight way out of it does not exist from inside. Then, where the arm has more than one posture for that
    place, the joints go straight home, if the tool stays in the box meanwhile.
    """

    def __init__(self, robot: RobotConfig, kinematics: Kinematics) -> None:
        self._robot, self._kinematics = robot, kinematics
        self._filter = SafetyFilter(robot, kinematics, with_gripper=False)
        self._governor = self._filter.governor
        self._home = np.array(robot.home)
        self._tool_home = kinematics.forward(self._home)[0]
        self._turning = False
        self._steps = 0

    def next(self, now: Moment) -> Trajectory | None:
        """The next motion, or None at home.

        Raises:
            ArmError: there is no way; a person must bring the arm nearer.
        """
        self._steps += 1
        if self._steps * self._robot.control_period > _LIMIT:
            raise ArmError(f"the way home takes more than {_LIMIT:g} s; {_BY_HAND}")
        joints, velocity = start = self._governor.start(now)
        brake = self._governor.brake(start)
        if np.abs(brake.positions[-1] - self._home).max() <= _THERE:
            return brake if velocity.any() else None
        tool = self._kinematics.forward(joints)[0]
        if not self._turning and np.linalg.norm(self._tool_home - tool) <= _NEAR:
            self._turning = True
            self._check_turn(joints)
        changed: list[str] = []
        wanted = self._turn(*start) if self._turning else self._approach(*start, changed)
        motion, kept = self._governor.next(start, wanted / self._robot.control_period, now.measured)
        if np.abs(motion.positions[-1] - joints).max() < _STILL:
            raise ArmError(f"the way home is blocked ({', '.join([*changed, *kept])}); {_BY_HAND}")
        return motion

    def _approach(self, joints: Array, velocity: Array, changed: list[str]) -> Array:
        """The joint step (n,) rad of a period that moves the tool towards its place at home."""
        rest = self._governor.brake((joints, velocity)).positions[-1]
        tool = self._kinematics.forward(joints)[0]
        left = self._tool_home - self._kinematics.forward(rest)[0]
        # Half of what is left beyond the way to rest: it slows down as it comes near.
        return self._filter.toward(joints, tool + left / 2, changed)

    def _turn(self, joints: Array, velocity: Array) -> Array:
        """The greatest joint step (n,) rad of a period on the straight way home that can still end there."""
        period, way = self._robot.control_period, self._home - joints
        share, step = 0.0, 1.0
        for _ in range(_HALVINGS):
            end = (share + step) * way / period
            after = joints + (velocity + end) * period / 2
            rest = self._governor.brake((after, end)).positions[-1]
            if share + step <= 1.0 and (self._home - rest) @ way >= 0:
                share += step
            step /= 2
        return share * way

    def _check_turn(self, joints: Array) -> None:
        for share in np.linspace(0.0, 1.0, 20):
            if self._governor.outside(self._kinematics.forward(joints + share * (self._home - joints))[0]) > _NEAR:
                raise ArmError(f"turning the joints home would leave the workspace; {_BY_HAND}")

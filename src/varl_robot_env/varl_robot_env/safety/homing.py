"""The way home: motions, a control period each, that bring the arm to its start through checked places."""

from __future__ import annotations

import numpy as np
from varl_common.poses import rotation_of, rotation_vector

from varl_robot_env.arm import ArmError
from varl_robot_env.config.robot import RobotConfig
from varl_robot_env.kinematics.kinematics import Kinematics
from varl_robot_env.motion import Moment, Trajectory
from varl_robot_env.safety.governor import LEANT
from varl_robot_env.safety.safety_filter import SafetyFilter
from varl_robot_env.types import Array

_NEAR = 0.005  # m: the tool is there
_TURNED = 0.05  # rad: and so does it stand
_THERE = 1e-5  # rad: so are the joints
_STILL = 1e-6  # rad a period: it does not move
_LIMIT = 60.0  # s: a way that takes longer is stuck
_AXES = ("dx", "dy", "dz")
_HALVINGS = 12
_BY_HAND = "bring the arm near its home by hand or by its pendant, then reset again"


class WayHome:
    """First the tool goes straight to its place and orientation at home, within the same bounds as every action; the
    workspace is a box, so a straight way out of it does not exist from inside. Then, where the arm has more than one
    posture for that place, the joints go straight home, if the tool stays in the box and its cone meanwhile.
    """

    def __init__(self, robot: RobotConfig, kinematics: Kinematics) -> None:
        self._robot, self._kinematics = robot, kinematics
        self._filter = SafetyFilter(robot, kinematics, _AXES)
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
        if not self._turning and self._is_near(joints):
            self._turning = True
            self._check_turn(joints)
        changed: list[str] = []
        wanted = self._turn(*start) if self._turning else self._approach(*start, changed)
        motion, kept = self._governor.next(start, wanted / self._robot.control_period, now.measured)
        if np.abs(motion.positions[-1] - joints).max() < _STILL:
            if not self._turning and self._is_near(joints, however_turned=True):
                self._turning = True
                self._check_turn(joints)
                return self.next(now)
            raise ArmError(f"the way home is blocked ({', '.join([*changed, *kept])}); {_BY_HAND}")
        return motion

    def _is_near(self, joints: Array, however_turned: bool = False) -> bool:
        tool, rotation = self._kinematics.forward(joints)
        attitude = self._governor.attitude
        stands = however_turned or attitude.turn is None or attitude.apart(rotation, attitude.home) <= _TURNED
        return bool(np.linalg.norm(self._tool_home - tool) <= _NEAR) and stands

    def _approach(self, joints: Array, velocity: Array, changed: list[str]) -> Array:
        """The joint step (n,) rad of a period that moves the tool towards its place at home."""
        rest = self._governor.brake((joints, velocity)).positions[-1]
        (tool, rotation), (end, turned) = map(self._kinematics.forward, (joints, rest))
        # Half of what is left beyond the way to rest: it slows down as it comes near.
        target, attitude = tool + (self._tool_home - end) / 2, self._governor.attitude
        if attitude.turn is None:
            return self._filter.toward(joints, target, changed)
        turn = rotation_vector(attitude.home @ turned.T) / 2
        return self._filter.toward(joints, target, changed, np.asarray(rotation_of(turn) @ rotation))

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
            tool, rotation = self._kinematics.forward(joints + share * (self._home - joints))
            if self._governor.outside(tool) > _NEAR or self._governor.attitude.beyond(rotation) > LEANT:
                raise ArmError(f"turning the joints home would leave the workspace or its cone; {_BY_HAND}")

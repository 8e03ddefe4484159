"""How an arm may move: bounds of speed, acceleration, place and distance that hold from every start."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from varl_robot_env.config.robot import RobotConfig
from varl_robot_env.kinematics.kinematics import Kinematics
from varl_robot_env.motion import Moment, Trajectory
from varl_robot_env.types import Array

# How far inverse kinematics may miss the point asked for before it counts as out of reach, and the box as left, m.
REACHED = 1e-3
ARRIVED = 0.02  # rad: a servo's error at rest
AT_REST = 0.02  # rad/s
_EPSILON = 1e-6  # rad and m: arithmetic
_SHARES = (1.0, 0.75, 0.5, 0.25, 0.125)  # of what is wanted, tried before braking
_APART = 0.03  # rad: between two places that are looked at; the tool's way between them bends by 0.1 mm
_TAUT = 0.99  # of the leash: the arm, too, moves while a motion is carried out
_SHORTEST = 1e-3  # s: a braking that is shorter than a controller's cycle is stretched to it
_SETTLED = 0.3  # s at rest after which servos have done what they will
_PUSHED = ARRIVED  # rad: an arm at rest this far from where it was commanded to be was moved by others


@dataclass(frozen=True)
class _Path:
    """A place (n,) rad, a velocity (n,) rad/s there, and where and when braking from it ends, (n,) rad and s."""

    joints: Array
    velocity: Array
    rest: Array
    braking: float


class Governor:
    """Makes motions of one control period, each of which ends at rest if no other follows.

    A bounded acceleration alone runs an arm through a wall that it comes to too fast. So each motion carries its own
    way to rest, at the same bound, and is taken only if all of it stays inside of every bound; otherwise the arm
    brakes as the motion before would have, which was checked then. From outside of a bound it never gets farther out.
    All joints change their speed in proportion, for a joint left behind would bend the way.
    """

    def __init__(self, robot: RobotConfig, kinematics: Kinematics) -> None:
        safety = robot.safety
        self._kinematics, self._period, self._leash = kinematics, robot.control_period, _TAUT * safety.leash
        self._low, self._high = np.array(safety.workspace_low), np.array(safety.workspace_high)
        self.joint_low = kinematics.limits[:, 0] + safety.joint_margin
        self.joint_high = kinematics.limits[:, 1] - safety.joint_margin
        self._speed = np.minimum(safety.joint_speed, kinematics.speeds)
        self._acceleration = np.array(safety.joint_acceleration)

    def start(self, now: Moment) -> tuple[Array, Array]:
        """Where the next motion begins, (n,) rad and rad/s: where the controller is.

        An arm that others moved while it stood begins where it is; it is not pulled back.
        """
        joints, velocity = now.motion.at(now.elapsed)
        off = np.abs(joints - now.measured).max()
        at_rest = not velocity.any()
        settled = at_rest and now.elapsed > now.motion.duration + _SETTLED
        if (settled and off > _PUSHED) or (at_rest and self._distance(joints, now.measured) > self._leash + REACHED):
            return np.array(now.measured), np.zeros_like(velocity)
        return joints, velocity

    def next(self, start: tuple[Array, Array], wanted: Array, measured: Array) -> tuple[Trajectory, list[str]]:
        """The next motion, and by name what kept it from reaching ``wanted`` (n,) rad/s in its period.

        ``start`` is what :meth:`start` says; ``measured`` (n,) rad.
        """
        joints, velocity = start
        changed: list[str] = []
        excess = float((np.abs(wanted) / self._speed).max())
        if excess > 1.0 + _EPSILON:
            changed.append("velocity")
            wanted = wanted / excess
        brakes = self._path(joints, velocity)
        reachable = self._change(velocity, wanted)
        if np.abs(reachable - wanted).max() > _EPSILON:
            changed.append("acceleration")
        slowest = self._change(velocity, np.zeros_like(velocity))
        for share in _SHARES:
            end = slowest + share * (reachable - slowest)
            after = self._path(joints + (velocity + end) * self._period / 2, end)
            problem = self._problem(brakes, after, measured)
            if problem is None:
                return self._trajectory(joints, velocity, after), changed
            if problem not in changed:
                changed.append(problem)
        return self.brake(start), changed

    def brake(self, start: tuple[Array, Array]) -> Trajectory:
        """To rest at the greatest deceleration, from ``start``: (n,) rad and rad/s."""
        path = self._path(*start)
        if not path.velocity.any():
            return Trajectory.at_rest(path.joints)
        return Trajectory(
            np.array([0.0, path.braking]),
            np.vstack([path.joints, path.rest]),
            np.vstack([path.velocity, np.zeros_like(path.velocity)]),
        )

    def halt(self, commanded: tuple[Array, Array], measured: Array, speeds: Array) -> Trajectory:
        """The motion of a stop: to rest at the greatest deceleration, but what holds the arm is pressed no longer.

        Args:
            commanded: (n,) rad and rad/s that its controller asks for now.
            measured: (n,) rad.
            speeds: (n,) rad/s, measured.
        """
        held = (np.abs(speeds) <= AT_REST).all() and np.abs(commanded[0] - measured).max() > ARRIVED
        return Trajectory.at_rest(measured) if held else self.brake(commanded)

    def outside(self, tool: Array) -> float:
        """How far ``tool`` (3,) m is outside of the workspace, m; 0 inside."""
        return float(np.maximum(np.maximum(self._low - tool, tool - self._high), 0.0).max())

    def boxed(self, tool: Array) -> Array:
        """The point of the workspace nearest to ``tool`` (3,) m."""
        return np.clip(tool, self._low, self._high)

    def _change(self, velocity: Array, wanted: Array) -> Array:
        """The velocity nearest to ``wanted`` that a period's acceleration allows."""
        change = wanted - velocity
        excess = float((np.abs(change) / (self._acceleration * self._period)).max())
        return wanted if excess <= 1.0 else velocity + change / excess

    def _path(self, joints: Array, velocity: Array) -> _Path:
        braking = float((np.abs(velocity) / self._acceleration).max())
        if braking > 0:
            braking = max(braking, _SHORTEST)
        return _Path(joints, velocity, joints + velocity * braking / 2, braking)

    def _trajectory(self, joints: Array, velocity: Array, after: _Path) -> Trajectory:
        times = [0.0, self._period]
        positions, velocities = [joints, after.joints], [velocity, after.velocity]
        if after.velocity.any():
            times.append(self._period + after.braking)
            positions.append(after.rest)
            velocities.append(np.zeros_like(velocity))
        return Trajectory(np.array(times), np.vstack(positions), np.vstack(velocities))

    def _problem(self, brakes: _Path, after: _Path, measured: Array) -> str | None:
        """By name, a bound that the motion that leads to ``after`` would leave farther than braking now would."""
        limit = max(self._beyond(brakes.joints), self._beyond(brakes.rest))
        begin, end = brakes.velocity, after.velocity
        turns = begin * end < 0  # within the period: such a joint goes farther than it is at either end
        turn = np.where(turns, begin * begin / np.where(turns, begin - end, 1.0), 0.0) * self._period / 2
        if max(map(self._beyond, (brakes.joints + turn, after.joints, after.rest))) > limit:
            return "joint_limit"
        before, then = self._tools(brakes), [*self._tools_within(brakes, after), *self._tools(after)]
        # No tolerance beside this: added up in every period it would lead anywhere.
        if max(map(self.outside, then)) > max(REACHED, *map(self.outside, before)):
            return "workspace"
        here = self._kinematics.forward(measured)[0]
        ahead = [max(float(np.linalg.norm(tool - here)) for tool in way) for way in (before, then)]
        return "leash" if ahead[1] > max(self._leash, ahead[0]) else None

    def _tools_within(self, brakes: _Path, after: _Path) -> list[Array]:
        """Places (3,) m of the tool on the way from ``brakes`` to ``after``, between these."""
        begin, change = brakes.velocity, (after.velocity - brakes.velocity) / self._period
        count = 2 + int(np.max(np.maximum(np.abs(begin), np.abs(after.velocity))) * self._period / _APART)
        times = np.linspace(0.0, self._period, count + 1)[1:-1]
        return [self._kinematics.forward(brakes.joints + begin * t + change * t * t / 2)[0] for t in times]

    def _tools(self, path: _Path) -> list[Array]:
        """Places (3,) m of the tool on the way to rest."""
        count = 1 + int(np.ceil(np.abs(path.rest - path.joints).max() / _APART))
        shares = np.linspace(0.0, 1.0, count) if count > 1 else np.ones(1)
        return [self._kinematics.forward(path.joints + share * (path.rest - path.joints))[0] for share in shares]

    def _beyond(self, joints: Array) -> float:
        """How far ``joints`` are beyond their limits less their margin, rad; 0 within."""
        return float(np.maximum(np.maximum(self.joint_low - joints, joints - self.joint_high), 0.0).max())

    def _distance(self, one: Array, other: Array) -> float:
        """Between the tool's places at two postures, m."""
        return float(np.linalg.norm(self._kinematics.forward(one)[0] - self._kinematics.forward(other)[0]))

"""How an arm may move: bounds of speed, acceleration, place, orientation and distance that hold from every start."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from varl_robot_env.config.robot import RobotConfig
from varl_robot_env.kinematics.kinematics import Kinematics
from varl_robot_env.motion import Moment, Trajectory
from varl_robot_env.safety.attitude import Attitude
from varl_robot_env.types import Array

# How far inverse kinematics may miss the point asked for before it counts as out of reach, and the box as left, m.
REACHED = 1e-3
ARRIVED = 0.02  # rad: a servo's error at rest
AT_REST = 0.02  # rad/s
LEANT = 5e-3  # rad: how far the cone may be missed before it counts as left
_EPSILON = 1e-6  # rad and m: arithmetic
_SHARES = (1.0, 0.75, 0.5, 0.25, 0.125)  # of what is wanted, tried before braking
_APART = 0.03  # rad: between two places that are looked at; the tool's way between them bends by 0.1 mm
_TAUT = 0.99  # of the leash: the arm, too, moves while a motion is carried out
_TURNS = 0.97  # of the angular speed: what the joints' speeds make of it changes within a period
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


@dataclass(frozen=True)
class _Tool:
    """The tool somewhere on a way: its place (3,) m, rotation (3, 3) and angular speed, rad/s."""

    place: Array
    rotation: Array
    turning: float


class Governor:
    """Makes motions of one control period, each of which ends at rest if no other follows.

    A bounded acceleration alone runs an arm through a wall that it comes to too fast. So each motion carries its own
    way to rest, at the same bound, and is taken only if all of it stays inside of every bound; otherwise the arm
    brakes as the motion before would have, which was checked then. From outside of a bound it never gets farther out.
    All joints change their speed in proportion, for a joint left behind would bend the way.

    Attributes:
        attitude: how the tool may stand and turn.
    """

    def __init__(self, robot: RobotConfig, kinematics: Kinematics) -> None:
        safety = robot.safety
        self._kinematics, self._period, self._leash = kinematics, robot.control_period, _TAUT * safety.leash
        self._low, self._high = np.array(safety.workspace_low), np.array(safety.workspace_high)
        self.joint_low = kinematics.limits[:, 0] + safety.joint_margin
        self.joint_high = kinematics.limits[:, 1] - safety.joint_margin
        self._speed = np.minimum(safety.joint_speed, kinematics.speeds)
        self._acceleration = np.array(safety.joint_acceleration)
        self.attitude = Attitude(robot.turn, kinematics.forward(np.array(robot.home))[1])

    def start(self, now: Moment) -> tuple[Array, Array]:
        """Where the next motion begins, (n,) rad and rad/s: where the controller is.

        An arm that others moved while it stood begins where it is; it is not pulled back.
        """
        joints, velocity = now.motion.at(now.elapsed)
        off = np.abs(joints - now.measured).max()
        at_rest = not velocity.any()
        settled = at_rest and now.elapsed > now.motion.duration + _SETTLED
        if (settled and off > _PUSHED) or (at_rest and self._is_pulled(joints, now.measured)):
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
        wanted = self._turning_slower(joints, velocity, wanted, changed)
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
        here, turned = self._kinematics.forward(measured)
        # No tolerance beside this: added up in every period it would lead anywhere.
        if max(self.outside(tool.place) for tool in then) > max(
            REACHED, *(self.outside(tool.place) for tool in before)
        ):
            return "workspace"
        ahead = [max(float(np.linalg.norm(tool.place - here)) for tool in way) for way in (before, then)]
        if ahead[1] > max(self._leash, ahead[0]):
            return "leash"
        return self._turn_problem(before, then, turned)

    def _turn_problem(self, before: list[_Tool], then: list[_Tool], measured: Array) -> str | None:
        """The same of the tool's orientation, which is measured to be ``measured`` (3, 3)."""
        turn, attitude = self.attitude.turn, self.attitude
        if turn is None:
            return None
        fastest = max(tool.turning for tool in then)
        if fastest > turn.speed and fastest > max(tool.turning for tool in before):
            return "velocity"
        leans = max(attitude.beyond(tool.rotation) for tool in then)
        if leans > LEANT and leans > max(attitude.beyond(tool.rotation) for tool in before):
            return "cone"
        ahead = max(attitude.apart(tool.rotation, measured) for tool in then)
        if ahead > _TAUT * turn.leash and ahead > max(attitude.apart(tool.rotation, measured) for tool in before):
            return "leash"
        return None

    def _turning_slower(self, joints: Array, velocity: Array, wanted: Array, changed: list[str]) -> Array:
        """``wanted`` (n,) rad/s, or as much of it as the tool's angular speed allows at both ends of the period."""
        turn = self.attitude.turn
        if turn is None or np.abs(wanted).sum() <= _TURNS * turn.speed:  # it cannot turn faster than all joints do
            return wanted
        end = joints + (velocity + wanted) * self._period / 2
        excess = max(self._kinematics.turning(at, wanted)[2] for at in (joints, end)) / (_TURNS * turn.speed)
        if excess <= 1.0:
            return wanted
        if "velocity" not in changed:
            changed.append("velocity")
        return wanted / excess

    def _tools_within(self, brakes: _Path, after: _Path) -> list[_Tool]:
        """The tool on the way from ``brakes`` to ``after``, between these."""
        begin, change = brakes.velocity, (after.velocity - brakes.velocity) / self._period
        count = 2 + int(np.max(np.maximum(np.abs(begin), np.abs(after.velocity))) * self._period / _APART)
        times = np.linspace(0.0, self._period, count + 1)[1:-1]
        return [self._tool(brakes.joints + begin * t + change * t * t / 2, begin + change * t) for t in times]

    def _tools(self, path: _Path) -> list[_Tool]:
        """The tool on the way to rest."""
        way = path.rest - path.joints
        count = 1 + int(np.ceil(np.abs(way).max() / _APART))
        shares = np.linspace(0.0, 1.0, count) if count > 1 else np.ones(1)
        # At a constant deceleration the speed falls with the root of the way that is left.
        return [self._tool(path.joints + share * way, np.sqrt(1.0 - share) * path.velocity) for share in shares]

    def _tool(self, joints: Array, velocity: Array) -> _Tool:
        turn = self.attitude.turn
        if turn is None or np.abs(velocity).sum() <= turn.speed:  # it turns no faster than that
            return _Tool(*self._kinematics.forward(joints), 0.0)
        return _Tool(*self._kinematics.turning(joints, velocity))

    def _beyond(self, joints: Array) -> float:
        """How far ``joints`` are beyond their limits less their margin, rad; 0 within."""
        return float(np.maximum(np.maximum(self.joint_low - joints, joints - self.joint_high), 0.0).max())

    def _is_pulled(self, commanded: Array, measured: Array) -> bool:
        """Whether the tool is farther from where it is commanded to be than the leash is long."""
        (place, rotation), (here, turned) = map(self._kinematics.forward, (commanded, measured))
        turn = self.attitude.turn
        apart = self.attitude.apart(rotation, turned)
        return bool(np.linalg.norm(place - here) > self._leash + REACHED or (turn and apart > turn.leash + LEANT))

"""What RViz shows of a run: workspace, goal, actions, advice, the tool's path, the state in words."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import numpy as np
from builtin_interfaces.msg import Duration
from geometry_msgs.msg import Point, Vector3
from std_msgs.msg import ColorRGBA, Header
from varl_common.env_description import motion_of
from visualization_msgs.msg import Marker, MarkerArray

from varl_interfaces.msg import Advised, EnvStatus, TrainingStatus
from varl_robot_env.config.robot import RobotConfig

_PATH = 400  # points of the tool's path: 20 s at 20 Hz
_ARROW = 8.0  # an arrow is so many times longer than its action's motion, which is a centimetre
_AXIS = 2.0  # m per rad: the arrow of a turn lies along its axis, by the right hand
_GREY, _GREEN, _RED = (0.7, 0.7, 0.7, 0.8), (0.15, 0.70, 0.25, 0.8), (1.0, 0.45, 0.40, 1.0)
_BLUE, _ORANGE, _WHITE = (0.10, 0.45, 0.85, 0.9), (0.95, 0.60, 0.10, 0.9), (1.0, 1.0, 1.0, 1.0)
_PALE_BLUE, _MAGENTA = (0.10, 0.45, 0.85, 0.35), (0.85, 0.15, 0.75, 0.9)
_SHOWN = Duration(sec=2)  # advice is drawn again with every picture; what the next advice leaves out goes out


class Markers:
    """Turns the newest statuses into markers. One namespace a kind, so that RViz can hide each."""

    def __init__(self, robot: RobotConfig) -> None:
        self._low, self._high = np.array(robot.safety.workspace_low), np.array(robot.safety.workspace_high)
        self._frame = robot.base_frame
        self._path: deque[Point] = deque(maxlen=_PATH)

    def draw(self, env: EnvStatus, training: TrainingStatus | None, advice: Advised | None = None) -> MarkerArray:
        """The markers for an env's status and, where a learner runs, its training's and the newest advice."""
        header = Header(stamp=env.header.stamp, frame_id=self._frame)
        self._path.append(env.tool)
        markers = [self._box(header), self._line(header), self._words(header, env, training)]
        if np.isfinite([env.target.x, env.target.y, env.target.z]).all():
            goal = _marker(header, "goal", Marker.SPHERE, _GREEN, (0.04, 0.04, 0.04))
            goal.pose.position = env.target
            markers.append(goal)
        tool = _array(env.tool)
        if len(env.action):
            for kind, action, color in (("asked", env.action, _ORANGE), ("executed", env.executed_action, _BLUE)):
                way, turn = motion_of(action, env.action_names, env.action_scale)
                markers.append(_arrow(header, f"{kind} action", tool, _ARROW * way, color))
                if turn is not None:
                    markers.append(_arrow(header, f"{kind} turn", tool, _AXIS * turn, color))
        if advice is not None:
            markers += _advice(header, advice)
        return MarkerArray(markers=markers)

    def _box(self, header: Header) -> Marker:
        box = _marker(header, "workspace", Marker.LINE_LIST, _GREY, (0.003, 0.0, 0.0))
        corners = [np.where([i & 1, i & 2, i & 4], self._high, self._low) for i in range(8)]
        edges = [(i, i | bit) for i in range(8) for bit in (1, 2, 4) if not i & bit]
        box.points = [_point(corners[i]) for edge in edges for i in edge]
        return box

    def _line(self, header: Header) -> Marker:
        line = _marker(header, "tool path", Marker.LINE_STRIP, _WHITE, (0.002, 0.0, 0.0))
        line.points = list(self._path)
        return line

    def _words(self, header: Header, env: EnvStatus, training: TrainingStatus | None) -> Marker:
        # RViz takes x for the width of a space; without it that is as wide as in a text of a metre's height.
        words = _marker(header, "status", Marker.TEXT_VIEW_FACING, _RED if env.stopped else _WHITE, (0.02, 0.0, 0.035))
        words.pose.position = _point([self._high[0], self._low[1], self._high[2] + 0.12])
        lines = [f"STOPPED: {env.reason}" if env.stopped else "armed"]
        if env.intervened:
            lines.append("a person acts")
        if env.interventions:
            lines.append(f"safety: {', '.join(env.interventions)}")
        if training is not None:
            lines.append(f"step {training.step} of {training.total_steps}, success {training.success_rate:.0%}")
        words.text = "\n".join(lines)
        return words


def _advice(header: Header, advice: Advised) -> list[Marker]:
    """Two arrows a moment, and two more where the tool turns: what was done there, and what is advised."""
    markers = []
    for kind, motions, longer, color in (
        ("executed then", advice.executed, _ARROW, _PALE_BLUE),
        ("advised", advice.advised, _ARROW, _MAGENTA),
        ("turned then", advice.executed_turns, _AXIS, _PALE_BLUE),
        ("advised turn", advice.advised_turns, _AXIS, _MAGENTA),
    ):
        for number, (tool, motion) in enumerate(zip(advice.tools, motions, strict=False)):  # turns may be none
            arrow = _arrow(header, kind, _array(tool), longer * _array(motion), color)
            arrow.id, arrow.lifetime = number, _SHOWN
            markers.append(arrow)
    return markers


def _arrow(header: Header, kind: str, tool: np.ndarray, way: np.ndarray, color: tuple[float, ...]) -> Marker:
    """From the tool on, (3,) m."""
    arrow = _marker(header, kind, Marker.ARROW, color, (0.006, 0.012, 0.0))
    arrow.points = [_point(tool), _point(tool + way)]
    return arrow


def _marker(
    header: Header, kind: str, shape: int, color: tuple[float, ...], scale: tuple[float, float, float]
) -> Marker:
    marker = Marker(header=header, ns=kind, type=shape, action=Marker.ADD)
    marker.pose.orientation.w = 1.0
    marker.scale = Vector3(x=scale[0], y=scale[1], z=scale[2])
    marker.color = ColorRGBA(r=color[0], g=color[1], b=color[2], a=color[3])
    return marker


def _point(position: Sequence[float] | np.ndarray) -> Point:
    return Point(x=float(position[0]), y=float(position[1]), z=float(position[2]))


def _array(vector: Point | Vector3) -> np.ndarray:
    return np.array([vector.x, vector.y, vector.z])

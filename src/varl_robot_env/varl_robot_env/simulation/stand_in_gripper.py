"""A parallel gripper for an arm whose description has none: two fingers at the tool, moved by the gripper's joint."""

from __future__ import annotations

from varl_robot_env.config.robot import RobotConfig

_HALF_OPENING = 0.04  # m: a finger's way; a block of 4 cm fits with room on both sides
_FORCE = 30.0  # N a finger presses with: about a 2F-85's least
_TIP = 0.014  # m that the fingers reach beyond the tool
_FINGER = (0.02, 0.01, 0.06)  # m
_PALM = (0.06, 0.12, 0.04)
_MASS = 0.05  # kg of a finger


def with_gripper(urdf: str, robot: RobotConfig) -> str:
    """``urdf`` with a gripper on the tool's frame, whose z axis points out of the hand; its fingers meet along y.

    Its joint has the name and the ends that the robot's file says, and both fingers mimic it.
    """
    gripper = robot.gripper
    assert gripper is not None
    per_unit = _HALF_OPENING / (gripper.open - gripper.closed)  # m that a finger moves as the joint moves by one
    low, high = sorted((gripper.open, gripper.closed))
    effort = 2 * _FORCE * abs(per_unit)  # the work of the joint is that of both fingers
    parent = robot.tool_frame
    parts = [
        _link(f"{gripper.joint} drive", ""),
        _joint(gripper.joint, "revolute", parent, f"{gripper.joint} drive", "0 0 1", low, high, effort, gripper.speed),
        _link("stand-in palm", _box(_PALM, (0.0, 0.0, _TIP - _FINGER[2] - _PALM[2] / 2), "visual")),
        f'<joint name="stand-in palm" type="fixed"><parent link="{parent}"/><child link="stand-in palm"/></joint>',
    ]
    for side, axis in (("left", 1.0), ("right", -1.0)):
        name, place = f"stand-in {side} finger", (0.0, axis * _FINGER[1] / 2, _TIP - _FINGER[2] / 2)
        shape = _box(_FINGER, place, "visual") + _box(_FINGER, place, "collision")
        mimic = (
            f'<mimic joint="{gripper.joint}" multiplier="{per_unit:.9g}" offset="{-gripper.closed * per_unit:.9g}"/>'
        )
        parts += [
            _link(name, shape),
            _joint(name, "prismatic", parent, name, f"0 {axis:g} 0", 0.0, _HALF_OPENING, _FORCE, 1.0, mimic),
        ]
    body, end, rest = urdf.rpartition("</robot>")
    return "".join([body, *parts, end, rest])


def _link(name: str, shapes: str) -> str:
    inertia = 'ixx="1e-5" iyy="1e-5" izz="1e-5" ixy="0" ixz="0" iyz="0"'
    return f'<link name="{name}"><inertial><mass value="{_MASS}"/><inertia {inertia}/></inertial>{shapes}</link>'


def _joint(
    name: str, kind: str, parent: str, child: str, axis: str, low: float, high: float, effort: float, speed: float,
    more: str = "",
) -> str:  # fmt: skip
    limit = f'<limit lower="{low:g}" upper="{high:g}" effort="{effort:.6g}" velocity="{speed:g}"/>'
    ends = f'<parent link="{parent}"/><child link="{child}"/>'
    return f'<joint name="{name}" type="{kind}">{ends}<axis xyz="{axis}"/>{limit}{more}</joint>'


def _box(size: tuple[float, ...], place: tuple[float, ...], kind: str) -> str:
    numbers = (" ".join(f"{value:g}" for value in values) for values in (place, size))
    return '<{0}><origin xyz="{1}"/><geometry><box size="{2}"/></geometry></{0}>'.format(kind, *numbers)

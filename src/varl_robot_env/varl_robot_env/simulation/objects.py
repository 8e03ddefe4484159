"""The things of a task as bodies of the simulated world, and which of them touch which."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from varl_common.errors import VarlError, did_you_mean

from varl_robot_env.config.robot import RobotConfig
from varl_robot_env.config.things import TOOL, ObjectConfig, ThingConfig
from varl_robot_env.headless_mujoco import mujoco
from varl_robot_env.kinematics.kinematics import Kinematics
from varl_robot_env.simulation.robot_model import RobotModel
from varl_robot_env.types import Array

# Collision bits: the robot touches things, things touch each other and the robot, the robot not itself.
ROBOT_BIT, THING_BIT = 2, 1
UNTOUCHED = {"contype": 0, "conaffinity": 0}
_FEEL = {"condim": 4, "solref": [0.005, 1.0]}
TOUCHES = {"contype": THING_BIT, "conaffinity": THING_BIT | ROBOT_BIT, **_FEEL}
_OF_THE_ROBOT = {"contype": ROBOT_BIT, "conaffinity": THING_BIT, **_FEEL}
_SHAPES = {
    "box": mujoco.mjtGeom.mjGEOM_BOX,
    "cylinder": mujoco.mjtGeom.mjGEOM_CYLINDER,
    "sphere": mujoco.mjtGeom.mjGEOM_SPHERE,
}
_FACES = 32  # of a cone


def add_things(spec: Any, robot: RobotConfig, things: Mapping[str, ThingConfig], friction: float) -> None:
    """Bodies by the things' names, in ``spec`` (mujoco.MjSpec); ``friction``: where a thing has none of its own.

    What has a mass is pushed around, what a link carries is a part of the robot, and the rest stays where the scene
    puts it.

    Raises:
        VarlError: a file is no model for MuJoCo, or the robot has no such link.
    """
    for name, thing in things.items():
        if thing.object is None:
            continue
        if thing.object.mjcf:
            _attach(spec, name, thing.object.mjcf)
        elif thing.link:
            _add_shape(spec, _carried(spec, robot, name, thing), name, thing.object, friction, _OF_THE_ROBOT)
        else:
            body = spec.worldbody.add_body(name=name, mocap=thing.object.mass is None)
            if thing.object.mass is not None:
                body.add_freejoint()
            _add_shape(spec, body, name, thing.object, friction, UNTOUCHED if thing.object.mark else TOUCHES)


def _carried(spec: Any, robot: RobotConfig, name: str, thing: ThingConfig) -> Any:
    """A body on the link that carries it."""
    turn, frame = np.eye(3), thing.link
    if thing.link == TOOL:
        kinematics = Kinematics(robot.urdf_text(), robot.joints, robot.base_frame, robot.tool_frame)
        turn, frame = kinematics.forward(np.array(robot.home))[1].T, robot.tool_frame
    link = spec.body(RobotModel.body(frame))
    if link is None:
        known = did_you_mean(frame, [TOOL, *(body.name for body in spec.bodies[1:])])
        raise VarlError(f"the robot has no link {frame!r} to carry {name}; {known}")
    quaternion: Array = np.empty(4)
    mujoco.mju_mat2Quat(quaternion, np.ascontiguousarray(turn).ravel())
    return link.add_body(name=name, pos=turn @ np.array(thing.offset), quat=quaternion)


def _attach(spec: Any, name: str, file: str) -> None:
    """A body ``name`` that stays where the scene puts it, and on it an MJCF file's model: ``name/<its names>``."""
    body = spec.worldbody.add_body(name=name, mocap=True)
    try:
        spec.attach(mujoco.MjSpec.from_file(file), prefix=f"{name}/", frame=body.add_frame())
    except (ValueError, mujoco.FatalError) as error:
        raise VarlError(f"{file} is not a model for MuJoCo: {' '.join(str(error).split())}") from None


def _add_shape(spec: Any, body: Any, name: str, thing: ObjectConfig, friction: float, touches: dict[str, Any]) -> None:
    rubs = {} if thing.mark else {"friction": [thing.friction or friction, 0.01, 0.0001]}
    if thing.mesh or thing.shape == "cone":
        # They touch in several points at once: with one alone they would rock and creep.
        spec.option.enableflags |= mujoco.mjtEnableBit.mjENBL_MULTICCD
    known = {"name": name, "mass": thing.mass or 0.0, "rgba": thing.rgba, **touches, **rubs}
    if thing.mesh:
        spec.add_mesh(name=name, file=thing.mesh)
        body.add_geom(type=mujoco.mjtGeom.mjGEOM_MESH, meshname=name, **known)
    elif thing.shape == "cone":
        spec.add_mesh(name=name, uservert=_cone(*thing.size).ravel())
        body.add_geom(type=mujoco.mjtGeom.mjGEOM_MESH, meshname=name, **known)
    else:
        assert thing.shape
        half = thing.half if thing.shape == "box" else (thing.half[0], thing.half[2], 0.0)
        body.add_geom(type=_SHAPES[thing.shape], size=half, **known)


def _cone(diameter: float, height: float) -> Array:
    """(n, 3) m: corners of a cone that stands, about the middle of its height."""
    angles = np.linspace(0.0, 2 * np.pi, _FACES, endpoint=False)
    foot = np.stack([np.cos(angles), np.sin(angles), np.zeros(_FACES)], 1) * diameter / 2
    return np.vstack([foot, [0.0, 0.0, height]]) - [0.0, 0.0, height / 2]

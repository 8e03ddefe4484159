"""The simulated world: the robot's URDF on a table, with the things of a task and a camera."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Self

import numpy as np
from pydantic import Field, PositiveFloat, field_validator, model_validator
from varl_common.config import Config
from varl_common.errors import VarlError, did_you_mean
from varl_common.yaml_file import load_yaml

from varl_robot_env.config.robot import RobotConfig, Vector3
from varl_robot_env.config.things import ThingConfig
from varl_robot_env.headless_mujoco import mujoco
from varl_robot_env.simulation.objects import ROBOT_BIT, THING_BIT, TOUCHES, UNTOUCHED, add_things
from varl_robot_env.simulation.robot_model import RobotModel, robot_model
from varl_robot_env.types import Array

# A servo gives its full effort at this error, rad: the stiffness of a position-controlled arm.
_FULL_EFFORT_ERROR = 0.02
_FULL_EFFORT_ERROR_SLIDE = 0.005  # m, for a prismatic joint
_ARMATURE = 0.1  # kg m^2: rotor inertia seen through a gear of about 1:100
_ARMATURE_SLIDE = 0.1  # kg, the same for a prismatic joint
_HELD, _HELD_DAMPING = 1e3, 1e2  # N m/rad and N m s/rad (N/m): of joints that are nobody's to move
_COLLISION_GROUP = 3  # not drawn
_TABLE_HALF = (0.42, 0.55, 0.02)
_TABLE_CENTRE_X = 0.28
_LEG_HALF = (0.025, 0.34)
CAMERAS = ("camera", "second_camera")
"""Those of the world: the first two of a robot's file, in its order."""


_LARGEST = 4096  # pixels: what software GL draws without running out of memory


class SimulatorConfig(Config):
    """Physics and camera of the simulated world: config/simulator.yaml."""

    timestep: PositiveFloat
    """Physics step, s."""
    joint_state_rate: PositiveFloat
    """Joint states per second of simulated time in real-time mode, Hz."""
    friction: PositiveFloat
    """Coulomb friction between things, table and fingers, where a thing has none of its own."""
    camera_width: Annotated[int, Field(gt=0, le=_LARGEST)]
    camera_height: Annotated[int, Field(gt=0, le=_LARGEST)]
    camera_rate: PositiveFloat
    """Frames per second in real-time mode, Hz."""
    camera_fov: Annotated[float, Field(gt=0, lt=180)]
    """Vertical field of view, degrees."""
    camera_position: Vector3
    """m, base frame."""
    camera_look_at: Vector3
    """m, base frame."""
    second_camera_position: Vector3
    """m, base frame: of the robot's second camera, where its file has one."""
    second_camera_look_at: Vector3
    """m, base frame."""

    @model_validator(mode="after")
    def _looks_somewhere(self) -> Self:
        if self.camera_position == self.camera_look_at:
            raise ValueError("camera_position and camera_look_at are the same place; let the camera look elsewhere")
        return self

    @field_validator("timestep")
    @classmethod
    def _whole_microseconds(cls, timestep: float) -> float:
        if abs(timestep * 1e6 - round(timestep * 1e6)) > 1e-9 or timestep > 0.01:
            raise ValueError("must be a whole number of microseconds, at most 0.01 s; 0.002 is usual")
        return timestep

    @classmethod
    def from_yaml(cls, path: str | Path, **overrides: Any) -> Self:
        """Read the simulator's section of a ROS parameter file.

        Raises:
            VarlError: the file is missing, has no such section, or a field is wrong.
        """
        try:
            values = load_yaml(path)["/**/simulator"]["ros__parameters"]
        except (KeyError, TypeError):
            raise VarlError(f"{path} has no section '/**/simulator: ros__parameters:'; add it") from None
        return cls.from_dict(values | overrides, str(path))


def build_world(
    robot: RobotConfig,
    config: SimulatorConfig,
    things: Mapping[str, ThingConfig],
    varied: Callable[[Any], None] | None = None,
) -> Any:
    """The compiled ``mujoco.MjModel``: the robot with position servos, table, ``things`` by their names, ``camera``.

    ``varied`` adds to the ``mujoco.MjSpec`` what other looks need.

    Raises:
        VarlError: the URDF cannot be simulated.
    """
    model = robot_model(robot)
    try:
        spec = mujoco.MjSpec.from_string(model.xml, {}, model.assets)
        _physics(spec, config)
        _servos(spec, robot, model)
        _scene(spec, config)
        add_things(spec, robot, things, config.friction)
        if varied is not None:
            varied(spec)
        return spec.compile()
    except (ValueError, mujoco.FatalError) as error:
        raise VarlError(f"{robot.source}: MuJoCo cannot simulate the robot's description: {error}") from None


def _physics(spec: Any, config: SimulatorConfig) -> None:
    option = spec.option
    option.timestep = config.timestep
    option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    # Elliptic cones with many friction iterations: a block held by friction alone does not creep out of the fingers.
    option.cone = mujoco.mjtCone.mjCONE_ELLIPTIC
    option.impratio = 10.0
    option.iterations, option.noslip_iterations = 30, 0
    for body in spec.bodies[1:]:
        body.gravcomp = 1.0  # the drivers of real arms compensate for gravity
    for geom in spec.geoms:
        drawn = geom.contype == 0 and geom.conaffinity == 0
        geom.group = 1 if drawn else _COLLISION_GROUP
        if not drawn:
            geom.contype, geom.conaffinity, geom.condim = ROBOT_BIT, THING_BIT, 4
            geom.friction = [config.friction, 0.01, 0.0001]
            geom.solref = [0.005, 1.0]


def _servos(spec: Any, robot: RobotConfig, model: RobotModel) -> None:
    """A stiff, critically damped position servo on each joint; a mimicking finger is tied to the one it mimics, and a
    joint that nobody moves is held."""
    driven = [*robot.joints, *([robot.gripper.joint] if robot.gripper else [])]
    slides = {joint.name: joint.type == mujoco.mjtJoint.mjJNT_SLIDE for joint in spec.joints}
    if lacking := [name for name in driven if name not in slides]:
        raise VarlError(f"{robot.source}: the URDF has no joint {lacking[0]!r}; {did_you_mean(lacking[0], slides)}")
    for joint in spec.joints:
        joint.armature = _ARMATURE_SLIDE if slides[joint.name] else _ARMATURE
    for name in driven:
        joint = spec.joint(name)
        effort = float(joint.actfrcrange[1]) or 1.0
        stiffness = effort / (_FULL_EFFORT_ERROR_SLIDE if slides[name] else _FULL_EFFORT_ERROR)
        actuator = spec.add_actuator(name=name, target=name, trntype=mujoco.mjtTrn.mjTRN_JOINT)
        actuator.gaintype, actuator.biastype = mujoco.mjtGain.mjGAIN_FIXED, mujoco.mjtBias.mjBIAS_AFFINE
        actuator.gainprm[0] = stiffness
        actuator.biasprm[:3] = [0.0, -stiffness, 1.0]  # a positive third value is a damping ratio
    for equality in list(spec.equalities):  # a version of MuJoCo that reads <mimic> has tied them already
        spec.delete(equality)
    ties = {follower: tie for follower, *tie in model.ties}
    for joint in spec.joints:
        if joint.name in driven:
            continue
        if joint.name in ties and ties[joint.name][0] in slides:
            leader, multiplier, offset = ties[joint.name]
        elif slides[joint.name] and robot.gripper:
            leader, multiplier, offset = robot.gripper.joint, 1.0, 0.0
        else:
            joint.stiffness, joint.damping = _HELD, _HELD_DAMPING
            continue
        tie = spec.add_equality(type=mujoco.mjtEq.mjEQ_JOINT, objtype=mujoco.mjtObj.mjOBJ_JOINT)
        tie.name1, tie.name2 = joint.name, leader
        tie.data[:5] = [offset, multiplier, 0, 0, 0]
        tie.solref = [0.004, 1.0]


def _scene(spec: Any, config: SimulatorConfig) -> None:
    world = spec.worldbody
    box, cylinder = mujoco.mjtGeom.mjGEOM_BOX, mujoco.mjtGeom.mjGEOM_CYLINDER
    friction = [config.friction, 0.01, 0.0001]
    world.add_geom(
        name="table",
        type=box,
        size=_TABLE_HALF,
        pos=[_TABLE_CENTRE_X, 0, -_TABLE_HALF[2]],
        rgba=[0.80, 0.68, 0.53, 1],
        friction=friction,
        **TOUCHES,
    )
    for x in (-1, 1):
        for y in (-1, 1):
            corner = [_TABLE_CENTRE_X + 0.92 * x * _TABLE_HALF[0], 0.92 * y * _TABLE_HALF[1]]
            leg = [*corner, -2 * _TABLE_HALF[2] - _LEG_HALF[1]]
            world.add_geom(type=cylinder, size=[*_LEG_HALF, 0], pos=leg, rgba=[0.22, 0.23, 0.25, 1], **UNTOUCHED)
    floor = -2 * (_TABLE_HALF[2] + _LEG_HALF[1])
    world.add_geom(
        type=mujoco.mjtGeom.mjGEOM_PLANE, size=[4, 4, 1], pos=[0, 0, floor], rgba=[0.62, 0.65, 0.68, 1], **UNTOUCHED
    )

    world.add_light(
        directional=True,
        pos=[1.0, -0.6, 2.0],
        dir=[-0.35, 0.25, -1],
        diffuse=[0.55] * 3,
        specular=[0.15] * 3,
        castshadow=False,
    )
    world.add_light(
        directional=True,
        pos=[0.5, 1.5, 1.5],
        dir=[0.1, -0.9, -0.7],
        diffuse=[0.25] * 3,
        specular=[0] * 3,
        castshadow=False,
    )
    places = (
        (config.camera_position, config.camera_look_at),
        (config.second_camera_position, config.second_camera_look_at),
    )
    for name, (position, at) in zip(CAMERAS, places, strict=True):
        quaternion = _look(np.array(position), np.array(at))
        world.add_camera(name=name, pos=position, quat=quaternion, fovy=config.camera_fov)
    spec.add_texture(
        name="sky",
        type=mujoco.mjtTexture.mjTEXTURE_SKYBOX,
        builtin=mujoco.mjtBuiltin.mjBUILTIN_GRADIENT,
        rgb1=[0.93, 0.95, 0.97],
        rgb2=[0.70, 0.75, 0.80],
        width=64,
        height=384,
    )
    visual = spec.visual
    visual.quality.offsamples, visual.quality.shadowsize = 0, 0  # both are what software rendering spends its time on
    visual.headlight.ambient, visual.headlight.diffuse = [0.45] * 3, [0.25] * 3
    visual.headlight.specular = [0.05] * 3
    visual.map.znear = 0.02
    getattr(visual, "global").offwidth = config.camera_width
    getattr(visual, "global").offheight = config.camera_height


def _look(position: Array, at: Array) -> Array:
    """Quaternion w, x, y, z of a MuJoCo camera (it looks along -z, y up) at ``position`` that looks ``at`` a point."""
    back = (position - at) / np.linalg.norm(position - at)
    right = np.cross([0.0, 0.0, 1.0], back)
    right /= np.linalg.norm(right)
    quaternion = np.empty(4)
    mujoco.mju_mat2Quat(quaternion, np.column_stack([right, np.cross(back, right), back]).flatten())
    return quaternion

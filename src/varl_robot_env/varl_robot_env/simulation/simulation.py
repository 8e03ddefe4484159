"""The simulator: a world, joint trajectory controllers, and time that passes when told."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from varl_common.errors import VarlError, did_you_mean

from varl_robot_env.config.robot import RobotConfig
from varl_robot_env.config.things import ThingConfig
from varl_robot_env.headless_mujoco import mujoco
from varl_robot_env.motion import Trajectory
from varl_robot_env.simulation.camera import Camera
from varl_robot_env.simulation.lock_step import check_scene, whole_steps
from varl_robot_env.simulation.looks import Looks, restyle
from varl_robot_env.simulation.objects import ROBOT_BIT
from varl_robot_env.simulation.robot_model import RobotModel
from varl_robot_env.simulation.trajectory_controller import TrajectoryController
from varl_robot_env.simulation.world import CAMERAS, SimulatorConfig, build_world
from varl_robot_env.types import Array, Pose


class Simulation:
    """A robot in its world.

    Times are integers: nanoseconds since the simulation began. They never go back, a new scene has a new time, so that
    a time names one state, and nothing in the physics depends on them.

    Attributes:
        joint_names: every joint of the robot, in the order of :meth:`joints`.
        controllers: joint names by controller.
        cameras: of the robot's file, in its order, as far as the world has them; one at least.
    """

    def __init__(
        self,
        robot: RobotConfig,
        config: SimulatorConfig,
        things: Mapping[str, ThingConfig],
        looks: Looks | None = None,
    ) -> None:
        """Build the world, with the robot at home, its gripper open, and the ``things`` of a task that are objects.

        With ``looks`` it can look otherwise (:meth:`restyle`).

        Raises:
            VarlError: the robot's URDF cannot be simulated, or lacks one of its joints.
        """
        self._looks = looks
        self.model = build_world(robot, config, things, None if looks is None else looks.prepare)
        self._usual = copy.copy(self.model)
        self.data = mujoco.MjData(self.model)
        size = config.camera_width, config.camera_height
        self.cameras = [Camera(self.model, name, *size) for name in CAMERAS[: max(1, len(robot.cameras))]]
        self.controllers: dict[str, list[str]] = {robot.arm_controller: list(robot.joints)}
        if robot.gripper:
            self.controllers[robot.gripper.controller] = [robot.gripper.joint]
        self._step = 0  # 0 is not the time of any state: as a stamp it means "now"
        self.step_ns = round(config.timestep * 1e9)
        named = [self.model.joint(i) for i in range(self.model.njnt) if self.model.joint(i).name]
        joints = [joint for joint in named if "/" not in joint.name]  # of the robot, not of a thing
        self.joint_names = [joint.name for joint in joints]
        self._qpos = np.array([joint.qposadr[0] for joint in joints])
        self._dofs = np.array([joint.dofadr[0] for joint in joints])
        self._bodies = {
            name: self.model.body(name).id for name, thing in things.items() if thing.object and not thing.link
        }
        self._starts = {name: _starts(self.model, name, things[name]) for name in self._bodies}
        self._parts = {name: _part(self.model, name, thing.part) for name, thing in things.items() if thing.part}
        self._tool = self.model.body(RobotModel.body(robot.tool_frame)).id
        self._actuators = {
            controller: [self.model.actuator(joint).id for joint in joints]
            for controller, joints in self.controllers.items()
        }
        self._motions: dict[str, TrajectoryController] = {}
        home = dict(zip(robot.joints, robot.home, strict=True))
        if robot.gripper:
            home[robot.gripper.joint] = robot.gripper.open
        self._home = home
        self.set_scene({}, {})

    @property
    def camera(self) -> Camera:
        """The first camera."""
        return self.cameras[0]

    @property
    def time_ns(self) -> int:
        """Simulated time."""
        return self._step * self.step_ns

    @property
    def tool(self) -> Array:
        """(3,) m: where the tool is."""
        return np.array(self.data.xpos[self._tool])

    def joints(self) -> tuple[Array, Array]:
        """Positions (rad, m) and speeds (rad/s, m/s) of ``joint_names``."""
        return self.data.qpos[self._qpos], self.data.qvel[self._dofs]

    def entities(self) -> dict[str, Pose]:
        """Pose of each entity in the base frame."""
        poses = {name: self._pose(body) for name, body in self._bodies.items()}
        for name, part in self._parts.items():
            poses[name] = _ros_pose(np.concatenate([self.data.xpos[part], self.data.xquat[part]]))
        return poses

    def force(self) -> Array:
        """(3,) N: what presses on the robot, in the frame of its tool, as a sensor at the wrist feels it."""
        total, six, contact = np.zeros(3), np.zeros(6), self.data.contact
        robot = self.model.geom_contype[contact.geom] == ROBOT_BIT  # (contacts, 2)
        for number in np.flatnonzero(robot[:, 0] != robot[:, 1]):
            mujoco.mj_contactForce(self.model, self.data, number, six)
            on_second = contact.frame[number].reshape(3, 3).T @ six[:3]  # its x axis points from first to second
            total += on_second if robot[number, 1] else -on_second
        return self.data.xmat[self._tool].reshape(3, 3).T @ total

    def command(self, controller: str, joints: Sequence[str], trajectory: Trajectory) -> None:
        """Let ``controller`` carry out a trajectory of its ``joints`` (by name; rad, m) from now on, then hold.

        Raises:
            VarlError: the controller does not exist, the joints are not exactly its own, or the real one would reject
                the trajectory.
        """
        own = self._joints_of(controller)
        if sorted(joints) != sorted(own):
            raise VarlError(f"{controller} got joints {sorted(joints)}; expected {own}")
        order = [list(joints).index(joint) for joint in own]
        velocities = None if trajectory.velocities is None else trajectory.velocities[:, order]
        measured = [self.data.joint(joint) for joint in own]
        positions, speeds = (np.array([getattr(one, name)[0] for one in measured]) for name in ("qpos", "qvel"))
        times = trajectory.times.tolist()
        self._motions[controller].command(times, trajectory.positions[:, order], velocities, positions, speeds)

    def advance(self, duration_ns: int) -> None:
        """Let time pass.

        Raises:
            VarlError: the duration is not a whole number of physics steps.
        """
        for _ in range(whole_steps(duration_ns, self.step_ns)):
            self._step += 1
            for controller, motion in self._motions.items():
                self.data.ctrl[self._actuators[controller]] = motion.step(self.step_ns * 1e-9)
            mujoco.mj_step(self.model, self.data)
        if self._parts:  # a step leaves their poses as they were before it
            mujoco.mj_kinematics(self.model, self.data)

    def set_scene(self, joints: Mapping[str, float], entities: Mapping[str, Pose]) -> None:
        """Put the robot at rest at ``joints`` (home where not named) and ``entities`` at their poses.

        No time passes, but for the one step that tells the new scene from the old.

        Raises:
            VarlError: a joint or an entity is not known.
        """
        check_scene(joints, entities, self.joint_names, self._bodies)
        poses = {name: self._pose(body) for name, body in self._bodies.items()} if self._step else {}
        mujoco.mj_resetData(self.model, self.data)
        places = self._home | dict(joints)
        for name, position in places.items():
            self.data.joint(name).qpos[0] = position
            self.data.actuator(name).ctrl[0] = position
        for equality in np.flatnonzero(self.model.eq_type == mujoco.mjtEq.mjEQ_JOINT):
            # A mimicking finger starts where the one it mimics is.
            follower, leader = self.model.eq_obj1id[equality], self.model.eq_obj2id[equality]
            offset, multiplier = self.model.eq_data[equality, :2]
            led = self.data.qpos[self.model.jnt_qposadr[leader]]
            self.data.qpos[self.model.jnt_qposadr[follower]] = offset + multiplier * led
        for name, pose in (poses | dict(entities)).items():
            self._place(name, np.asarray(pose, dtype=np.float64))
        self._motions = {
            controller: TrajectoryController(self.data.ctrl[actuators])
            for controller, actuators in self._actuators.items()
        }
        self._step += 1
        mujoco.mj_forward(self.model, self.data)

    def place(self, entities: Mapping[str, Pose]) -> None:
        """Put ``entities`` at rest at their poses, and leave the robot as it is. No time passes, as in a new scene.

        Raises:
            VarlError: an entity is not known.
        """
        check_scene([], entities, self.joint_names, self._bodies)
        for name, pose in entities.items():
            self._place(name, np.asarray(pose, dtype=np.float64))
        self._step += 1
        mujoco.mj_forward(self.model, self.data)

    def restyle(self, seed: int) -> None:
        """Another look, which ``seed`` decides: camera, light, colours, textures, clutter. The physics are the same.

        Raises:
            VarlError: the simulation was made without looks.
        """
        if self._looks is None:
            raise VarlError("this simulation has one look; make it with looks to have others")
        things = {name: pose[:3] for name, pose in self.entities().items()}
        restyle(self.model, self._usual, np.random.default_rng(seed), self._looks, things)
        mujoco.mj_forward(self.model, self.data)
        for camera in self.cameras:
            camera.calibrate()

    def snapshot(self) -> Any:
        """A copy (mujoco.MjData) of the present state, to render while the simulation goes on."""
        return copy.copy(self.data)

    def _pose(self, body: int) -> Pose:
        """Pose (7,) of a body; ``xpos`` would be that of a physics step ago."""
        mocap, joint = self.model.body_mocapid[body], self.model.body_jntadr[body]
        if mocap >= 0:
            return _ros_pose(np.concatenate([self.data.mocap_pos[mocap], self.data.mocap_quat[mocap]]))
        address = self.model.jnt_qposadr[joint]
        return _ros_pose(self.data.qpos[address : address + 7])

    def _place(self, name: str, pose: Pose) -> None:
        body = self._bodies[name]
        mocap, joint = self.model.body_mocapid[body], self.model.body_jntadr[body]
        if mocap >= 0:
            self.data.mocap_pos[mocap], self.data.mocap_quat[mocap] = pose[:3], pose[[6, 3, 4, 5]]
            for joint, start in self._starts[name].items():
                self.data.joint(joint).qpos[0], self.data.joint(joint).qvel[0] = start, 0.0
        else:
            position, speed = self.model.jnt_qposadr[joint], self.model.jnt_dofadr[joint]
            self.data.qpos[position : position + 7] = pose[[0, 1, 2, 6, 3, 4, 5]]
            self.data.qvel[speed : speed + 6] = 0.0

    def _joints_of(self, controller: str) -> Sequence[str]:
        if controller not in self.controllers:
            raise VarlError(f"no controller {controller!r}; {did_you_mean(controller, list(self.controllers))}")
        return self.controllers[controller]


def _ros_pose(pose: Array) -> Pose:
    """MuJoCo's position and quaternion w, x, y, z as position and quaternion x, y, z, w."""
    return pose[[0, 1, 2, 4, 5, 6, 3]].copy()


def _part(model: Any, name: str, part: str) -> int:
    """Number of the body that a thing is.

    Raises:
        VarlError: the model that should have it has not.
    """
    bodies = [model.body(number).name for number in range(model.nbody)]
    if part not in bodies:
        carrier = part.partition("/")[0]
        known = [body for body in bodies if body.startswith(f"{carrier}/")]
        raise VarlError(f"the thing {name} is the part {part!r}, which there is not; {did_you_mean(part, known)}")
    return bodies.index(part)


def _starts(model: Any, name: str, thing: ThingConfig) -> dict[str, float]:
    """Where each joint that a thing carries starts, by its name in the model.

    Raises:
        VarlError: the thing's file says where a joint starts that there is not.
    """
    joints = [model.joint(number) for number in range(model.njnt)]
    starts = {joint.name: float(joint.qpos0[0]) for joint in joints if joint.name.startswith(f"{name}/")}
    for joint, start in (thing.object.joints if thing.object else {}).items():
        if f"{name}/{joint}" not in starts:
            known = [own.removeprefix(f"{name}/") for own in starts]
            raise VarlError(f"the thing {name} has no joint {joint!r}; {did_you_mean(joint, known)}")
        starts[f"{name}/{joint}"] = start
    return starts

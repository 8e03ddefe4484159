"""The arm of a simulation in the same process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from varl_common.frame import Frame
from varl_common.image_codec import encode_depth, encode_jpeg
from varl_common.poses import pose_to_matrix

from varl_robot_env.arm import ArmError, ArmState, Picture
from varl_robot_env.config.robot import RobotConfig
from varl_robot_env.config.things import ThingConfig
from varl_robot_env.motion import GripperMotion, Moment, Trajectory
from varl_robot_env.simulation.looks import Looks
from varl_robot_env.simulation.simulation import Simulation
from varl_robot_env.simulation.world import SimulatorConfig
from varl_robot_env.types import Array, Pose


class SimulatedArm:
    """An :class:`~varl_robot_env.arm.Arm` in lock-step with its own simulation.

    Attributes:
        depth: whether frames come with depth; at first, whether the robot's camera measures it.
    """

    lock_step = True
    places = True

    def __init__(
        self,
        robot: RobotConfig,
        config: SimulatorConfig,
        things: Mapping[str, ThingConfig],
        looks: Looks | None = None,
        observed: Sequence[str] = (),
    ) -> None:
        """``things``: of the task; ``looks``: as of :class:`.simulation.Simulation`; ``observed``: cameras."""
        self._robot = robot
        self.simulation = Simulation(robot, config, things, looks)
        self._motion = Trajectory.at_rest(np.array(robot.home))
        self.cameras = [camera.name for camera in robot.cameras if camera.shown]
        self._by_name = {one.name: made for one, made in zip(robot.cameras, self.simulation.cameras, strict=False)}
        self._observed = list(observed)
        self.depth = any(camera.depth_topic for camera in robot.cameras)

    def reset(self, joints: Array, gripper: float | None, entities: Mapping[str, Pose], capture: bool) -> ArmState:
        places = dict(zip(self._robot.joints, joints.tolist(), strict=True))
        if self._robot.gripper and gripper is not None:
            places[self._robot.gripper.joint] = gripper
        self.simulation.set_scene(places, entities)
        self._motion = Trajectory.at_rest(joints)
        return self._state()

    def now(self) -> Moment:
        return Moment(self._state().joints, self._motion, self._robot.control_period)

    def move(self, motion: Trajectory, gripper: GripperMotion | None, capture: bool) -> ArmState:
        robot = self._robot
        self._motion = motion
        self.simulation.command(robot.arm_controller, robot.joints, motion)
        if robot.gripper and gripper is not None:
            way = gripper.way(robot.control_period)
            self.simulation.command(robot.gripper.controller, [robot.gripper.joint], way)
        self.simulation.advance(robot.period_ns)
        return self._state()

    def pictures(self) -> dict[str, Picture]:
        found = {}
        for name in self._observed:
            camera = self._by_name.get(name)
            if camera is None:
                raise ArmError(
                    f"the simulated world has no camera for {name}; it has two, for the first of a robot's file"
                )
            pixels = camera.render(self.simulation.data)
            if pixels is None:
                raise ArmError(str(camera.error))
            found[name] = Picture(pixels, self.simulation.time_ns)
        return found

    def frames(self) -> list[Frame]:
        found = []
        for name in self.cameras:
            camera = self._by_name.get(name)
            image = camera.render(self.simulation.data) if camera else None
            if camera is None or image is None:
                continue
            depth = camera.render_depth(self.simulation.data) if self.depth else None
            png = b"" if depth is None else encode_depth(depth)
            place, frame_id = pose_to_matrix(camera.pose), f"{name}_color_optical_frame"
            found.append(Frame(name, encode_jpeg(image), png, camera.k, place, frame_id, self.simulation.time_ns))
        return found

    def close(self) -> None:
        """Free the renderers."""
        for camera in self.simulation.cameras:
            camera.close()

    def _state(self) -> ArmState:
        positions, speeds = self.simulation.joints()
        index = {name: i for i, name in enumerate(self.simulation.joint_names)}
        rows = [index[name] for name in self._robot.joints]
        gripper = self._robot.gripper
        return ArmState(
            self.simulation.time_ns,
            positions[rows],
            speeds[rows],
            float(positions[index[gripper.joint]]) if gripper else None,
            self.simulation.entities(),
            self.simulation.force(),
        )

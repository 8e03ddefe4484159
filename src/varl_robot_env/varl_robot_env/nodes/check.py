"""The command ``check``: is this arm ready for this task? It hears what the env node would hear, and moves nothing."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field, PositiveFloat
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import CameraInfo, Image
from varl_common.config import Config
from varl_common.errors import VarlError
from varl_common.host.terminal import GREEN, RED, YELLOW, mark
from varl_common.ros.diagnostics import Diagnostics, Health
from varl_common.ros.node import declare_parameters, run_node

from varl_robot_env.arms.arm_command import make_arm_command
from varl_robot_env.arms.controller_state import ControllerState
from varl_robot_env.arms.driver_inputs import DriverInputs
from varl_robot_env.arms.gripper_command import make_gripper_command
from varl_robot_env.arms.servo_state import ServoState
from varl_robot_env.arms.watched_topics import WatchedTopics
from varl_robot_env.config.robot import CameraConfig, RobotConfig
from varl_robot_env.kinematics.kinematics import Kinematics
from varl_robot_env.perception.calibration import Calibration
from varl_robot_env.ros.camera_info import camera_model, check_size
from varl_robot_env.ros.hot_loop import HotLoop
from varl_robot_env.ros.robot_description import with_description
from varl_robot_env.safety.safety_filter import SafetyFilter
from varl_robot_env.safety.survey import survey
from varl_robot_env.tasks.fit import check_fits, check_turns
from varl_robot_env.tasks.task import Task, load_task

_SLICE = 0.2  # s
_SETTLES = 1.0  # s that everything must have been heard for, so that rates and silences tell


class CheckParameters(Config):
    """Parameters of the node."""

    robot_file: Path = Field(description="the robot's file, absolute")
    task_file: Path = Field(description="the task's file, absolute")
    patience: PositiveFloat = Field(10.0, description="seconds that what is not heard yet gets to come")


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at: what is wrong with it and what to do (None: nothing), else how it is.

    ``warns``: that is no reason not to begin, and worth knowing.
    """

    what: str
    problem: str | None
    words: str = ""
    warns: bool = False


class CheckNode(Node):
    """Holds what is listened to; :func:`check` is what it does."""

    def __init__(self) -> None:
        super().__init__("check")
        self.parameters = parameters = declare_parameters(self, CheckParameters)
        self.robot = RobotConfig.from_yaml(parameters.robot_file)
        self.task = load_task(parameters.task_file)
        self.findings: list[Finding] = []
        Diagnostics(self, "check", lambda: Health(f"{len(self.findings)} things looked at"), self.robot.name)


class _Arm:
    """Everything that the env node would listen to, by the same classes."""

    def __init__(self, node: Node, robot: RobotConfig, task: Task, kinematics: Kinematics) -> None:
        group = MutuallyExclusiveCallbackGroup()
        self.loop, self._robot, self._kinematics = HotLoop(node, group), robot, kinematics
        watched = WatchedTopics(node, group)
        self.inputs = watched.inputs
        gripper = robot.gripper if task.grasps else None
        joint = gripper.joint if gripper else None
        self._heard = DriverInputs(node, robot, watched, task.seen, joint, still=task.still)
        self._ready: dict[str, Callable[[], str | None]] = {
            "command": make_arm_command(node, robot, kinematics).not_ready_reason
        }
        if robot.driver.arm_interface == "servo_twist":
            self._ready["servo"] = ServoState(node, robot.arm_controller, group).not_ready_reason
        elif robot.driver.controller_manager:
            state = ControllerState(node, robot.driver.controller_manager, robot.arm_controller, group)
            self._ready["controller"] = state.not_ready_reason
        if gripper:
            self._ready["gripper"] = make_gripper_command(node, robot, gripper).not_ready_reason
        self._cameras = [_Camera(node, group, camera, robot) for camera in robot.cameras]

    def findings(self) -> Iterator[Finding]:
        """How all of it is now."""
        for input_ in self.inputs.standings():
            yield Finding(input_.name, input_.problem, f"{input_.rate:.0f} a second" if input_.rate else "heard")
        yield from (Finding(name, reason(), "ready") for name, reason in self._ready.items())
        yield from (camera.finding() for camera in self._cameras)
        if self._heard.known():
            yield self._stands()

    def _stands(self) -> Finding:
        joints, safety = self._heard.positions(), self._robot.safety
        place, _ = self._kinematics.forward(joints)
        low, high = self._kinematics.limits.T
        beyond = np.flatnonzero((joints < low) | (joints > high))
        words = f"the tool is at {np.round(place, 3).tolist()} m"
        if len(beyond):
            joint = f"{self._robot.joints[beyond[0]]} is at {joints[beyond[0]]:.2f} rad"
            return Finding("posture", f"{joint}, beyond its limit in the URDF; bring it back")
        inside = (place >= safety.workspace_low).all() and (place <= safety.workspace_high).all()
        return Finding(
            "posture", None, words + ("" if inside else ", outside of the workspace: the first reset leaves it")
        )


class _Camera:
    """A camera's pictures, what is known of its lens, and where it stands."""

    def __init__(self, node: Node, group: Any, camera: CameraConfig, robot: RobotConfig) -> None:
        self._camera, self._beside = camera, robot.source.parent
        self._image: Image | None = None
        self._info: CameraInfo | None = None
        self._count, self._since = 0, time.monotonic()
        quality = {"qos_profile": qos_profile_sensor_data, "callback_group": group}
        node.create_subscription(Image, camera.image_topic, self._on_image, **quality)
        node.create_subscription(CameraInfo, camera.info_topic, self._on_info, **quality)

    def finding(self) -> Finding:
        what = f"camera {self._camera.name}"
        if self._image is None:
            words = f"no picture on {self._camera.image_topic}: advisors and films will lack it; start its driver"
            return Finding(what, None, words, warns=True)  # what must be seen is one of the inputs
        if self._info is None:
            return Finding(what, f"nothing on {self._camera.info_topic}; its driver publishes it beside the pictures")
        image = self._image
        words = f"{image.width}x{image.height}, {self._count / (time.monotonic() - self._since):.0f} a second"
        try:
            topic = self._camera.image_topic
            check_size(camera_model(self._info, topic), image.width, image.height, topic)
            if self._camera.calibration:
                Calibration.from_yaml(self._beside / self._camera.calibration)
        except VarlError as error:
            return Finding(what, str(error))
        placed = bool(self._camera.calibration)
        return Finding(
            what, None, words + ("" if placed else "; where it stands is not known: varl calibrate"), not placed
        )

    def _on_image(self, message: Image) -> None:
        if self._image is None:
            self._since = time.monotonic()
        self._image, self._count = message, self._count + 1

    def _on_info(self, message: CameraInfo) -> None:
        self._info = message


def check(node: CheckNode) -> None:
    """Look, print, and end with status 1 where something is red."""
    files = node.parameters.robot_file.name, node.parameters.task_file.name
    node.findings.append(Finding("files", None, f"{files[0]} and {files[1]} are whole"))
    listened: list[_Arm] = []
    _attempt(node, "task", lambda: _fit(node.task, node.robot))
    _attempt(node, "arm", lambda: _know(node, listened))
    if listened:
        node.findings += _listen(listened[0], node.parameters.patience)
    bad = [finding for finding in node.findings if finding.problem]
    width = max(len(finding.what) for finding in node.findings)
    for finding in node.findings:
        print(_line(finding, width), flush=True)
    count = len(node.findings)
    if bad:
        raise VarlError(f"{len(bad)} of {count} checks are red: see what each says above, then check again")
    print(f"none of {count} checks is red", flush=True)


def _attempt(node: CheckNode, what: str, look: Callable[[], str]) -> None:
    """Note what ``look`` says, or the error that it raises."""
    try:
        node.findings.append(Finding(what, None, look()))
    except VarlError as error:
        node.findings.append(Finding(what, str(error)))


def _fit(task: Task, robot: RobotConfig) -> str:
    check_fits(task, robot, "real")
    return f"{task.name} fits {robot.name}"


def _know(node: CheckNode, listened: list[_Arm]) -> str:
    """The arm's model and bounds; what is to be listened to is added to ``listened``."""
    robot = with_description(node, node.robot, node.parameters.patience)
    kinematics = Kinematics(robot.urdf_text(), robot.joints, robot.base_frame, robot.tool_frame)
    listened.append(_Arm(node, robot, node.task, kinematics))
    SafetyFilter(robot, kinematics, node.task.config.act)
    check_turns(node.task, robot, kinematics)
    found = survey(robot, kinematics)
    if problem := found.problem():
        raise VarlError(problem)
    return str(found)


def _listen(arm: _Arm, patience: float) -> list[Finding]:
    """What is found once all is green and was for a while, or time is up."""
    end, well_since = time.monotonic() + patience, None
    while True:
        arm.loop.spin_until(lambda: False, _SLICE)
        found, now = list(arm.findings()), time.monotonic()
        well_since = None if any(finding.problem for finding in found) else well_since or now
        if now > end or (well_since is not None and now - well_since > _SETTLES):
            return found


def _line(finding: Finding, width: int) -> str:
    sign, colour = ("✗", RED) if finding.problem else ("!", YELLOW) if finding.warns else ("✓", GREEN)
    return f"{mark(sign, colour, sys.stdout)} {finding.what:<{width}}  {finding.problem or finding.words}"


def main() -> None:
    """Entry point of the ``check`` executable."""
    run_node(CheckNode, check)

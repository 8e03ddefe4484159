"""The command ``find_limits``: a person brings the tool to the corners of the workspace, and it is written down.

Bring the tool to a corner, call ``~/corner``; when the corners span the box, call ``~/write``. By hand or by pendant it
commands no motion. By joystick it lets an env node's control periods pass, whose box is wider meanwhile
(:mod:`.safety.provisional`) and in which nobody acts but whoever holds the joystick; two of its buttons are the calls.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import rclpy
from pydantic import Field
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import JointState, Joy
from std_srvs.srv import Trigger
from varl_common.config import Config
from varl_common.errors import VarlError
from varl_common.files import atomic_write
from varl_common.ros.diagnostics import Diagnostics, Health
from varl_common.ros.node import declare_parameters, run_node

from varl_robot_env.config.names import Topic
from varl_robot_env.config.robot import RobotConfig
from varl_robot_env.kinematics.kinematics import Kinematics
from varl_robot_env.perception.calibration import joints_in_order
from varl_robot_env.ros.hot_loop import rest_in_background
from varl_robot_env.ros.robot_description import with_description
from varl_robot_env.ros.ros_env import RosEnv
from varl_robot_env.safety.survey import survey
from varl_robot_env.types import Array

_LEAST = 0.02  # m: an edge that is shorter is no box to work in
_PATIENCE = 60.0  # s to wait for the env node and its arm


class ButtonsConfig(Config):
    """What the joystick's buttons mean here; -1 is none."""

    topic: Topic = Field(description="sensor_msgs/Joy")
    corner: int = Field(description="button: the tool is at a corner", ge=-1)
    write: int = Field(description="button: the box is written down", ge=-1)


class FindLimitsParameters(Config):
    """Parameters of the node."""

    robot_file: Path = Field(description="the robot's file, absolute")
    out: Path = Field(description="the file to write, absolute: a copy of it with the workspace that was found")
    joystick: ButtonsConfig | None = Field(None, description="with what the arm is moved; None: by hand")


class FindLimitsNode(Node):
    """Corners of the workspace, and the robot's file with the box that they span."""

    def __init__(self) -> None:
        """Raises VarlError where a parameter or the robot's file is wrong."""
        super().__init__("find_limits")
        self._parameters = declare_parameters(self, FindLimitsParameters)
        self._robot = robot = with_description(self, RobotConfig.from_yaml(self._parameters.robot_file))
        self._kinematics = Kinematics(robot.urdf_text(), robot.joints, robot.base_frame, robot.tool_frame)
        self._joints: Array | None = None
        self._corners: list[Array] = []
        self._down: dict[int, bool] = {}
        self.create_subscription(JointState, robot.driver.joint_states, self._on_joints, qos_profile_sensor_data)
        self.create_service(Trigger, "~/corner", self._corner)
        self.create_service(Trigger, "~/write", self._write)
        Diagnostics(self, "corners", lambda: Health(f"{len(self._corners)} corners"), robot.name)
        how = ""
        if joystick := self._parameters.joystick:
            self.create_subscription(Joy, joystick.topic, self._on_joy, 100)
            buttons = {"~/corner": joystick.corner, "~/write": joystick.write}
            how = "".join(f"; button {number} does {call}" for call, number in buttons.items() if number >= 0)
        log = self.get_logger()
        log.info(f"bring the tool to a corner of the workspace and call ~/corner; after the last, ~/write{how}")

    @property
    def by_joystick(self) -> bool:
        """Whether it is for this node to let the arm be moved."""
        return self._parameters.joystick is not None

    def _on_joints(self, message: JointState) -> None:
        joints = joints_in_order(message.name, message.position, self._robot.joints)
        if joints is not None and np.isfinite(joints).all():
            self._joints = joints

    def _on_joy(self, message: Joy) -> None:
        """A message without a button says nothing of it: spacenav's have those alone that changed."""
        assert self._parameters.joystick
        before = dict(self._down)
        self._down |= {number: bool(pressed) for number, pressed in enumerate(message.buttons)}
        calls = ((self._parameters.joystick.corner, self._corner), (self._parameters.joystick.write, self._write))
        for button, call in calls:
            if self._down.get(button) and not before.get(button):
                answer = call(Trigger.Request(), Trigger.Response())
                if answer.success:
                    self.get_logger().info(answer.message)
                else:
                    self.get_logger().error(answer.message)

    def _corner(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        if self._joints is None:
            response.message = f"no joint states on {self._robot.driver.joint_states} yet; start the driver"
            return response
        place, _rotation = self._kinematics.forward(self._joints)
        self._corners.append(place)
        low, high = self._box()
        response.success = True
        box = f"the box goes from {_list(low)} to {_list(high)}"
        response.message = f"corner {len(self._corners)} at {_list(place)} m; {box}"
        return response

    def _write(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        try:
            response.message = self._written()
            response.success = True
        except VarlError as error:
            response.message = str(error)
        return response

    def _written(self) -> str:
        """Check the box and write it; words for the person.

        Raises:
            VarlError: the corners span no box, home is outside of it, or the arm cannot work all over it.
        """
        if not self._corners:
            raise VarlError("no corner yet; bring the tool to one and call corner")
        low, high = self._box()
        thin = int(np.argmin(high - low))
        if (high - low)[thin] < _LEAST:
            edge = f"{(high - low)[thin]:.3f} m along {'xyz'[thin]}"
            raise VarlError(f"the box is {edge}, expected {_LEAST} m or more; add corners that are apart there")
        box = {"workspace_low": low.tolist(), "workspace_high": high.tolist()}
        safety = self._robot.safety.model_copy(update=box)
        home, _ = self._kinematics.forward(np.array(self._robot.home))
        if (home < low).any() or (home > high).any():
            where = f"{_list(home)} m, outside of {_list(low)} to {_list(high)}"
            raise VarlError(f"at home the tool is at {where}; change home in the robot's file, or add a corner")
        found = survey(self._robot.model_copy(update={"safety": safety}), self._kinematics)
        if problem := found.problem():
            raise VarlError(f"{problem}; the box goes from {_list(low)} to {_list(high)}")
        write_workspace(self._parameters.robot_file, self._parameters.out, low, high, len(self._corners))
        return f"{self._parameters.out} written: {_list(low)} to {_list(high)} m, {found}"

    def _box(self) -> tuple[Array, Array]:
        corners = np.round(self._corners, 3)
        return corners.min(axis=0), corners.max(axis=0)


def write_workspace(source: Path, out: Path, low: Array, high: Array, corners: int) -> None:
    """Write the robot's file ``source`` to ``out`` with another workspace, every other line as it is.

    Raises:
        VarlError: the file does not have its workspace on two lines, or ``out`` cannot be written.
    """
    text = source.read_text(encoding="utf-8")
    for name, corner in (("workspace_low", low), ("workspace_high", high)):
        line = rf"\g<1>{_list(corner)}  # m: of {corners} corners, by find-limits"
        text, count = re.subn(rf"(?m)^( *{name}: *)\[[^\]]*\].*$", line, text)
        if count != 1:
            raise VarlError(f"{source} does not have {name}: [x, y, z] on one line; write it so, then write again")
    try:
        with atomic_write(out) as aside:
            aside.write_text(text, encoding="utf-8")
    except OSError as error:
        raise VarlError(f"{out} cannot be written: {error.strerror}; name another with out:=") from None
    RobotConfig.from_yaml(out)


def _list(place: Array) -> str:
    return "[" + ", ".join(f"{value:.3f}" for value in place) + "]"


def main() -> None:
    """Entry point of the ``find_limits`` executable."""
    run_node(FindLimitsNode, _spin)


def _spin(node: FindLimitsNode) -> None:
    if not node.by_joystick:
        rclpy.spin(node)
        return
    with rest_in_background(node):
        env = RosEnv(node, timeout=_PATIENCE)
        still, ended = np.zeros(len(env.description.action_names), np.float32), True
        while True:  # until Ctrl-C; after a stop a reset waits for a person, as ever
            if ended:
                env.reset()
                node.get_logger().info("hold the joystick's deadman button, and the arm is yours")
            _, _, terminated, truncated, _ = env.step(still)
            ended = terminated or truncated

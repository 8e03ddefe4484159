"""Placing the things of a simulator that runs by the clock: what a person does before an episode on a real arm."""

from __future__ import annotations

from collections.abc import Mapping

from rclpy.callback_groups import CallbackGroup
from rclpy.node import Node
from varl_common.ros.messages import to_pose_msg

from varl_interfaces.srv import SetScene
from varl_robot_env.arm import ArmError
from varl_robot_env.ros.hot_loop import HotLoop
from varl_robot_env.types import Pose

_ANSWER_TIMEOUT = 3.0  # s


class SimulatedScene:
    """Client of the simulator's set_scene; the robot is left where it is."""

    def __init__(self, node: Node, base_frame: str, group: CallbackGroup) -> None:
        """``base_frame``: of the poses. ``group``: of the answers."""
        self._client = node.create_client(SetScene, "simulator/set_scene", callback_group=group)
        self._loop, self._base_frame = HotLoop(node, group), base_frame

    def not_ready_reason(self) -> str | None:
        """Why nothing can be placed yet, in a sentence."""
        if self._client.service_is_ready():
            return None
        return f"waiting for the service {self._client.service_name}; start the simulator node"

    def place(self, entities: Mapping[str, Pose]) -> None:
        """Put ``entities`` at their poses.

        Raises:
            ArmError: the simulator did not.
        """
        request = SetScene.Request()
        request.entities.header.frame_id = self._base_frame
        request.entities.names = list(entities)
        request.entities.poses = [to_pose_msg(pose) for pose in entities.values()]
        future = self._client.call_async(request)
        if not self._loop.spin_until(future.done, _ANSWER_TIMEOUT):
            self._client.remove_pending_request(future)
            raise ArmError(f"{self._client.service_name} gave no answer for {_ANSWER_TIMEOUT:g} s; check the simulator")
        if not future.result().success:
            raise ArmError(f"the simulator refused the scene: {future.result().message}")

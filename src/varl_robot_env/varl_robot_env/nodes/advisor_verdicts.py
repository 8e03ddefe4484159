"""The advisor's word on whether a task was accomplished, as an episode ends."""

from __future__ import annotations

from collections.abc import Callable

from rclpy.callback_groups import CallbackGroup
from rclpy.node import Node
from varl_common.env_description import EnvDescription
from varl_common.frame import Frame
from varl_common.ros.messages import to_description_msg, to_frame_msg

from varl_interfaces.msg import Advice
from varl_interfaces.srv import Judge
from varl_robot_env.ros.hot_loop import HotLoop
from varl_robot_env.ros.ros_env import VERDICT_TIMEOUT
from varl_robot_env.types import Float32

_MARGIN = 1.0  # s of the client's patience that are left to the network


class AdvisorVerdicts:
    """Asks ``advisor/judge``. Until it answers the arm is at rest, and all that stops an arm is heard."""

    def __init__(self, node: Node, group: CallbackGroup) -> None:
        self._node = node
        self._client = node.create_client(Judge, "advisor/judge", callback_group=group)
        self._loop = HotLoop(node, group)
        self.interrupted: Callable[[], bool] = lambda: False

    def not_ready_reason(self) -> str:
        """What is missing for a verdict; empty: nothing."""
        if self._client.service_is_ready():
            return ""
        return f"the task's success asks {self._client.service_name}, which is not there; start the advisor node"

    def __call__(self, env: EnvDescription, state: Float32, frames: list[Frame]) -> bool:
        """Whether ``state``, of which these are pictures, shows the task accomplished; no answer is no."""
        problem = self.not_ready_reason()
        if not problem:
            deadline = VERDICT_TIMEOUT - _MARGIN
            request = Judge.Request(env=to_description_msg(env), state=state.tolist(), deadline=deadline - _MARGIN)
            request.frames = [to_frame_msg(frame) for frame in frames]
            call = self._client.call_async(request)
            self._loop.spin_until(lambda: call.done() or self.interrupted(), deadline)
            if not call.done():
                self._client.remove_pending_request(call)
                problem = f"it did not answer within {deadline:g} s"
            elif (response := call.result()).status == Advice.OK:
                return bool(response.accomplished)
            else:
                problem = f"{response.advisor} gave no verdict: {response.reason}"
        self._node.get_logger().error(
            f"{problem}. An episode without a verdict counts as no success; this is told once", once=True
        )
        return False

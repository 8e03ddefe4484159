"""Who watches a real arm's wires and does what a person would do, for tests against the stand-in driver."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import rclpy
from rcl_interfaces.srv import SetParameters
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import JointState
from std_msgs.msg import Bool
from std_srvs.srv import Trigger
from trajectory_msgs.msg import JointTrajectory
from varl_common.ros.qos import COMMAND, LATCHED
from varl_robot_env.config.robot import RobotConfig
from varl_robot_env.ros.ros_env import RosEnv

from varl_interfaces.msg import EnvStatus

ROOT = Path(__file__).parents[1]
ROBOT_FILE = ROOT / "config/robots/ur5e.yaml"
URDF = ROOT / "src/varl_robot_env/urdf/standin_ur5e.urdf"
ROBOT = RobotConfig.from_yaml(ROBOT_FILE)
PERIOD = ROBOT.control_period


class Watcher:
    """Hears joint states, commands and the env's status, each with the monotonic time of its receipt."""

    def __init__(self, name: str = "watcher") -> None:
        self.node = rclpy.create_node(name)
        self.states: list[tuple[float, np.ndarray]] = []
        self.commands: list[tuple[float, np.ndarray]] = []
        self.status: EnvStatus | None = None
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self.node)
        subscribe = self.node.create_subscription
        subscribe(JointState, "joint_states", self._on_state, qos_profile_sensor_data)
        subscribe(JointTrajectory, ROBOT.arm_command, self._on_command, COMMAND)
        subscribe(EnvStatus, "env/status", self._on_status, LATCHED)
        self._estop = self.node.create_publisher(Bool, "env/estop", LATCHED)

    def _on_state(self, message: JointState) -> None:
        if message.name == ROBOT.joints:
            self.states.append((time.monotonic(), np.array(message.position)))

    def _on_command(self, message: JointTrajectory) -> None:
        self.commands.append((time.monotonic(), np.array(message.points[-1].positions)))

    def _on_status(self, message: EnvStatus) -> None:
        self.status = message

    def spin(self, seconds: float, until: Callable[[], object] = lambda: False) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and not until():
            self._executor.spin_once(timeout_sec=0.01)

    def call(self, service: str) -> Trigger.Response:
        return self._answer(self.node.create_client(Trigger, service), Trigger.Request())

    def rearm(self) -> None:
        """Rearm as soon as it is granted: until the env has heard that all is well again it is refused."""
        deadline = time.monotonic() + 30
        while not (answer := self.call("env/rearm")).success:
            assert time.monotonic() < deadline, answer.message
            self.spin(0.1)

    def fault(self, name: str, node: str = "standin_driver") -> None:
        request = SetParameters.Request(parameters=[Parameter("fault", value=name).to_parameter_msg()])
        client = self.node.create_client(SetParameters, f"{node}/set_parameters")
        assert self._answer(client, request).results[0].successful

    def estop(self, pressed: bool) -> None:
        self._estop.publish(Bool(data=pressed))

    def clear(self) -> None:
        """What a person does at the pendant."""
        self.fault("none")
        assert self.call("standin_driver/unlock_protective_stop").success
        assert self.call("io_and_status_controller/resend_robot_program").success

    def _answer(self, client: Any, request: Any) -> Any:
        assert client.wait_for_service(10.0)
        future = client.call_async(request)
        self.spin(10.0, future.done)
        return future.result()


def play(env: RosEnv, watcher: Watcher, steps: int, action: tuple[float, float, float] = (0.6, 0.3, 0.2)) -> Any:
    """Some steps back and forth; the last answer."""
    answer = None
    for number in range(steps):
        sign = 1.0 if number // 10 % 2 == 0 else -1.0
        answer = env.step(sign * np.array(action, dtype=np.float32))
        watcher.spin(0.005)
        if answer[3]:
            break
    return answer

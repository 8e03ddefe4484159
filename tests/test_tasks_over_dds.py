"""The tasks that ship, over ROS 2: each is solved by its plan as in one process, and a person is asked at a reset."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from varl_common.task_plans import PLANS
from varl_common.yaml_file import load_yaml

rclpy = pytest.importorskip("rclpy", reason="ROS 2 is not sourced")

from std_srvs.srv import Trigger  # noqa: E402
from varl_robot_env.env.arm_env import ArmEnv  # noqa: E402
from varl_robot_env.ros.ros_env import RosEnv  # noqa: E402

from varl_interfaces.msg import StepStatus  # noqa: E402
from varl_interfaces.srv import DescribeEnv, Reset  # noqa: E402

CONFIG = Path(__file__).parents[1] / "config"


@pytest.mark.parametrize("task", ["pick-place", "button", "drawer", "drawer-close"])
def test_its_plan_solves_it_as_in_one_process(processes: Any, task: str) -> None:
    processes.robot(task)
    rclpy.init()
    env, twin = RosEnv(rclpy.create_node("tester")), ArmEnv(task)
    assert list(env.description.observation_names) == list(twin.description.observation_names)
    state, _ = env.reset(seed=3)
    np.testing.assert_array_equal(state, twin.reset(seed=3)[0])
    ended = False
    while not ended:
        action = PLANS[task].actions(state[None], env.description)[0]
        state, _, terminated, truncated, _ = env.step(action)
        other, _, also, _, _ = twin.step(action)
        np.testing.assert_array_equal(state, other)
        assert terminated == also
        ended = terminated or truncated
    assert terminated
    rclpy.try_shutdown()


def test_a_person_is_asked_before_an_episode_begins(processes: Any, tmp_path: Path) -> None:
    task_file = tmp_path / "reach.yaml"
    task_file.write_text(yaml.safe_dump(load_yaml(CONFIG / "tasks/reach.yaml") | {"reset": {"person": True}}))
    robot_file = CONFIG / "robots/ur5e.yaml"
    urdf = Path(__file__).parents[1] / "src/varl_robot_env/urdf/standin_ur5e.urdf"
    processes.node("varl_robot_env", "standin_driver", robot_file=robot_file, urdf_file=urdf, rate=250.0)
    processes.node("varl_robot_env", "env", robot_file=robot_file, task_file=task_file, backend="real")
    rclpy.init()
    node = rclpy.create_node("tester")
    RosEnv(node, timeout=40.0).close()  # it is there

    def call(kind: Any, name: str, request: Any) -> Any:
        client = node.create_client(kind, name)
        assert client.wait_for_service(10.0)
        future = client.call_async(request)
        rclpy.spin_until_future_complete(node, future, timeout_sec=30.0)
        return future.result()

    assert call(DescribeEnv, "env/describe", DescribeEnv.Request()).success
    asked = call(Reset, "env/reset", Reset.Request())
    assert (asked.status, asked.message) == (StepStatus.STALE, "put things back, then call the service ready")
    assert call(Trigger, "env/ready", Trigger.Request()).success
    assert call(Reset, "env/reset", Reset.Request()).status == StepStatus.OK
    rclpy.try_shutdown()

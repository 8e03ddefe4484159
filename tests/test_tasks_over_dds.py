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
BY_PLAN = ["reach", "push", "lift", "clear", "pick-place", "button", "drawer", "drawer-close", "insert", "reach-pose"]


@pytest.mark.parametrize("task", BY_PLAN)
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


def test_the_force_on_the_tool_is_observed_in_simulation(processes: Any, tmp_path: Path) -> None:
    task_file = tmp_path / "button.yaml"
    task = load_yaml(CONFIG / "tasks/button.yaml")
    task["things"]["panel"]["object"]["mjcf"] = str(CONFIG / "scenes/button.xml")
    task_file.write_text(yaml.safe_dump(task | {"observe": [*task["observe"], "force"]}, sort_keys=False))
    files: Any = {"robot_file": CONFIG / "robots/varl_arm.yaml", "task_file": task_file}
    processes.node("varl_robot_env", "simulator", ("simulator.yaml",), **files, lock_step=True)
    processes.node("varl_robot_env", "env", **files)
    rclpy.init()
    env = RosEnv(rclpy.create_node("tester"))
    assert list(env.description.observation_names)[-3:] == ["force_x", "force_y", "force_z"]
    state, _ = env.reset(seed=3)
    np.testing.assert_allclose(state[-3:], 0.0, atol=0.1)
    pressed, ended = 0.0, False
    while not ended:
        state, _, terminated, truncated, _ = env.step(PLANS["button"].actions(state[None], env.description)[0])
        pressed, ended = max(pressed, float(np.linalg.norm(state[-3:]))), terminated or truncated
    assert terminated, "the plan acts as it does without the force"
    assert pressed > 1.0, "N: the button's spring"
    rclpy.try_shutdown()


def test_the_force_on_the_tool_is_observed_on_an_arm_as_its_sensor_says(
    processes: Any, robot_values: dict[str, Any], tmp_path: Path
) -> None:
    task_file, robot_file = tmp_path / "reach.yaml", tmp_path / "ur5e.yaml"
    task = load_yaml(CONFIG / "tasks/reach.yaml")
    task_file.write_text(yaml.safe_dump(task | {"observe": [*task["observe"], "force"]}, sort_keys=False))
    robot_file.write_text(yaml.safe_dump(robot_values))
    urdf = Path(__file__).parents[1] / "src/varl_robot_env/urdf/standin_ur5e.urdf"
    processes.node(
        "varl_robot_env", "standin_driver", robot_file=CONFIG / "robots/ur5e.yaml", urdf_file=urdf, rate=250.0
    )
    processes.node("varl_robot_env", "env", robot_file=robot_file, task_file=task_file, backend="real")
    rclpy.init()
    env = RosEnv(rclpy.create_node("tester"), timeout=40.0)
    state, _ = env.reset(seed=0)
    np.testing.assert_array_equal(state[-3:], [0.0, 0.0, 2.0])  # the stand-in's, in the sensor's frame
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

"""Pictures over the real graph: the same as in process, and an arm that is moved by them stops where they end."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

rclpy = pytest.importorskip("rclpy")

from gymnasium.utils.env_checker import check_env  # noqa: E402
from rclpy.node import Node  # noqa: E402
from sensor_msgs.msg import Image  # noqa: E402
from std_msgs.msg import Header  # noqa: E402
from varl_common.ros.messages import to_time  # noqa: E402
from varl_common.yaml_file import load_yaml  # noqa: E402
from varl_robot_env.config.paths import config_file, config_folder  # noqa: E402
from varl_robot_env.env.arm_env import ArmEnv  # noqa: E402
from varl_robot_env.ros.image_messages import to_image  # noqa: E402
from varl_robot_env.ros.ros_env import RosEnv  # noqa: E402

ROBOT = config_file("robots", "varl_arm")
TOPIC = "looking/image"


@pytest.fixture
def node(ros: int) -> Iterator[Node]:
    node = rclpy.create_node("tester")
    yield node
    node.destroy_node()


@pytest.fixture
def start(ros: int) -> Iterator[Callable[..., None]]:
    """Starts a simulator and an env node that observes pixels."""
    processes: list[subprocess.Popen[str]] = []

    def start(robot: Path, lock_step: bool) -> None:
        given = (
            f"robot_file:={robot}",
            f"task_file:={config_file('tasks', 'reach')}",
            f"lock_step:={str(lock_step).lower()}",
        )
        for name, more in (("simulator", ()), ("env", ("observation:=pixels", "max_episode_steps:=400"))):
            main = f"from varl_robot_env.nodes.{name} import main; main()"
            files = ["--params-file", str(config_folder() / "simulator.yaml")] if name == "simulator" else []
            parameters = [part for parameter in (*given, *more) for part in ("-p", parameter)]
            command = [sys.executable, "-c", main, "--ros-args", *files, *parameters]
            processes.append(subprocess.Popen(command, text=True))

    yield start
    for process in processes:
        process.send_signal(signal.SIGINT)
    for process in processes:
        process.wait(20)


def test_the_graph_and_the_process_see_the_same(start: Callable[..., None], node: Node) -> None:
    here = ArmEnv("reach", observation="pixels")
    if here.arm.simulation.camera.render(here.arm.simulation.data) is None:
        pytest.skip(str(here.arm.simulation.camera.error))
    start(ROBOT, True)
    there = RosEnv(node)
    assert there.observation_space == here.observation_space
    for seed in (3, 4):
        pairs: list[tuple[Any, Any]] = [(there.reset(seed=seed), here.reset(seed=seed))]
        for _ in range(5):
            action = there.action_space.sample()
            pairs.append((there.step(action), here.step(action)))
        for one, other in pairs:
            assert all((one[0][key] == other[0][key]).all() for key in here.observation_space.spaces)
            assert one[-1]["picture_ages"] == {"camera": 0.0, "side_camera": 0.0}
            np.testing.assert_array_equal(one[-1]["state"], other[-1]["state"])
    check_env(there, skip_render_check=True)
    there.close()
    here.close()


class Filming:
    """A camera of 30 Hz whose pictures are as old as it says."""

    def __init__(self, node: Node, age: float) -> None:
        self._out, self._node, self._age = node.create_publisher(Image, TOPIC, 5), node, age
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def end(self) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ended.wait(1 / 30):
            stamp = self._node.get_clock().now().nanoseconds - round(self._age * 1e9)
            pixels = np.full((20, 40, 3), 100, np.uint8)
            self._out.publish(to_image(pixels, "rgb8", Header(stamp=to_time(stamp), frame_id="looking")))


def test_an_arm_that_is_moved_by_pictures_stops_where_they_end(
    start: Callable[..., None], node: Node, tmp_path: Path
) -> None:
    values = load_yaml(ROBOT) | {"urdf": f"{ROBOT.parents[2]}/src/varl_robot_env/urdf/varl_arm.urdf"}
    values["safety"]["stale_after"] = 2.0  # patient with a test machine that is busy
    looking = {"name": "looking", "image_topic": TOPIC, "info_topic": "looking/info", "shown": False}
    values["cameras"] = [
        *({key: value for key, value in one.items() if key != "view"} for one in values["cameras"]),
        looking | {"view": {"side": 16, "stale_after": 2.0}},
    ]
    robot = tmp_path / "robot.yaml"
    robot.write_text(yaml.safe_dump(values))
    filming = Filming(node, age=0.4)
    start(robot, False)
    env = RosEnv(node)
    observation, info = env.reset(seed=1)
    assert set(observation) == {"looking", "state"}
    assert observation["looking"].shape == (16, 16, 3)
    assert (observation["looking"] == 100).all()
    filming.end()
    stopped, end = "", time.monotonic() + 30
    while not stopped and time.monotonic() < end:
        observation, _, terminated, truncated, info = env.step(np.zeros(3, np.float32))
        stopped = info.get("stopped", "")
        if (terminated or truncated) and not stopped:
            break
    assert "picture of looking" in stopped
    assert TOPIC in stopped
    assert set(observation) == {"looking", "state"}, "the arm stands where it was seen last"
    env.close()

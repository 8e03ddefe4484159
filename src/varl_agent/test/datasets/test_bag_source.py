"""A bag that was recorded becomes episodes."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from varl_agent.datasets.bag_source import open_bag
from varl_common.errors import VarlError

pytest.importorskip("rosbags", reason="rosbags is not installed")
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

INTERFACES = Path(__file__).parents[3] / "varl_interfaces/msg"
STATUS = "varl_interfaces/msg/EnvStatus"


@pytest.fixture
def types() -> Any:
    store = get_typestore(Stores.ROS2_JAZZY)
    store.register(get_types_from_msg((INTERFACES / "EnvStatus.msg").read_text(), STATUS))
    return store


def write_bag(folder: Path, types: Any, told: list[tuple[str, str, Any]]) -> None:
    with Writer(folder, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        connections: dict[str, Any] = {}
        for number, (topic, kind, message) in enumerate(told):
            if topic not in connections:
                connections[topic] = writer.add_connection(topic, kind, typestore=types)
            writer.write(connections[topic], number, types.serialize_cdr(message, kind))


class Messages:
    def __init__(self, types: Any) -> None:
        self.types = types.types
        stamp = self.types["builtin_interfaces/msg/Time"](sec=0, nanosec=0)
        self.header = self.types["std_msgs/msg/Header"](stamp=stamp, frame_id="")

    def joints(self, *positions: float) -> tuple[str, str, Any]:
        kind, none = "sensor_msgs/msg/JointState", np.zeros(0)
        names = ["b", "a"][: len(positions)]
        message = self.types[kind](
            header=self.header, name=names, position=np.array(positions), velocity=none, effort=none
        )
        return "/robot1/joint_states", kind, message

    def status(
        self, x: float, action: list[float], success: bool = False, person: bool = False
    ) -> tuple[str, str, Any]:
        point = self.types["geometry_msgs/msg/Point"]
        executed = np.array(action, np.float32)
        message = self.types[STATUS](
            header=self.header,
            stopped=False,
            reason="",
            action=executed,
            intervened=person,
            executed_action=executed,
            interventions=[],
            counted=[],
            counts=np.zeros(0, np.uint64),
            tool=point(x=x, y=0.0, z=0.0),
            target=point(x=0.0, y=0.0, z=0.0),
            action_names=["dx", "dy"][: len(action)],
            action_scale=np.zeros(len(action)),
            is_success=success,
        )
        return "/robot1/env/status", STATUS, message

    def picture(self, value: int) -> tuple[str, str, Any]:
        kind = "sensor_msgs/msg/Image"
        data = np.full(2 * 4 * 3, value, np.uint8)
        message = self.types[kind](
            header=self.header, height=2, width=4, encoding="rgb8", is_bigendian=0, step=12, data=data
        )
        return "/robot1/camera/color/image_raw", kind, message


def test_a_step_is_what_was_there_before_its_action(types: Any, tmp_path: Path) -> None:
    say = Messages(types)
    told = [
        *(say.joints(0.2, 0.1), say.picture(10), say.status(1.0, [])),  # a reset
        *(say.joints(0.3, 0.15), say.picture(20), say.status(1.1, [0.5, 0.0])),
        *(say.joints(0.4, 0.2), say.picture(30), say.status(1.2, [0.6, 0.1], success=True, person=True)),
        *(say.joints(0.0, 0.0), say.picture(40), say.status(2.0, [])),  # the next
        *(say.joints(0.1, 0.1), say.picture(50), say.status(2.1, [-0.5, 0.2])),
    ]
    write_bag(tmp_path / "bag", types, told)
    source, found = open_bag(tmp_path / "bag", "Go there.", "arm", 0.1)
    first, second = found
    assert source.state_names == ("a", "b", "tool_x", "tool_y", "tool_z")
    assert source.action_names == ("dx", "dy")
    assert dict(source.cameras) == {"robot1": (2, 4, 3)}
    np.testing.assert_allclose(first.states[:, :3], [[0.1, 0.2, 1.0], [0.15, 0.3, 1.1]])
    np.testing.assert_allclose(first.actions, [[0.5, 0.0], [0.6, 0.1]])
    assert first.by_person.tolist() == [False, True]
    assert first.rewards.tolist() == [0.0, 1.0]
    assert (first.success, second.success) == (True, False)
    assert first.pictures["robot1"][:, 0, 0, 0].tolist() == [10, 20]
    np.testing.assert_allclose(second.states[:, 2], [2.0])


def test_what_is_no_bag_is_refused(types: Any, tmp_path: Path) -> None:
    with pytest.raises(VarlError, match="is not a bag that can be read"):
        open_bag(tmp_path / "none")
    write_bag(tmp_path / "bag", types, [Messages(types).joints(0.0, 0.0)])
    with pytest.raises(VarlError, match="holds no step with joint states"):
        open_bag(tmp_path / "bag")

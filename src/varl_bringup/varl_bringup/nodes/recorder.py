"""The node ``recorder``: every topic of the graph into a rosbag2 bag (MCAP), with or without ROS 2's own recorder."""

from __future__ import annotations

import importlib
import re
import time
from pathlib import Path
from typing import Any

from ament_index_python.packages import get_package_share_directory
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from varl_common.config import Config
from varl_common.errors import VarlError
from varl_common.ros.diagnostics import Diagnostics, Health
from varl_common.ros.node import declare_parameters, run_node

_LOOK_EVERY = 0.5  # s, for new topics
# Takes what each publisher offers, so that no topic is left out for its QoS.
_ANY = QoSProfile(depth=100, reliability=ReliabilityPolicy.BEST_AVAILABLE, durability=DurabilityPolicy.BEST_AVAILABLE)


class RecorderParameters(Config):
    """Parameters of the node."""

    bag: Path
    """Folder of the bag, which must not exist yet."""


class RecorderNode(Node):
    """Subscribes to each topic as it appears and writes its messages as they come, undecoded."""

    def __init__(self) -> None:
        super().__init__("recorder")
        bag = declare_parameters(self, RecorderParameters).bag
        if bag.exists():
            raise VarlError(f"{bag} exists already; move it away, or leave out record:=true")
        bag.parent.mkdir(parents=True, exist_ok=True)
        self._types = get_typestore(Stores.LATEST)
        self._seen: set[str] = set()
        self._writer = Writer(bag, version=9, storage_plugin=StoragePlugin.MCAP)
        self._writer.open()
        self.create_timer(_LOOK_EVERY, self._look)
        Diagnostics(self, "bag", lambda: Health("records", values={"topics": len(self._seen)}), str(bag))
        self.get_logger().info(f"records into {bag}")

    def destroy_node(self) -> None:
        super().destroy_node()
        self._writer.close()

    def _look(self) -> None:
        for topic, kinds in self.get_topic_names_and_types():
            if topic not in self._seen:
                self._seen.add(topic)
                self._record(topic, kinds[0])

    def _record(self, topic: str, kind: str) -> None:
        try:
            message = _message(kind)
            self._define(kind, message)
        except (ImportError, AttributeError, LookupError, OSError) as error:
            self.get_logger().warning(f"{topic} is left out: its type {kind} is not installed ({error})")
            return
        connection = self._writer.add_connection(topic, kind, typestore=self._types)

        def write(data: bytes) -> None:
            self._writer.write(connection, time.time_ns(), data)

        self.create_subscription(message, topic, write, _ANY, raw=True)

    def _define(self, kind: str, message: Any) -> None:
        """Make the definition of a message and of those inside it known to the bag."""
        if kind in self._types.types:
            return
        for inner in re.findall(r"[a-z]\w*/[A-Z]\w*", " ".join(message.get_fields_and_field_types().values())):
            inner = inner.replace("/", "/msg/")
            self._define(inner, _message(inner))
        package, _, name = kind.split("/")
        text = (Path(get_package_share_directory(package)) / "msg" / f"{name}.msg").read_text(encoding="utf-8")
        self._types.register(get_types_from_msg(text, kind))


def _message(kind: str) -> Any:
    package, folder, name = kind.split("/")
    return getattr(importlib.import_module(f"{package}.{folder}"), name)


def main() -> None:
    """Entry point of the ``recorder`` executable."""
    run_node(RecorderNode)

"""Executes a node's callbacks in a thread beside the node's work."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node


@contextlib.contextmanager
def executor_in_background(node: Node) -> Iterator[None]:
    """Within the block another thread executes the node's callbacks, except those that a HotLoop executes."""
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    thread = threading.Thread(target=_spin, args=[executor], name="spin", daemon=True)
    thread.start()
    try:
        yield
    finally:
        executor.shutdown()
        thread.join(1.0)  # a thread that is still in ROS when Python ends would abort the process


def _spin(executor: SingleThreadedExecutor) -> None:
    with contextlib.suppress(ExternalShutdownException, RuntimeError):
        executor.spin()

"""Two threads for one node: each spins its own callback groups."""

from collections.abc import Callable
from typing import Any

from rclpy.callback_groups import CallbackGroup
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node


class GroupExecutor(SingleThreadedExecutor):
    """Executes those callbacks of ``node`` whose group passes ``takes``.

    rclpy's own answer is the MultiThreadedExecutor, whose hand-over to a pool costs more than the callbacks here. The
    node is not added to this executor (a node has one at most); new entities count from the next wake-up.
    """

    def __init__(self, node: Node, takes: Callable[[CallbackGroup], bool]) -> None:
        super().__init__(context=node.context)
        self._only, self._takes = node, takes

    def get_nodes(self) -> list[Node]:
        return [self._only]

    def can_execute(self, entity: Any) -> bool:
        return self._takes(entity.callback_group) and super().can_execute(entity)

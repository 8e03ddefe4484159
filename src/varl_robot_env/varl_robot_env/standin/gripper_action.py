"""A stand-in for a gripper's action server, where control_msgs is installed."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

from rclpy.action import ActionServer, CancelResponse, GoalResponse
from rclpy.node import Node

from varl_robot_env.config.robot import GripperConfig


class GripperAction:
    """Takes the goals of GripperCommand or ParallelGripperCommand, unless it ``refuses``; the gripper goes on its own.

    Attributes:
        goals: positions that were accepted, in their order.
        refuses: it rejects every goal.
        gives_up: it aborts every goal.
    """

    def __init__(self, node: Node, gripper: GripperConfig, move: Callable[[float], None]) -> None:
        """``move`` is told each goal's position. Raises ImportError where control_msgs is not installed."""
        self.goals: list[float] = []
        self.refuses = self.gives_up = False
        self._parallel, self._move = gripper.interface == "parallel_gripper_command", move
        name = "ParallelGripperCommand" if self._parallel else "GripperCommand"
        self._type: Any = getattr(importlib.import_module("control_msgs.action"), name)
        self._server = ActionServer(
            node,
            self._type,
            gripper.command_name,
            self._execute,
            goal_callback=lambda goal: GoalResponse.REJECT if self.refuses else GoalResponse.ACCEPT,
            cancel_callback=lambda goal: CancelResponse.ACCEPT,
        )

    def _execute(self, handle: Any) -> Any:
        command = handle.request.command
        position = float(command.position[0] if self._parallel else command.position)
        self.goals.append(position)
        if self.gives_up:
            handle.abort()
        else:
            self._move(position)
            handle.succeed()
        return self._type.Result()

    def destroy(self) -> None:
        """The driver is gone."""
        self._server.destroy()

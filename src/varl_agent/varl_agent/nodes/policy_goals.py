"""Goals of the action RunPolicy, taken by the node's callbacks and worked off by its main thread."""

from __future__ import annotations

import queue
import threading
import time
from typing import Any

from rclpy.action import ActionServer, CancelResponse, GoalResponse
from rclpy.action.server import ServerGoalHandle
from rclpy.node import Node
from rclpy.task import Future

from varl_agent.deployment.episodes import Tally
from varl_interfaces.action import RunPolicy

_LOOK_EVERY = 0.1  # s
_LAST_WORDS = 0.2  # s, for a result to leave a node that ends


class PolicyGoals:
    """Serves ``~/run_policy``. One goal at a time: another one is rejected meanwhile."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._waiting: queue.SimpleQueue[Goal] = queue.SimpleQueue()
        self._busy = threading.Lock()
        self._server = ActionServer(
            node,
            RunPolicy,
            "~/run_policy",
            self._execute,
            goal_callback=self._consider,
            cancel_callback=lambda handle: CancelResponse.ACCEPT,
        )

    def next(self) -> Goal | None:
        """The goal to work on, which is to be ended; None where none came for a while."""
        try:
            return self._waiting.get(timeout=_LOOK_EVERY)
        except queue.Empty:
            return None

    def _consider(self, request: RunPolicy.Goal) -> GoalResponse:
        if not request.seconds >= 0:  # nor a number that is none
            self._node.get_logger().error(f"a goal of {request.seconds} seconds was rejected; ask for 0 or more")
            return GoalResponse.REJECT
        if not self._busy.acquire(blocking=False):
            self._node.get_logger().error("a goal was rejected: another is being worked on; cancel that first")
            return GoalResponse.REJECT
        return GoalResponse.ACCEPT

    async def _execute(self, handle: ServerGoalHandle) -> RunPolicy.Result:
        goal = Goal(handle, Future())
        self._waiting.put(goal)
        try:
            return await goal.result
        finally:
            self._busy.release()

    def end(self, goal: Goal, tally: Tally, aborted: str = "") -> None:
        """Answer a goal: aborted for that reason, cancelled where that was asked for, else reached."""
        words = f"{aborted}; {tally}" if aborted else str(tally)
        if aborted:
            goal.handle.abort()
        elif goal.cancelled:
            goal.handle.canceled()
        else:
            goal.handle.succeed()
        result = RunPolicy.Result(
            episodes=tally.episodes, successes=tally.successes, success_rate=tally.success_rate, message=words
        )
        goal.result.set_result(result)
        if self._node.executor is not None:
            self._node.executor.wake()  # it waits for messages, and would notice with the next one alone
        if aborted:
            time.sleep(_LAST_WORDS)


class Goal:
    """One goal: what was asked for, and a way to say how far it is.

    Attributes:
        episodes, seconds: as in RunPolicy.action.
        began: on the monotonic clock, s.
    """

    def __init__(self, handle: ServerGoalHandle, result: Future) -> None:
        self.handle, self.result = handle, result
        request: Any = handle.request
        self.episodes, self.seconds = int(request.episodes), float(request.seconds)
        self.began = time.monotonic()

    @property
    def cancelled(self) -> bool:
        """Whether its client does not want it any more."""
        return bool(self.handle.is_cancel_requested)

    def show(self, tally: Tally) -> None:
        """Feedback."""
        elapsed = time.monotonic() - self.began
        self.handle.publish_feedback(
            RunPolicy.Feedback(episodes=tally.episodes, successes=tally.successes, elapsed=elapsed)
        )

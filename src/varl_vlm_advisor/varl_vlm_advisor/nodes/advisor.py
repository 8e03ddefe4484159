"""The node ``advisor``: GetAdvice, Point and Judge as services, and how it goes on /diagnostics."""

from __future__ import annotations

import sys
from concurrent.futures import Future as Pending
from typing import Any

from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.node import Node
from rclpy.task import Future
from varl_common.ros.diagnostics import Diagnostics, Health
from varl_common.ros.messages import from_description_msg, from_frame_msg
from varl_common.ros.node import declare_parameters, run_node

from varl_interfaces.srv import GetAdvice, Judge, Point
from varl_vlm_advisor.nodes.convert import from_state, moment, to_pointing_msg, to_response, to_verdict
from varl_vlm_advisor.service.advisor import Advisor
from varl_vlm_advisor.service.config import config_model
from varl_vlm_advisor.types import Answers, Pointing, Verdict

_TURN = 0.0005  # s


class AdvisorNode(Node):
    """Serves ``~/get_advice``, ``~/point`` and ``~/judge``.

    Questions are asked in the core's thread; the executor is never held up by a model.
    """

    def __init__(self) -> None:
        super().__init__("advisor")
        self._advisor = Advisor(declare_parameters(self, config_model()))
        # A group of its own: a callback that waits holds up the others of its group.
        group = ReentrantCallbackGroup()
        self.create_service(GetAdvice, "~/get_advice", self._get_advice, callback_group=group)
        self.create_service(Point, "~/point", self._point, callback_group=group)
        self.create_service(Judge, "~/judge", self._judge, callback_group=group)
        Diagnostics(self, "advice", self._health, self._advisor.label)
        self.get_logger().info(f"advice comes from: {self._advisor.label}")

    async def _get_advice(self, request: GetAdvice.Request, response: GetAdvice.Response) -> GetAdvice.Response:
        states = [from_state(state) for state in request.states]
        pending = self._advisor.ask(from_description_msg(request.env), states, request.deadline)
        answers: Answers = await self._in_executor(pending)
        refused = [advice for advice in answers.advice if advice.status]
        if refused:
            self.get_logger().warning(
                f"no advice for {len(refused)} of {len(states)} states: {refused[0].reason}", throttle_duration_sec=5.0
            )
        return to_response(answers, response)

    async def _point(self, request: Point.Request, response: Point.Response) -> Point.Response:
        frames = [from_frame_msg(frame) for frame in request.frames]
        pending = self._advisor.point(frames, list(request.things), request.deadline)
        pointings: list[Pointing] = await self._in_executor(pending)
        refused = [pointing for pointing in pointings if pointing.status]
        if refused:
            self.get_logger().warning(
                f"no pointing for {len(refused)} of {len(pointings)}: {refused[0].reason}", throttle_duration_sec=5.0
            )
        response.pointings = [to_pointing_msg(pointing) for pointing in pointings]
        response.advisor = self._advisor.label
        return response

    async def _judge(self, request: Judge.Request, response: Judge.Response) -> Judge.Response:
        pending = self._advisor.judge(from_description_msg(request.env), moment(request), request.deadline)
        verdict: Verdict = await self._in_executor(pending)
        return to_verdict(verdict, self._advisor.label, response)

    def _in_executor(self, pending: Pending[Any]) -> Future:
        """``pending`` as something that a callback of this node's executor can await."""
        future = Future(executor=self.executor)
        # The executor looks at a waiting callback only when something wakes it, as scheduling this one does.
        future.add_done_callback(lambda _: None)

        def pass_on(done: Pending[Answers]) -> None:
            try:
                future.set_result(done.result())
            except BaseException as error:  # the core was closed meanwhile
                future.set_exception(error)

        pending.add_done_callback(pass_on)
        return future

    def _health(self) -> Health:
        statistics, asker = self._advisor.statistics, self._advisor.asker
        answered = statistics.states + statistics.pointings + statistics.verdicts
        useless = answered and not answered["OK"]
        figures = {
            "requests": statistics.requests,
            **{f"states {name}": count for name, count in sorted(statistics.states.items())},
            **{f"pointings {name}": count for name, count in sorted(statistics.pointings.items())},
            **{f"verdicts {name}": count for name, count in sorted(statistics.verdicts.items())},
            **dict(sorted(statistics.events.items())),
            "tokens in": statistics.tokens_in,
            "tokens out": statistics.tokens_out,
            "run: calls": asker.budget.spent.calls,
            "run: tokens": asker.budget.spent.tokens,
            "run: money": f"{asker.budget.spent.money:.4f}",
            "latency p50 (s)": f"{statistics.latency(50):.3f}",
            "latency p99 (s)": f"{statistics.latency(99):.3f}",
        }
        return Health(
            "ready",
            f"no answer was usable: {statistics.last_problem}" if useless else "",
            f"left alone: {statistics.last_problem}" if asker.breaker.open else "",
            figures,
        )

    def destroy_node(self) -> None:
        """Cancel what is being asked, too."""
        self._advisor.close()
        super().destroy_node()


def main() -> None:
    """Run the node."""
    # The executor's thread shares the interpreter with the core's, and takes it a dozen times for one callback: at
    # Python's own 5 ms a turn, a service would wait 50 ms while questions are being made.
    sys.setswitchinterval(_TURN)
    run_node(AdvisorNode)

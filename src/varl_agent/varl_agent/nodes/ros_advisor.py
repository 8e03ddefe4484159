"""The advisor node as an Advisor: questions go out as a service call, answers come back as a future."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Any

import numpy as np
from geometry_msgs.msg import Point, Vector3
from rcl_interfaces.srv import GetParameters
from rclpy.node import Node
from varl_common.advice_status import AdviceStatus
from varl_common.env_description import motion_of
from varl_common.plan import Phase, Plan
from varl_common.ros.messages import to_frame_msg
from varl_common.ros.qos import LATCHED
from varl_common.trajectories import trajectories

from varl_agent.advice.messages import AdviceAnswer, AdviceQuery
from varl_interfaces import msg
from varl_interfaces.srv import GetAdvice

# Of the deadline, what is left to the network: the answer should be here when the learner stops waiting.
MARGIN = 0.95


class RosAdvisor:
    """Client of ``<name>/get_advice``. The node must be spun by another thread.

    What is advised is shown on the node's ``~/advice`` (Advised).

    Attributes:
        wants_frames: the advisor looks at pictures.
    """

    def __init__(self, node: Node, env: msg.EnvDescription, deadline: float, name: str, wants_frames: bool) -> None:
        self._client = node.create_client(GetAdvice, f"{name}/get_advice")
        self._parameters = node.create_client(GetParameters, f"{name}/get_parameters")
        self._plans: bool | None = None  # not known yet
        self._shown = node.create_publisher(msg.Advised, "~/advice", LATCHED)
        self._env = env
        self._deadline = deadline
        self._act_dim = len(env.action_names)
        self.name = name
        self.wants_frames = wants_frames

    @property
    def pictures(self) -> int | None:
        """How many pictures of a question it looks at: one where it plans; None: all."""
        return 1 if self._plans else None

    @property
    def ready(self) -> bool:
        """Whether the advisor node is there."""
        return bool(self._client.service_is_ready())

    def look_up_strategy(self) -> None:
        """Ask the node, without waiting, whether it plans: a plan is made from one picture, the others stay here."""

        def take(call: Any) -> None:
            values = call.result().values if call.exception() is None else []
            self._plans = any(value.string_value == "plan" for value in values)

        if self._parameters.service_is_ready():
            self._parameters.call_async(GetParameters.Request(names=["strategy"])).add_done_callback(take)

    def ask(self, query: AdviceQuery) -> Future[AdviceAnswer]:
        """Send the question; never waits."""
        answer: Future[AdviceAnswer] = Future()
        if not self.ready:
            reason = f"the node '{self.name}' is not there"
            answer.set_result(AdviceAnswer.none(len(query), self._act_dim, AdviceStatus.UNAVAILABLE, reason))
            return answer
        states = _states(query, self.pictures or len(query), len(self._env.observation_names))
        request = GetAdvice.Request(env=self._env, states=states, deadline=self._deadline * MARGIN)
        call = self._client.call_async(request)

        def done(call: Any) -> None:
            if answer.set_running_or_notify_cancel():
                try:
                    taken = _answer(call.result(), query, self._act_dim)
                    answer.set_result(taken)
                except Exception as error:
                    answer.set_exception(error)
                    return
                self._shown.publish(_advised(self._env, query, taken))

        call.add_done_callback(done)
        self.look_up_strategy()  # for the next question: the node may be started again with another
        return answer


def _states(query: AdviceQuery, pictured: int, size: int) -> list[msg.AdviceState]:
    """The transitions of ``query``, the first ``pictured`` of those that have pictures with them.

    ``size``: numbers in a state; what a policy is told beyond them, of pictures, is none of the advisor's.
    """
    frames = list(query.frames or [None] * len(query))
    for i in [i for i, taken in enumerate(frames) if taken][pictured:]:
        frames[i] = None
    return [
        msg.AdviceState(
            id=i,
            state=query.states[i][:size].tolist(),
            action=query.actions[i].tolist(),
            next_state=query.next_states[i][:size].tolist(),
            reward=float(query.rewards[i]),
            frames=[to_frame_msg(frame) for frame in frames[i] or []],
        )
        for i in range(len(query))
    ]


def _answer(response: GetAdvice.Response, query: AdviceQuery, act_dim: int) -> AdviceAnswer:
    """The response as an answer; advice that is missing or of the wrong size is INVALID."""
    n = len(query)
    actions = np.full((n, act_dim), np.nan, np.float32)
    status = np.full(n, AdviceStatus.INVALID, np.uint8)
    reasons, ways = [""] * n, {}
    for advice in response.advice:
        if advice.id >= n:
            continue
        if advice.status != AdviceStatus.OK or len(advice.action) == act_dim:
            status[advice.id] = advice.status
        if status[advice.id] == AdviceStatus.OK:
            actions[advice.id] = advice.action
            ways[advice.id] = np.array(advice.waypoints, np.float32)
        reasons[advice.id] = advice.reason
    plan = _plan(response.plan) or trajectories(query.states, ways)
    return AdviceAnswer(actions, status, reasons, plan, response.advisor)


def _advised(env: msg.EnvDescription, query: AdviceQuery, answer: AdviceAnswer) -> msg.Advised:
    """The transitions with an action advised, as a picture needs them."""
    x = env.entity_indices[list(env.entities).index("tool")]
    rows = np.flatnonzero(np.isfinite(answer.actions).all(axis=1))
    shown = msg.Advised(advisor=answer.advisor)
    shown.header.frame_id = env.base_frame
    shown.tools = [Point(**_xyz(query.states[row, x : x + 3])) for row in rows]
    for name, actions in (("executed", query.actions), ("advised", answer.actions)):
        motions = [motion_of(actions[row], env.action_names, env.action_scale) for row in rows]
        setattr(shown, name, [Vector3(**_xyz(way)) for way, _ in motions])
        setattr(shown, f"{name}_turns", [Vector3(**_xyz(turn)) for _, turn in motions if turn is not None])
    return shown


def _xyz(vector: np.ndarray) -> dict[str, float]:
    return dict(zip("xyz", vector.tolist(), strict=True))


def _plan(plan: msg.Plan) -> Plan | None:
    if not plan.phases:
        return None
    phases = tuple(
        Phase(
            phase.target,
            (phase.offset.x, phase.offset.y, phase.offset.z),
            phase.gripper,
            phase.tolerance,
            phase.opposite,
            phase.standoff,
            phase.align,
            (phase.turn.x, phase.turn.y, phase.turn.z),
            phase.brings,
            phase.to,
            phase.within,
        )
        for phase in plan.phases
    )
    return Plan(phases, plan.reason)

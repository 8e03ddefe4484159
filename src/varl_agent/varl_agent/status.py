"""TrainingStatus on ``~/status``: how a training stands, about once a second by the wall clock."""

from __future__ import annotations

from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from varl_common.qos import LATCHED

from varl_agent.figures import Figures
from varl_agent.record import Phase, Record
from varl_interfaces.msg import TrainingStatus

PERIOD = 1.0  # seconds


class StatusTopic:
    """Publishes the newest figures; a late joiner gets the last ones."""

    def __init__(self, node: Node, run: str, total_steps: int) -> None:
        self._node = node
        self._run = run
        self._record = Record(total_steps)
        self._figures: Figures | None = None
        self._publisher = node.create_publisher(TrainingStatus, "~/status", LATCHED)
        # By the wall clock: simulated time may stand still.
        node.create_timer(PERIOD, self.publish, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def show(self, figures: Figures) -> None:
        """What to publish from now on."""
        self._record, self._figures = figures.record, figures

    def end(self, phase: Phase, words: str) -> None:
        """The last message."""
        self._record.phase, self._record.message = phase, words
        self.publish()

    def publish(self) -> None:
        """Publish now."""
        record = self._record
        message = TrainingStatus(
            run=self._run,
            phase=int(record.phase),
            message=record.message,
            step=record.step,
            total_steps=record.total_steps,
            episodes=len(record.episodes),
            updates=record.updates,
            success_rate=record.success_rate,
            eval_success_rate=record.eval_success_rate,
            episode_return=record.mean_return,
            time_left=-1.0,
        )
        message.header.stamp = self._node.get_clock().now().to_msg()
        if self._figures is not None:
            for name in _COPIED:
                setattr(message, name, getattr(self._figures, name))
        self._publisher.publish(message)


_COPIED = (
    "updates_per_second",
    "utd",
    "advice_asked",
    "advice_used",
    "advice_queries",
    "gate_open",
    "guided",
    "alpha",
    "entropy",
    "action_latency_p99",
    "replay_size",
    "time_left",
)

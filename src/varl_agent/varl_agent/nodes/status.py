"""The status of a training, about once a second by the wall clock: TrainingStatus on ``~/status``, and /diagnostics."""

from __future__ import annotations

from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from varl_common.ros.diagnostics import Diagnostics, Health
from varl_common.ros.qos import LATCHED

from varl_agent.training.metrics import TrainingMetrics
from varl_agent.training.record import Phase, Record
from varl_interfaces.msg import TrainingStatus

PERIOD = 1.0  # seconds


class StatusTopic:
    """Publishes the newest metrics; a late joiner gets the last ones."""

    def __init__(self, node: Node, run: str, total_steps: int) -> None:
        self._node = node
        self._run = run
        self._record = Record(total_steps)
        self._metrics: TrainingMetrics | None = None
        self._publisher = node.create_publisher(TrainingStatus, "~/status", LATCHED)
        # By the wall clock: simulated time may stand still.
        node.create_timer(PERIOD, self.publish, clock=Clock(clock_type=ClockType.STEADY_TIME))
        Diagnostics(node, "training", self._health, run)

    def show(self, metrics: TrainingMetrics) -> None:
        """Take these metrics as what is published from now on."""
        self._record, self._metrics = metrics.record, metrics

    def end(self, phase: Phase, words: str) -> None:
        """Publish the last message of the run."""
        self._record.phase, self._record.message = phase, words
        self.publish()

    def _health(self) -> Health:
        record, metrics = self._record, self._metrics
        shown = {name: round(getattr(metrics, name), 4) for name in _DIAGNOSED} if metrics else {}
        return Health(
            record.phase.name.lower(),
            problem=record.message or "failed" if record.phase == Phase.FAILED else "",
            values={"step": record.step, "updates": record.updates, "success rate": record.success_rate, **shown},
        )

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
        if self._metrics is not None:
            for name in _COPIED:
                setattr(message, name, getattr(self._metrics, name))
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
_DIAGNOSED = ("updates_per_second", "utd", "action_latency_p99", "replay_size")

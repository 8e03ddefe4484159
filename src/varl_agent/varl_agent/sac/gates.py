"""Gates: where advice still pulls the policy. Each is a function that gives a weight per state and axis.

A gate looks at the policy's Gaussian before the tanh (mean and standard deviation, each (n, act_dim)), at the advised
actions a (n, act_dim) inside (-1, 1) and, for the Q-filter, at the critic; it returns (n, act_dim) of 0 (closed) or 1
(open). No gradient flows through a gate.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch as th
from varl_common.errors import VarlError, did_you_mean, expect, is_number

from varl_agent.sac.tanh_gaussian import log_prob_per_axis


@dataclass(frozen=True)
class GateInput:
    """What a gate may look at. ``advantage()`` gives min_i Q_i(s, a) - min_i Q_i(s, tanh(mean)), (n, 1)."""

    mean: th.Tensor
    std: th.Tensor
    advice: th.Tensor
    threshold: float
    advantage: Callable[[], th.Tensor]


def _none(x: GateInput) -> th.Tensor:
    """Always open."""
    return th.ones_like(x.advice)


def _distance(x: GateInput) -> th.Tensor:
    """Open, axis by axis, while the greedy action is farther than the threshold from the advice."""
    return ((x.advice - th.tanh(x.mean)).abs() > x.threshold).to(x.advice.dtype)


def _distance_joint(x: GateInput) -> th.Tensor:
    """Open on all axes while any axis of the greedy action is farther than the threshold from the advice."""
    farthest = (x.advice - th.tanh(x.mean)).abs().amax(dim=-1, keepdim=True)
    return (farthest > x.threshold).to(x.advice.dtype).expand_as(x.advice)


def _log_prob(x: GateInput) -> th.Tensor:
    """Open, axis by axis, while log pi_j(a_j|s) is below the threshold."""
    return (log_prob_per_axis(x.mean, x.std, x.advice) < x.threshold).to(x.advice.dtype)


def _log_prob_joint(x: GateInput) -> th.Tensor:
    """Open on all axes while log pi(a|s), summed over the axes, is below the threshold times the number of axes."""
    mean_log_prob = log_prob_per_axis(x.mean, x.std, x.advice).mean(dim=-1, keepdim=True)
    return (mean_log_prob < x.threshold).to(x.advice.dtype).expand_as(x.advice)


def _q_filter(x: GateInput) -> th.Tensor:
    """Open while the critic prefers the advice to the greedy action by more than the threshold (Nair et al. 2018)."""
    return (x.advantage() > x.threshold).to(x.advice.dtype).expand_as(x.advice)


# name: function, and its default threshold.
_GATES: dict[str, tuple[Callable[[GateInput], th.Tensor], float]] = {
    "none": (_none, 0.0),
    "distance": (_distance, 0.5),  # of an action in [-1, 1]: a quarter of its range
    "distance-joint": (_distance_joint, 0.5),
    "log-prob": (_log_prob, 1.0),  # nats an axis: what SAC's target entropy of -1 nat an axis asks for on average
    "log-prob-joint": (_log_prob_joint, 1.0),
    "q-filter": (_q_filter, 0.0),  # of a soft Q value
}
GATE_NAMES = tuple(_GATES)


@dataclass(frozen=True)
class Gate:
    """A gate by name, at a threshold."""

    name: str
    threshold: float

    def __call__(
        self, mean: th.Tensor, std: th.Tensor, advice: th.Tensor, advantage: Callable[[], th.Tensor]
    ) -> th.Tensor:
        """Weights (n, act_dim) of 0 or 1, without a gradient."""
        with th.no_grad():
            return _GATES[self.name][0](GateInput(mean, std, advice, self.threshold, advantage))


def make_gate(name: str, threshold: float | None = None) -> Gate:
    """The gate of that name, at its default threshold unless one is given.

    Raises:
        VarlError: no gate has that name, or the threshold is no number.
    """
    if name not in GATE_NAMES:
        raise VarlError(f"unknown gate {name!r}; {did_you_mean(name, list(GATE_NAMES))}")
    threshold = _GATES[name][1] if threshold is None else threshold
    expect(is_number(threshold), "gate_threshold", threshold, "a number, or None for the gate's own")
    return Gate(name, float(threshold))

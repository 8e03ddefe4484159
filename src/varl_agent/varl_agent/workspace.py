"""One fast update's parts on a CPU, up to the optimizers' steps, on arrays of fixed size."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch as th

from varl_agent import kernels
from varl_agent.blas import sgemm_address
from varl_agent.compiling import compiled
from varl_agent.inputs import zeros
from varl_agent.networks import (
    HEAD,
    MOMENTS,
    H,
    Z,
    backward,
    backward_values,
    forward,
    forward_values,
    input_gradient,
    network,
)

if TYPE_CHECKING:
    from varl_agent.fast_update import FastUpdate, Inputs

APART = 128  # rows of a batch from which on those of s' have memory of their own


class Workspace:
    """Works on an update's parameters and on one :class:`Inputs`.

    Attributes:
        mean, std: (n, act_dim) of the policy before the tanh on all rows of the actor's input, after :meth:`act`.
        opened: (m, act_dim) the gates on the advised states.
    """

    def __init__(self, update: FastUpdate, inputs: Inputs) -> None:
        self.inputs, self.sgemm = inputs, sgemm_address()
        rows, axes, n = inputs.rows, update._act_dim, len(inputs.actor)
        # The rows of s' are nobody's concern once its actions are known. Many take what memory the cache holds already;
        # of few the product is the faster, the longer it is.
        apart = rows if rows >= APART else 0
        self.stem = network(update._stem, update._stem_gradient, n - apart)
        one, other = zip(update._twins, update._twin_gradients, strict=True)
        first = network(*one, rows, self.stem)
        self.critics = first, network(*other, rows, first)
        self.targets = tuple(network(layers, [], rows, first) for layers in update._targets)
        self.successor_stem = network(update._stem, [], apart, first)
        self.out, self.d = (zeros(n, 2 * axes) for _ in range(2))
        self.mean, self.log_std, self.std, self.free = (zeros(n, axes) for _ in range(4))
        self.action, self.log_pi = zeros(2 * rows, axes), zeros(2 * rows)
        self.opened = zeros(len(inputs.advice), axes)
        self.q, self.target = zeros(2, rows), zeros(2, rows)
        self.dq_da, self.room = zeros(rows, axes), zeros(rows, axes)
        self.picked, self.pulled = np.zeros((2, rows), np.int64), np.zeros(inputs.advised.stop, np.int64)

    def act(self) -> None:
        """The policy on all rows of the actor's input, and its actions in s' and s with their log-densities."""
        x = self.inputs
        _policy(
            self.sgemm, self.successor_stem, self.stem, x.actor, self.out, self.mean, self.log_std, self.free,
        )  # fmt: skip
        th.exp(th.from_numpy(self.log_std), out=th.from_numpy(self.std))
        kernels.draw(self.mean, self.std, self.log_std, x.noise, self.action, self.log_pi)
        th.from_numpy(self.action).tanh_()  # by torch, as in SB3, to the last bit; so the exponential above

    def critics_step(self, alpha: float) -> tuple[float, float]:
        """Fill in the critics' gradients. Their loss, and the mean of log pi(a|s)."""
        x = self.inputs
        return _critics(
            self.sgemm, self.critics, self.targets, x.next, x.data, x.pi, x.rewards, x.discounts, self.action,
            self.log_pi, self.q, self.target, np.float32(alpha),
        )  # fmt: skip

    def actor_step(self, alpha: float, gate: int, threshold: float) -> float:
        """Fill in the actor's gradients; the mean of min_i Q_i(s, a). ``gate`` is an index of ``kernels.GATES``, or -1
        where ``opened`` is filled in already."""
        x = self.inputs
        return _actor(
            self.sgemm, self.stem, self.critics, x.actor, x.pi, x.noise, self.mean, self.std, self.free, self.action,
            self.q, self.dq_da, self.room, self.d, self.picked, np.float32(alpha),
            x.advice, self.opened, x.pull, x.advised.start, self.pulled, gate, threshold,
        )  # fmt: skip


@compiled
def _policy(
    sgemm: int, successor: Any, stem: Any, x: Any, out: Any, mean: Any, log_std: Any, free: Any
) -> None:  # fmt: skip
    apart = len(successor[H][0])
    if apart > 0:
        forward(sgemm, successor, x[:apart], out[:apart])
    forward(sgemm, stem, x[apart:], out[apart:])
    kernels.gaussian(out, stem[HEAD][0][-1], mean, log_std, free)


@compiled
def _critics(
    sgemm: int, critics: Any, targets: Any, successor: Any, data: Any, pi: Any, rewards: Any, discounts: Any,
    action: Any, log_pi: Any, q: Any, target: Any, alpha: Any,
) -> tuple[float, float]:  # fmt: skip
    kernels.squash(action, log_pi, successor, pi)
    for i in range(2):
        forward_values(sgemm, targets[i], successor, target[i])
    kernels.target_values(target, rewards, discounts, alpha, log_pi)
    loss = 0.0
    for i in range(2):
        forward_values(sgemm, critics[i], data, q[i])
        loss += kernels.critic_error(q[i], target[0])
        backward_values(sgemm, critics[i], data, q[i])
    return loss, kernels.mean_of(log_pi[len(pi) :])


@compiled
def _actor(
    sgemm: int, stem: Any, critics: Any, x: Any, pi: Any, noise: Any, mean: Any, std: Any, free: Any, action: Any,
    q: Any, dq_da: Any, room: Any, d: Any, picked: Any, alpha: Any,
    advice: Any, opened: Any, pull: Any, advised: int, pulled: Any, gate: int, threshold: float,
) -> float:  # fmt: skip
    rows = len(pi)
    apart = len(x) - len(stem[H][0])
    for i in range(2):
        forward_values(sgemm, critics[i], pi, q[i])
    count, value = kernels.smaller(q, picked)
    input_gradient(sgemm, critics[0], picked[0, :count], room, dq_da)
    input_gradient(sgemm, critics[1], picked[1, : rows - count], room, dq_da)
    kernels.policy_gradient(rows, alpha, std, free, noise, action, dq_da, d)
    n = rows
    if len(opened) > 0:
        if gate >= 0:
            kernels.gates(gate, threshold, mean[advised:], std[advised:], advice, opened)
        own = advised > rows  # states of their own, behind those of the batch: only those with an open gate count
        end = rows if own else 0
        n = kernels.guidance_gradient(mean, std, free, advice, opened, pull[0], advised, d, end, pulled)
        if own and n < rows + len(opened):
            _keep(stem, x[apart:], advised - apart, pulled[: n - rows] - apart)
    backward(sgemm, stem, x[apart:], d[:n], rows - apart)
    return value


@compiled
def _keep(stem: Any, x: Any, first: int, rows: Any) -> None:
    """Move these rows, ascending, of the last forward pass, and of its input x, to ``first`` and the rows after it."""
    kernels.move(x, first, rows)
    for i in range(len(stem[H])):
        kernels.move(stem[H][i], first, rows)
        if len(stem[Z][i]) > 0:
            kernels.move(stem[Z][i], first, rows)
            kernels.move(stem[MOMENTS][i], first, rows)

"""One fast update's parts on a CPU, on arrays of fixed size."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch as th

from varl_agent.compiling import compiled
from varl_agent.fast import adam, elementwise
from varl_agent.fast.blas import sgemm_address
from varl_agent.fast.elementwise import F32
from varl_agent.fast.inputs import Inputs, zeros
from varl_agent.fast.networks import (
    HEAD,
    STATISTICS,
    H,
    Z,
    backward,
    backward_values,
    forward,
    forward_values,
    input_gradient,
    network,
)
from varl_agent.fast.packed import pack

APART = 128  # rows: from this batch size on, the rows of s' have memory of their own


class Workspace:
    """Works on an update's parameters and on one :class:`Inputs`.

    Attributes:
        mean, std: (n, act_dim) of the policy before the tanh on all rows of the actor's input, after :meth:`act`.
        gate_weights: (m, act_dim) the gates on the advised states.
    """

    def __init__(self, update: Any, inputs: Inputs) -> None:
        self._actor, self._critic, self._temperature = update._actor, update._critic, update._temperature
        self._max_norm = math.inf if update._max_norm is None else update._max_norm
        x, sgemm = inputs, sgemm_address()
        rows, axes, n = x.rows, update._act_dim, len(x.policy)

        # The rows of s' have no backward pass, so what they leave behind may be overwritten: where there are many, they
        # use memory that the cache holds already. Where there are few, one long product is faster than two short ones.
        apart = rows if rows >= APART else 0
        stem = network(update._stem, update._stem_gradient, n - apart)
        one, other = zip(update._twins, update._twin_gradients, strict=True)
        first = network(*one, rows, stem)
        critics = first, network(*other, rows, first)
        targets = tuple(network(layers, [], rows, first) for layers in update._targets)
        successor_stem = network(update._stem, [], apart, first)

        out, d = (zeros(n, 2 * axes) for _ in range(2))
        mean, log_std, std, free = (zeros(n, axes) for _ in range(4))
        action, log_pi = zeros(2 * rows, axes), zeros(2 * rows)
        gate_weights = zeros(len(x.advice), axes)
        q, target = zeros(2, rows), zeros(2, rows)
        dq_da, part = zeros(rows, axes), zeros(rows, axes)
        picked, pulled = np.zeros((2, rows), np.int64), np.zeros(x.advised.stop, np.int64)
        self.mean, self.std, self.gate_weights, self._latent = mean, std, gate_weights, th.from_numpy(action)

        self._for_policy = pack((
            sgemm, successor_stem, stem, x.policy, out, mean, log_std, std, free, x.noise, action, log_pi,
        ))  # fmt: skip
        self._for_critics = pack((
            sgemm, critics, targets, x.next, x.data, x.pi, x.rewards, x.discounts, action, log_pi, q, target,
            adam.arrays(self._critic, 2, update._target),
        ))  # fmt: skip
        self._for_actor = pack((
            sgemm, stem, critics, x.policy, x.noise, mean, std, free, action, q, dq_da, part, d, picked,
            x.advice, gate_weights, x.pull, x.advised.start, pulled, adam.arrays(self._actor),
        ))  # fmt: skip
        self._for_temperature = () if self._temperature is None else adam.arrays(self._temperature)

    def act(self) -> None:
        """The policy on all rows of the actor's input, and its actions in s' and s with their log-densities."""
        _policy(self._for_policy)
        self._latent.tanh_()  # by torch, as in SB3, to the last bit

    def critics_step(self, alpha: float, tau: float) -> tuple[float, float]:
        """Step the critics; their targets follow by ``tau``. The critics' loss, and the mean of log pi(a|s)."""
        return _critics(self._for_critics, alpha, self._critic.rates, self._max_norm, tau)

    def temperature_step(self, gradient: float) -> None:
        """Step log(alpha), of which this is the gradient; nothing where it is not trained."""
        if self._temperature is not None:
            self._for_temperature[0][1][0] = gradient
            adam.step_together(self._for_temperature, self._temperature.rates, self._max_norm, 0.0)

    def actor_step(self, alpha: float, gate: int, threshold: float) -> float:
        """Step the actor, after the critics; the mean of min_i Q_i(s, a). ``gate`` is an index of ``GATES``, or
        -1 where ``gate_weights`` is filled in already."""
        return _actor(self._for_actor, alpha, gate, threshold, self._actor.rates, self._max_norm)


@compiled
def _policy(arrays: Any) -> None:
    sgemm, successor, stem, x, out, mean, log_std, std, free, noise, latent, log_pi = arrays.all
    apart = len(successor[H][0])
    if apart > 0:
        forward(sgemm, successor, x[:apart], out[:apart])
    forward(sgemm, stem, x[apart:], out[apart:])
    elementwise.gaussian(out, stem[HEAD][0][-1], mean, log_std, std, free)
    elementwise.draw(mean, std, log_std, noise, latent, log_pi)


@compiled
def _critics(arrays: Any, alpha: float, rates: Any, max_norm: float, tau: float) -> tuple[float, float]:
    sgemm, critics, targets, successor, data, pi, rewards, discounts, action, log_pi, q, target, learned = arrays.all
    elementwise.squash(action, log_pi, successor, pi)
    for i in range(2):
        forward_values(sgemm, targets[i], successor, target[i])
    elementwise.target_values(target, rewards, discounts, F32(alpha), log_pi)
    loss = 0.0
    for i in range(2):
        forward_values(sgemm, critics[i], data, q[i])
        loss += elementwise.critic_error(q[i], target[0])
        backward_values(sgemm, critics[i], data, q[i])
        if max_norm == math.inf:  # at once, while the cache holds this critic
            adam.step(learned[i], rates, 1.0, tau)
            forward_values(sgemm, critics[i], pi, q[i])  # what the actor's step begins with
    if max_norm < math.inf:
        adam.step_together(learned, rates, max_norm, tau)
        for i in range(2):
            forward_values(sgemm, critics[i], pi, q[i])
    return loss, elementwise.mean_of(log_pi[len(pi) :])


@compiled
def _actor(arrays: Any, alpha: float, gate: int, threshold: float, rates: Any, max_norm: float) -> float:
    (
        sgemm, stem, critics, x, noise, mean, std, free, action, q, dq_da, part, d, picked,
        advice, gate_weights, pull, advised, pulled, learned,
    ) = arrays.all  # fmt: skip
    rows, apart = len(part), len(x) - len(stem[H][0])
    count, value = elementwise.smaller(q, picked)
    input_gradient(sgemm, critics[1], picked[1, : rows - count], part, dq_da)  # the one that the cache holds first
    input_gradient(sgemm, critics[0], picked[0, :count], part, dq_da)
    elementwise.policy_gradient(rows, F32(alpha), std, free, noise, action, dq_da, d)
    n = rows
    if len(gate_weights) > 0:
        if gate >= 0:
            elementwise.gates(gate, threshold, mean[advised:], std[advised:], advice, gate_weights)
        own = advised > rows  # states of their own, behind those of the batch: only those with an open gate count
        end = rows if own else 0
        n = elementwise.guidance_gradient(mean, std, free, advice, gate_weights, pull[0], advised, d, end, pulled)
        if own and n < rows + len(gate_weights):
            _keep(stem, x[apart:], advised - apart, pulled[: n - rows] - apart)
    backward(sgemm, stem, x[apart:], d[:n], rows - apart)
    adam.step_together(learned, rates, max_norm, 0.0)
    return value


@compiled
def _keep(stem: Any, x: Any, first: int, rows: Any) -> None:
    """Move these rows, ascending, of the last forward pass, and of its input x, to ``first`` and the rows after it."""
    elementwise.move(x, first, rows)
    for i in range(len(stem[H])):
        elementwise.move(stem[H][i], first, rows)
        if len(stem[Z][i]) > 0:
            elementwise.move(stem[Z][i], first, rows)
            elementwise.move(stem[STATISTICS][i], first, rows)

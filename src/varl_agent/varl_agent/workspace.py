"""One fast update's parts on a CPU, on arrays of fixed size."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import torch as th

from varl_agent import adam, kernels
from varl_agent.blas import sgemm_address
from varl_agent.compiling import compiled
from varl_agent.inputs import zeros
from varl_agent.kept import kept
from varl_agent.kernels import F32
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
        self.actor, self.critic, self.temperature = update._actor, update._critic, update._temperature
        self.actor_arrays = adam.arrays(self.actor)
        self.critic_arrays = adam.arrays(self.critic, 2, update._target)
        self.temperature_arrays = () if self.temperature is None else adam.arrays(self.temperature)
        self.max_norm = math.inf if update._max_norm is None else update._max_norm
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
        self.latent = th.from_numpy(self.action)
        self.opened = zeros(len(inputs.advice), axes)
        self.q, self.target = zeros(2, rows), zeros(2, rows)
        self.dq_da, self.room = zeros(rows, axes), zeros(rows, axes)
        self.picked, self.pulled = np.zeros((2, rows), np.int64), np.zeros(inputs.advised.stop, np.int64)
        x = inputs
        self.policy_room = kept((
            self.sgemm, self.successor_stem, self.stem, x.actor, self.out, self.mean, self.log_std, self.std, self.free,
            x.noise, self.action, self.log_pi,
        ))  # fmt: skip
        self.critics_room = kept((
            self.sgemm, self.critics, self.targets, x.next, x.data, x.pi, x.rewards, x.discounts, self.action,
            self.log_pi, self.q, self.target, self.critic_arrays,
        ))  # fmt: skip
        self.actor_room = kept(((
            self.sgemm, self.stem, self.critics, x.actor, x.pi, x.noise, self.mean, self.std, self.free, self.action,
            self.q, self.dq_da, self.room, self.d, self.picked),
            (x.advice, self.opened, x.pull, x.advised.start, self.pulled, self.actor_arrays,
        )))  # fmt: skip

    def act(self) -> None:
        """The policy on all rows of the actor's input, and its actions in s' and s with their log-densities."""
        _policy(self.policy_room)
        self.latent.tanh_()  # by torch, as in SB3, to the last bit

    def critics_step(self, alpha: float, tau: float) -> tuple[float, float]:
        """Step the critics; their targets follow by ``tau``. The critics' loss, and the mean of log pi(a|s).

        Leaves the stepped critics' values of (s, a drawn now) in ``q``.
        """
        return _critics(self.critics_room, alpha, self.critic.rates, self.max_norm, tau)

    def temperature_step(self, gradient: float) -> None:
        """Step log(alpha), of which this is the gradient; nothing where it is not trained."""
        if self.temperature is not None:
            _, d, *_ = self.temperature_arrays[0]
            d[0] = gradient
            adam.step_together(self.temperature_arrays, self.temperature.rates, self.max_norm, 0.0)

    def actor_step(self, alpha: float, gate: int, threshold: float) -> float:
        """Step the actor; the mean of min_i Q_i(s, a). ``gate`` is an index of ``kernels.GATES``, or -1 where
        ``opened`` is filled in already."""
        return _actor(self.actor_room, alpha, gate, threshold, self.actor.rates, self.max_norm)


@compiled
def _policy(room: Any) -> None:
    sgemm, successor, stem, x, out, mean, log_std, std, free, noise, latent, log_pi = room.all
    apart = len(successor[H][0])
    if apart > 0:
        forward(sgemm, successor, x[:apart], out[:apart])
    forward(sgemm, stem, x[apart:], out[apart:])
    kernels.gaussian(out, stem[HEAD][0][-1], mean, log_std, std, free)
    kernels.draw(mean, std, log_std, noise, latent, log_pi)


@compiled
def _critics(room: Any, alpha: float, rates: Any, max_norm: float, tau: float) -> tuple[float, float]:
    sgemm, critics, targets, successor, data, pi, rewards, discounts, action, log_pi, q, target, learned = room.all
    kernels.squash(action, log_pi, successor, pi)
    for i in range(2):
        forward_values(sgemm, targets[i], successor, target[i])
    kernels.target_values(target, rewards, discounts, F32(alpha), log_pi)
    loss = 0.0
    for i in range(2):
        forward_values(sgemm, critics[i], data, q[i])
        loss += kernels.critic_error(q[i], target[0])
        backward_values(sgemm, critics[i], data, q[i])
        if max_norm == math.inf:  # at once, while the cache holds this critic
            adam.step(learned[i], rates, 1.0, tau)
            forward_values(sgemm, critics[i], pi, q[i])
    if max_norm < math.inf:
        adam.step_together(learned, rates, max_norm, tau)
        for i in range(2):
            forward_values(sgemm, critics[i], pi, q[i])
    return loss, kernels.mean_of(log_pi[len(pi) :])


@compiled
def _actor(room: Any, alpha: float, gate: int, threshold: float, rates: Any, max_norm: float) -> float:
    sgemm, stem, critics, x, pi, noise, mean, std, free, action, q, dq_da, room_, d, picked = room.all[0]
    advice, opened, pull, advised, pulled, learned = room.all[1]
    rows = len(pi)
    apart = len(x) - len(stem[H][0])
    count, value = kernels.smaller(q, picked)
    input_gradient(sgemm, critics[1], picked[1, : rows - count], room_, dq_da)  # the one that the cache holds first
    input_gradient(sgemm, critics[0], picked[0, :count], room_, dq_da)
    kernels.policy_gradient(rows, F32(alpha), std, free, noise, action, dq_da, d)
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
    adam.step_together(learned, rates, max_norm, 0.0)
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

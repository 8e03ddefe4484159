"""One fast update's two halves on a CPU, up to the optimizers' steps, on arrays of fixed size."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch as th

from varl_agent import kernels
from varl_agent.hidden_layers import HiddenLayers, Layers

if TYPE_CHECKING:
    from varl_agent.fast_update import FastUpdate, Inputs

APART = 128  # rows of a batch from which on those of s' have memory of their own


class Critic:
    """Q(s, a) of ``rows`` rows: hidden layers, and a head (width + 1, 1) that ends with its bias."""

    def __init__(self, layers: Layers, gradients: Layers, rows: int, beside: HiddenLayers | None = None) -> None:
        self.hidden = HiddenLayers(layers[:-1], gradients[:-1], rows, beside)
        self.head = layers[-1][0].numpy()
        self.head_gradient = gradients[-1][0].numpy() if gradients else None

    def forward(self, x: np.ndarray, q: np.ndarray) -> None:
        """Fill in q (rows,)."""
        self.hidden.values(x, self.head, q)

    def backward(self, dq: np.ndarray, x: np.ndarray) -> None:
        """Fill in the parameters' gradients, for dJ/dq (rows,)."""
        kernels.head_gradient(self.hidden.output, dq, self.head_gradient)
        self.hidden.backward(dq, x, head=self.head)


class Workspace:
    """Works on an update's parameters and on one :class:`Inputs`.

    Attributes:
        mean, std: (n, act_dim) of the policy before the tanh on all rows of the actor's input, after the first half.
    """

    def __init__(self, update: FastUpdate, inputs: Inputs) -> None:
        self.inputs, self.rows, self.axes = inputs, inputs.rows, update._act_dim
        names = ("actor", "next", "data", "pi", "rewards", "discounts", "noise", "advice")
        self.x = {name: getattr(inputs, name) for name in names}
        n = len(inputs.actor)
        # The rows of s' are nobody's concern once its actions are known. Many take what memory the cache holds already;
        # of few the product is the faster, the longer it is.
        self.apart = self.rows if self.rows >= APART else 0
        self.stem = HiddenLayers(update._stem[:-1], update._stem_gradient[:-1], n - self.apart)
        first, second = zip(update._twins, update._twin_gradients, strict=True)
        self.critics = [Critic(*first, self.rows, self.stem)]
        beside = self.critics[0].hidden
        self.critics.append(Critic(*second, self.rows, beside))
        self.targets = [Critic(layers, [], self.rows, beside) for layers in update._targets]
        self.acting = [(self.stem, slice(self.apart, n))]
        if self.apart:
            self.acting.append((HiddenLayers(update._stem[:-1], [], self.rows, beside), slice(self.rows)))
        self.head, self.head_gradient = (part[-1][0].numpy() for part in (update._stem, update._stem_gradient))
        self.out, self.d = (np.zeros((n, 2 * self.axes), np.float32) for _ in range(2))
        self.mean, self.log_std, self.std, self.free = (np.zeros((n, self.axes), np.float32) for _ in range(4))
        self.action, self.log_pi = np.zeros((2 * self.rows, self.axes), np.float32), np.zeros(2 * self.rows, np.float32)
        self.q, self.target = np.zeros((2, self.rows), np.float32), np.zeros((2, self.rows), np.float32)
        self.dq_da = np.zeros((self.rows, self.axes), np.float32)

    def critics_step(self, alpha: float) -> tuple[float, float]:
        """Act; fill in the critics' gradients. Their loss, and the mean of log pi(a|s)."""
        x, rows = self.x, self.rows
        for stem, part in self.acting:
            np.dot(stem.forward(x["actor"][part]), self.head[:-1], self.out[part])
        kernels.gaussian(self.out, self.head[-1], self.mean, self.log_std, self.free)
        th.exp(th.from_numpy(self.log_std), out=th.from_numpy(self.std))
        kernels.draw(self.mean, self.std, self.log_std, x["noise"], self.action, self.log_pi)
        th.from_numpy(self.action).tanh_()  # by torch, as in SB3, to the last bit; so the exponential above
        kernels.squash(self.action, self.log_pi)
        x["next"][:, -self.axes :] = self.action[:rows]
        for target, q in zip(self.targets, self.target, strict=True):
            target.forward(x["next"], q)
        kernels.target_values(self.target, x["rewards"], x["discounts"], np.float32(alpha), self.log_pi)
        loss = 0.0
        for critic, q in zip(self.critics, self.q, strict=True):
            critic.forward(x["data"], q)
            loss += kernels.critic_error(q, self.target[0])
            critic.backward(q, x["data"])
        return loss, kernels.mean_of(self.log_pi[rows:])

    def actor_step(self, alpha: float, opened: np.ndarray | None) -> float:
        """Fill in the actor's gradients, given the gates on the advised states; the mean of min_i Q_i(s, a)."""
        x, rows = self.x, self.rows
        x["pi"][:, -self.axes :] = self.action[rows:]
        for critic, q in zip(self.critics, self.q, strict=True):
            critic.forward(x["pi"], q)
        first = self.q[0] <= self.q[1]
        for critic, chosen in zip(self.critics, (first, ~first), strict=True):
            picked = np.flatnonzero(chosen)
            columns = slice(x["pi"].shape[1] - self.axes, x["pi"].shape[1])
            self.dq_da[picked] = critic.hidden.input_gradient(critic.head, picked, columns)
        kernels.policy_gradient(
            rows, np.float32(alpha), self.std, self.free, x["noise"], self.action, self.dq_da, self.d
        )
        n = rows if opened is None else self._guide(opened)
        d = self.d[:n]
        on = rows - self.apart  # where s begins in the stem
        h, top = self.stem.output[on : on + n], self.stem.top[:n]
        np.dot(h.T, d, self.head_gradient[:-1])
        d.sum(axis=0, out=self.head_gradient[-1])
        np.dot(d, self.head[:-1].T, top)
        self.stem.backward(top, x["actor"][self.apart :], first=on)
        return kernels.mean_of(np.minimum(*self.q))

    def _guide(self, opened: np.ndarray) -> int:
        """Add the advice's gradient to ``d``; how many rows that has now."""
        rows, first = self.rows, self.inputs.advised.start
        into, n = np.arange(len(opened)), rows
        if first > rows:  # states of their own, behind those of the batch: only those with an open gate
            pulled = np.flatnonzero(opened.any(axis=1))
            into[:] = -1
            into[pulled] = rows + np.arange(len(pulled))
            n += len(pulled)
            self.d[rows:n] = 0
            if len(pulled) < len(opened):
                self.stem.keep(self.x["actor"][self.apart :], first - self.apart, first - self.apart + pulled)
        kernels.guidance_gradient(
            self.mean, self.std, self.free, self.x["advice"], opened, np.float32(self.inputs.pull), into, first,
            self.d,
        )  # fmt: skip
        return n

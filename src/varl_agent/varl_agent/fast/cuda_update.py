r"""The fast update on a GPU: the mathematics of :mod:`.fast_update` in torch's operations, as a CUDA graph.

With networks as small as SAC's a GPU waits for launches more than it computes. Captured once, the kernels of an update
are launched together (https://docs.pytorch.org/docs/stable/notes/cuda.html#cuda-graphs). A graph's memory is fixed, so
no shape here depends on data (a row of dQ/da passes through both critics, as zeros through the greater one), and no
number is read back within. Both critics are one batched product. The noise is drawn within the graph, by the device's
default generator, whose state a replay reads and moves on as any other operation does.

What has been run so far: all of this on a CPU, where nothing is captured, against autograd. The capture has a test, but
no GPU was at hand to run it on; so ``update="auto"`` does not choose it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch as th
from stable_baselines3.sac.policies import LOG_STD_MAX, LOG_STD_MIN

from varl_agent.fast.fast_update import FastUpdate, Networks
from varl_agent.fast.flat_adam import FlatAdam, Stacked, unchanged
from varl_agent.fast.inputs import Inputs
from varl_agent.fast.stacked_layers import StackedLayers
from varl_agent.sac.batches import Batch
from varl_agent.sac.tanh_gaussian import EPS, LOG_SQRT_2PI
from varl_agent.sac.varl import VARL

WARM_UPS = 3  # updates before a capture, in which libraries allocate what they need; as torch's documentation has it
READ_EVERY = 50  # updates between two looks at the losses: to read a number is to wait for the GPU


class CudaUpdate(FastUpdate):
    """As :class:`FastUpdate`, on a GPU. Losses are logged as the means of at least ``READ_EVERY`` updates.

    Args:
        model: on a GPU. On a CPU the same operations run one by one, slower than that one, and losses are logged at
            every call.
    """

    def __init__(self, model: VARL) -> None:
        self._graph = model.device.type == "cuda"
        self._dtype = th.bfloat16 if model.bf16 else th.float32
        self._unread: Any = 0.0  # losses, summed, of this many updates
        self._unread_updates = 0
        super().__init__(model)

    def _prepare(self) -> None:
        self._policy = StackedLayers(self._stem, self._stem_gradient, self._dtype)
        self._critics = StackedLayers(self._twins[0], self._twin_gradients[0], self._dtype)
        self._target_critics = StackedLayers(self._targets[0], [], self._dtype)

    def _zeros(self, *shape: int) -> th.Tensor:  # type: ignore[override]
        return th.zeros(shape, device=self.model.device)

    def _place(self, batch: Batch, inputs: Inputs) -> None:
        obs, array = slice(0, self._obs_dim), self._array
        inputs.next[:, obs] = self._features(batch.next_observations)
        inputs.data[:, obs] = inputs.pi[:, obs] = self._features(batch.observations)
        inputs.data[:, self._obs_dim :] = array(batch.actions)
        inputs.rewards[:] = array(batch.rewards)[:, 0]
        inputs.discounts[:] = ((1 - array(batch.dones)) * self._discounts(batch))[:, 0]

    def _place_advice(self, guidance: Any, inputs: Inputs, shared: bool) -> None:
        if not shared:
            inputs.actor[inputs.advised] = self._features(guidance.observations)
        inputs.advice[:] = self._array(guidance.actions)

    def _features(self, observations: Any) -> Any:
        features = self._unscaled(observations)
        return (features - self._shift) * self._scale if self._scaled else features

    @staticmethod
    def _array(tensor: th.Tensor) -> th.Tensor:
        return tensor

    @staticmethod
    def _arranged(networks: Networks) -> Networks:
        """One network, of stacked blocks."""
        together = zip(*networks, strict=True)
        return [[[Stacked(same) for same in zip(*layers, strict=True)] for layers in together]]

    def _record(self, total: Any, updates: int) -> None:
        self._unread, self._unread_updates = self._unread + total, self._unread_updates + updates
        if not self._graph or self._unread_updates >= READ_EVERY:
            super()._record(self._unread, self._unread_updates)
            self._unread, self._unread_updates = 0.0, 0

    def _update(self, inputs: Inputs, guidance: Any, follow: bool) -> tuple[Any, ...]:
        if self._graph:
            inputs.work = inputs.work or self._capture(lambda: self._step(inputs))
            graph, results = inputs.work
            graph.replay()
        else:
            results = self._step(inputs)
        if follow:
            self._target.value.lerp_(self._critic.value, self.model.tau)
        return results

    def _capture(self, step: Callable[[], Any]) -> tuple[th.cuda.CUDAGraph, Any]:
        """``step`` as a graph, and where its results will be. Weights, moments and random numbers stay as they are."""
        generator = th.cuda.get_rng_state(self.model.device)
        graph, stream = th.cuda.CUDAGraph(), th.cuda.Stream(self.model.device)
        with unchanged(*self._trained):
            stream.wait_stream(th.cuda.current_stream(self.model.device))
            with th.cuda.stream(stream):
                for _ in range(WARM_UPS):
                    step()
            # Only this thread's own calls can spoil the capture: another one may be acting.
            with th.cuda.graph(graph, stream=stream, capture_error_mode="thread_local"):
                results = step()
            th.cuda.current_stream(self.model.device).wait_stream(stream)
        th.cuda.set_rng_state(generator, self.model.device)
        return graph, results

    def _step(self, x: Inputs) -> tuple[th.Tensor, ...]:
        """The losses; and the policy's mean and deviation on the advised states and the gates on these."""
        rows, axes = x.rows, self._act_dim
        for part in (x.noise[rows:], x.noise[:rows]):  # SB3 draws that of s before that of s'
            part.normal_()
        out, tape = self._policy.forward(x.actor[None])
        mean, raw = out[0].split(axes, 1)
        log_std = raw.clamp(LOG_STD_MIN, LOG_STD_MAX)
        std, free = log_std.exp(), raw == log_std
        stretched = std[: 2 * rows] * x.noise
        action = (mean[: 2 * rows] + stretched).tanh()
        slope = 1 - action * action
        terms = 0.5 * x.noise.square() + log_std[: 2 * rows] + (slope + EPS).log()
        log_pi = -(terms.sum(1) + axes * LOG_SQRT_2PI)
        mean_log_pi = log_pi[rows:].mean()

        if self._temperature is None:
            alpha, alpha_loss = self.model.ent_coef_tensor.view(()), th.zeros_like(mean_log_pi)
        else:
            log_alpha, surplus = self._temperature.value[0].clone(), mean_log_pi + self.model.target_entropy
            alpha, alpha_loss = log_alpha.exp(), -log_alpha * surplus
            self._step_temperature(self._temperature, surplus, x.hold)

        x.next[:, -axes:] = action[:rows]
        next_q, _ = self._target_critics.forward(x.next.expand(2, -1, -1))
        target_q = x.rewards + x.discounts * (next_q[..., 0].amin(0) - alpha * log_pi[:rows])
        q, critic_tape = self._critics.forward(x.data.expand(2, -1, -1))
        error = q - target_q[:, None]
        self._critics.backward(error / rows, critic_tape)
        self._critic.step(self._max_norm)

        advised = tuple(part[x.advised] for part in (mean, std, free))
        gate_weights = self._gate_weights(x, *advised[:2]) if len(x.advice) else None

        x.pi[:, -axes:] = action[rows:]
        q_pi, pi_tape = self._critics.forward(x.pi.expand(2, -1, -1))
        first = (q_pi[:1] <= q_pi[1:]).float()
        dq_da = self._critics.input_gradient(th.cat([first, 1 - first]), pi_tape, slice(-axes, None)).sum(0)
        a, on = action[rows:], slice(rows, 2 * rows)
        d_mean = slope[rows:] * (2 * alpha * a / (slope[rows:] + EPS) - dq_da) / rows
        d = th.cat([d_mean, (d_mean * stretched[rows:] - alpha / rows) * free[on]], 1)
        if gate_weights is not None:
            pull = self._guidance_gradient(x, gate_weights, *advised)
            d = d + pull if x.advised.start == rows else th.cat([d, pull])
        self._policy.backward(d[None], [tuple(part[:, rows:] for part in parts) for parts in tape])
        self._actor.step(self._max_norm)

        actor_loss, critic_loss = alpha * mean_log_pi - q_pi.amin(0).mean(), 0.5 * error.square().mean(1).sum()
        losses = th.stack([actor_loss, critic_loss, alpha, alpha_loss, -mean_log_pi])
        return (losses,) if gate_weights is None else (losses, *advised[:2], gate_weights)

    def _step_temperature(self, temperature: FlatAdam, surplus: th.Tensor, hold: th.Tensor) -> None:
        """As :func:`varl_agent.sac.temperature.held` around a step, without looking at a number."""
        before = [tensor.clone() for tensor in temperature.tensors]
        temperature.gradient[0] = -surplus
        temperature.step(self._max_norm)
        left_out = (hold >= 1.0) & (surplus > 0.0)
        for tensor, old in zip(temperature.tensors, before, strict=True):
            th.where(left_out, old, tensor, out=tensor)
        temperature.value -= hold * (temperature.value - before[0]).clamp(min=0.0)

    def _gate_weights(self, x: Inputs, mean: th.Tensor, std: th.Tensor) -> th.Tensor:
        def q(action: th.Tensor) -> th.Tensor:
            values, _ = self._critics.forward(th.cat([x.actor[x.advised], action], 1).expand(2, -1, -1))
            return values.amin(0)

        return self.model._gate(mean, std, x.advice, lambda: q(x.advice) - q(mean.tanh()))

    @staticmethod
    def _guidance_gradient(
        x: Inputs, gate_weights: th.Tensor, mean: th.Tensor, std: th.Tensor, free: th.Tensor
    ) -> th.Tensor:
        """dJ/d(mu, l) of guidance on the advised rows, (m, 2 act_dim)."""
        weight, z = gate_weights * x.pull, (x.advice.atanh() - mean) / std
        return th.cat([-weight * z / std, weight * (1 - z * z) * free], 1)

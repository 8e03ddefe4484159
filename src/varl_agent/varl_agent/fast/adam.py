"""Adam's step (Kingma and Ba 2015) for the fast update on a CPU, on one network at a time.

With its moments and its target a network takes several times the memory of its gradient. Stepped right after its
backward pass it finds gradient and weights in the cache, and leaves the new weights there for the pass that follows.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from varl_agent.compiling import compiled
from varl_agent.fast.elementwise import F32

if TYPE_CHECKING:
    from varl_agent.fast.flat_adam import FlatAdam, FlatParameters

Arrays = tuple[np.ndarray, ...]


def arrays(trained: FlatAdam, parts: int = 1, target: FlatParameters | None = None) -> tuple[Arrays, ...]:
    """For each of ``parts`` networks of one size that ``trained`` holds one after the other: its parameters, gradient,
    first and second moments, how many steps each parameter has made, and the parameters that follow the network's (of
    no elements without ``target``)."""
    tensors = [trained.value, trained.gradient, trained.mean, trained.square, trained.steps]
    tensors.append(trained.value[:0] if target is None else target.value)
    return tuple(zip(*(tensor.view(parts, len(tensor) // parts).numpy() for tensor in tensors), strict=True))


@compiled
def step(part: Any, rates: Any, clip: float, tau: float) -> None:
    """Adam's step on a network of :func:`arrays`, with ``clip`` times its gradient; then its target follows by tau.
    ``rates`` as :class:`FlatAdam` has them."""
    value, gradient, mean, square, steps, target = part
    lr, beta1, beta2, eps, decay = rates
    for k in range(len(steps)):
        steps[k] += F32(1)
    size = F32(lr / (1 - beta1 ** steps[0]))
    spread = F32(1 / math.sqrt(1 - beta2 ** steps[0]))
    new, old_square, new_square, small = F32(1 - beta1), F32(beta2), F32(1 - beta2), F32(eps)
    scale, pull = F32(clip), F32(decay)
    for i in range(len(value)):
        g = scale * gradient[i] + pull * value[i]
        mean[i] += new * (g - mean[i])
        square[i] = old_square * square[i] + new_square * g * g
        value[i] -= size * mean[i] / (spread * F32(math.sqrt(square[i])) + small)
    if tau > 0:
        for i in range(len(target)):
            target[i] += F32(tau) * (value[i] - target[i])


@compiled
def step_together(parts: Any, rates: Any, max_norm: float, tau: float) -> None:
    """:func:`step` on all of them, the norm of their gradients together first clipped to ``max_norm``."""
    clip = 1.0
    if max_norm < math.inf:
        total = 0.0
        for i in range(len(parts)):
            for g in parts[i][1]:
                total += g * g
        clip = min(max_norm / (math.sqrt(total) + 1e-6), 1.0)  # as torch's clip_grad_norm_
    for i in range(len(parts)):
        step(parts[i], rates, clip, tau)

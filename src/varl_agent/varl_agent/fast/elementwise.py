"""The fast update's arithmetic between matrix products, compiled: each function is one pass over what is at hand.

Between two products of 256 x 256 the caches hold little else, so that each of the hundred small operations of an
implementation in torch starts cold; a compiled pass does the work of five or ten. All arrays are contiguous float32.
:mod:`varl_agent.fast.fast_update` has the mathematics.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from varl_agent.compiling import compiled, exact, exact_for
from varl_agent.sac import tanh_gaussian

F32 = np.float32
LOG_SQRT_2PI = tanh_gaussian.LOG_SQRT_2PI
EPS = F32(tanh_gaussian.EPS)
NORM_EPS = 1e-5  # torch's LayerNorm
LOG_STD_MIN, LOG_STD_MAX = F32(-20), F32(2)


# A replay's fields may lie apart in memory; what is contiguous fits this signature too.
@exact_for(
    "void(f4[:,:], f4[:,:], f4[::1], f4[::1], f4[:,:], f4[:,:], f4[:,:], f4[:,:],"
    " f4[:,::1], f4[:,::1], f4[::1], f4[::1])"
)
def place(
    next_x: Any, x: Any, shift: Any, scale: Any, actions: Any, rewards: Any, dones: Any, discounts: Any,
    policy: Any, data: Any, r: Any, discount: Any,
) -> None:  # fmt: skip
    """A batch, each of its fields (B, ...), to where an update reads it, the features scaled; see ``Inputs``."""
    rows, features = x.shape
    for n in range(rows):
        for k in range(features):
            policy[n, k] = (next_x[n, k] - shift[k]) * scale[k]
        for k in range(features):
            policy[rows + n, k] = data[n, k] = (x[n, k] - shift[k]) * scale[k]
        for j in range(actions.shape[1]):
            data[n, features + j] = actions[n, j]
        r[n], discount[n] = rewards[n, 0], (F32(1) - dones[n, 0]) * discounts[n, 0]


@exact_for("void(f4[:,:], f4[::1], f4[::1], f4[:,:], f4[:,::1], f4[:,::1])")
def place_advice(x: Any, shift: Any, scale: Any, actions: Any, policy: Any, advice: Any) -> None:
    """The same for advised states, if any, and the advised actions (m, act_dim)."""
    for m in range(len(x)):
        for k in range(x.shape[1]):
            policy[m, k] = (x[m, k] - shift[k]) * scale[k]
    for m in range(len(actions)):
        for j in range(actions.shape[1]):
            advice[m, j] = actions[m, j]


@compiled
def relu(h: Any, bias: Any) -> None:
    """h <- max(h + bias, 0), in place."""
    for n in range(len(h)):
        for k in range(h.shape[1]):
            h[n, k] = max(h[n, k] + bias[k], F32(0))


@compiled
def norm_relu(z: Any, bias: Any, scale: Any, shift: Any, h: Any, statistics: Any) -> None:
    """z <- z + bias, in place, and h = max(LayerNorm(z), 0); ``statistics`` (n, 2): mean and reciprocal deviation."""
    width = z.shape[1]
    for n in range(len(z)):
        mean, square = F32(0), F32(0)
        for k in range(width):
            z[n, k] += bias[k]
            mean += z[n, k]
        mean /= F32(width)
        for k in range(width):
            square += (z[n, k] - mean) ** 2
        rstd = F32(1 / math.sqrt(square / F32(width) + NORM_EPS))
        statistics[n, 0], statistics[n, 1] = mean, rstd
        for k in range(width):
            h[n, k] = max((z[n, k] - mean) * rstd * scale[k] + shift[k], F32(0))


@compiled
def relu_gradient(d: Any, h: Any, rows: Any, g_bias: Any) -> None:
    """dJ/dh, d, becomes dJ/d(h's input), in place; h's rows are these. Also the gradient of the bias."""
    g_bias[:] = F32(0)
    for n in range(len(d)):
        row = rows[n]
        for k in range(d.shape[1]):
            d[n, k] = d[n, k] if h[row, k] > 0 else F32(0)
            g_bias[k] += d[n, k]


@compiled
def head_relu_gradient(dq: Any, head: Any, h: Any, rows: Any, d: Any, g_bias: Any) -> None:
    """As :func:`relu_gradient`, with d filled in from dJ/dQ, dq (n,), of Q = h w + b, w and b being ``head``."""
    w = head.reshape(head.size)  # whose numbers are known to lie side by side
    g_bias[:] = F32(0)
    for n in range(len(dq)):
        row, slope = rows[n], dq[n]
        for k in range(d.shape[1]):
            d[n, k] = slope * w[k] if h[row, k] > 0 else F32(0)
            g_bias[k] += d[n, k]


@compiled
def norm_relu_gradient(
    d: Any, h: Any, rows: Any, z: Any, statistics: Any, scale: Any, g_bias: Any, g_scale: Any, g_shift: Any
) -> None:
    """As :func:`relu_gradient`, through the LayerNorm too, with the gradients of its scale and shift."""
    width = d.shape[1]
    g_bias[:] = F32(0)
    g_scale[:] = F32(0)
    g_shift[:] = F32(0)
    for n in range(len(d)):
        row = rows[n]
        mean, rstd = statistics[row, 0], statistics[row, 1]
        a, b = F32(0), F32(0)
        for k in range(width):
            normal = (z[row, k] - mean) * rstd
            grad = d[n, k] if h[row, k] > 0 else F32(0)
            g_scale[k] += grad * normal
            g_shift[k] += grad
            grad *= scale[k]
            a += grad
            b += grad * normal
            d[n, k] = grad
        a /= F32(width)
        b /= F32(width)
        for k in range(width):
            d[n, k] = rstd * (d[n, k] - a - (z[row, k] - mean) * rstd * b)
            g_bias[k] += d[n, k]


@compiled
def values(h: Any, head: Any, out: Any) -> None:
    """Q = h w + b, w and b being ``head`` (width + 1, 1)."""
    w = head.reshape(head.size)
    for n in range(len(out)):
        total = w[-1]
        for k in range(h.shape[1]):
            total += h[n, k] * w[k]
        out[n] = total


@compiled
def relu_values(h: Any, bias: Any, head: Any, out: Any) -> None:
    """:func:`relu` and :func:`values` in one pass."""
    w = head.reshape(head.size)
    for n in range(len(out)):
        total = w[-1]
        for k in range(h.shape[1]):
            h[n, k] = max(h[n, k] + bias[k], F32(0))
            total += h[n, k] * w[k]
        out[n] = total


@compiled
def head_gradient(h: Any, d: Any, out: Any) -> None:
    """Gradient of a critic's head, (width + 1, 1), for d = dJ/dQ (n,)."""
    g = out.reshape(out.size)
    g[:] = F32(0)
    for n in range(len(d)):
        for k in range(h.shape[1]):
            g[k] += h[n, k] * d[n]
        g[-1] += d[n]


@compiled
def target_values(q: Any, rewards: Any, discounts: Any, alpha: Any, log_pi: Any) -> None:
    """q[0] <- y = r + discount (min_i q[i] - alpha log pi), for the values q (2, B) of both target critics."""
    for n in range(q.shape[1]):
        q[0, n] = rewards[n] + discounts[n] * (min(q[0, n], q[1, n]) - alpha * log_pi[n])


@compiled
def critic_error(q: Any, target: Any) -> float:
    """q <- dJ/dq of a critic's J, which is returned."""
    loss, rows = 0.0, F32(len(q))
    for n in range(len(q)):
        error = q[n] - target[n]
        loss += error * error
        q[n] = error / rows
    return 0.5 * loss / len(q)


@compiled
def gaussian(out: Any, bias: Any, mean: Any, log_std: Any, std: Any, free: Any) -> None:
    """The policy before the tanh from the head's ``out``, (n, 2 act_dim) without the bias. ``free``: 1 where the clamp
    lets l through."""
    axes = mean.shape[1]
    for n in range(len(out)):
        for j in range(axes):
            mean[n, j] = out[n, j] + bias[j]
            raw = out[n, axes + j] + bias[axes + j]
            log_std[n, j] = min(max(raw, LOG_STD_MIN), LOG_STD_MAX)
            std[n, j] = math.exp(log_std[n, j])
            free[n, j] = F32(1) if raw == log_std[n, j] else F32(0)


@exact
def draw(mean: Any, std: Any, log_std: Any, noise: Any, latent: Any, log_pi: Any) -> None:
    """u = mu + sigma n, ``latent``, with its log-density, in the first ``len(noise)`` rows."""
    axes = mean.shape[1]
    for n in range(len(noise)):
        total = F32(0)
        for j in range(axes):
            latent[n, j] = mean[n, j] + std[n, j] * noise[n, j]
            total -= F32(0.5) * noise[n, j] ** 2 + log_std[n, j]
        log_pi[n] = total - F32(axes * LOG_SQRT_2PI)


@exact
def squash(action: Any, log_pi: Any, successor: Any, pi: Any) -> None:
    """From the log-density of u to that of a = tanh(u); a (2 B, act_dim) joins the critics' inputs, B rows each."""
    rows, axes = len(pi), action.shape[1]
    first = pi.shape[1] - axes
    for n in range(len(action)):
        for j in range(axes):
            a = action[n, j]
            log_pi[n] -= math.log(F32(1) - a * a + EPS)
            if n < rows:
                successor[n, first + j] = a
            else:
                pi[n - rows, first + j] = a


@compiled
def smaller(q: Any, rows: Any) -> tuple[int, float]:
    """In which rows each critic's value, q (2, B), is the smaller, ``rows`` (2, B) from the left; how many of the first
    there are, and the mean of the smaller values."""
    counts, total = [0, 0], 0.0
    for n in range(q.shape[1]):
        i = 0 if q[0, n] <= q[1, n] else 1
        rows[i, counts[i]] = n
        counts[i] += 1
        total += q[i, n]
    return counts[0], total / q.shape[1]


@exact
def policy_gradient(first: int, alpha: Any, std: Any, free: Any, noise: Any, action: Any, dq_da: Any, d: Any) -> None:
    """dJ/d(mu, l) of SAC's own objective, into ``d`` (B, 2 act_dim); the rows of the others from ``first`` on."""
    rows, axes = dq_da.shape
    for n in range(rows):
        for j in range(axes):
            a = action[first + n, j]
            slope = F32(1) - a * a
            d_mean = slope * (F32(2) * alpha * a / (slope + EPS) - dq_da[n, j]) / F32(rows)
            stretched = std[first + n, j] * noise[first + n, j]
            d[n, j] = d_mean
            d[n, axes + j] = (d_mean * stretched - alpha / F32(rows)) * free[first + n, j]


GATES = ("none", "distance", "distance-joint", "log-prob", "log-prob-joint")


@exact
def gates(kind: int, threshold: float, mean: Any, std: Any, advice: Any, gate_weights: Any) -> None:
    """Gate ``GATES[kind]`` (:mod:`varl_agent.sac.gates`) into ``gate_weights`` (m, act_dim)."""
    axes = gate_weights.shape[1]
    for m in range(len(gate_weights)):
        farthest = total = F32(0)
        for j in range(axes):
            if kind >= 3:
                z = (F32(math.atanh(advice[m, j])) - mean[m, j]) / std[m, j]
                squashed = math.log(std[m, j]) + math.log(F32(1) - advice[m, j] * advice[m, j] + EPS)
                log_prob = F32(F32(-0.5) * z * z - squashed - F32(LOG_SQRT_2PI))
                total += log_prob
                gate_weights[m, j] = F32(log_prob < threshold)
            elif kind > 0:
                apart = abs(advice[m, j] - F32(math.tanh(mean[m, j])))
                farthest = max(farthest, apart)
                gate_weights[m, j] = F32(apart > threshold)
            else:
                gate_weights[m, j] = F32(1)
        if kind == 2:
            gate_weights[m] = F32(farthest > threshold)
        if kind == 4:
            gate_weights[m] = F32(total / F32(axes) < threshold)


@compiled
def guidance_gradient(
    mean: Any, std: Any, free: Any, advice: Any, gate_weights: Any, pull: Any, first: int, d: Any, end: int, rows: Any
) -> int:
    """Adds dJ/d(mu, l) of the advice to d (n, 2 act_dim), and returns where d ends then; ``pull`` is lambda / m.

    The policy's rows from ``first`` on are those of the advised states. Where these are the batch itself, ``end`` is 0
    and the rows of d are theirs. Else those with an open gate follow from ``end`` on; their numbers go into ``rows``.
    """
    axes, apart, kept = mean.shape[1], end > 0, 0
    for m in range(len(gate_weights)):
        into, n = m, first + m
        if apart:
            if not gate_weights[m].any():
                continue
            into, rows[kept] = end + kept, n
            kept += 1
            d[into] = F32(0)
        for j in range(axes):
            weight, sigma = gate_weights[m, j] * pull, std[n, j]
            z = (F32(math.atanh(advice[m, j])) - mean[n, j]) / sigma
            d[into, j] -= weight * z / sigma
            d[into, axes + j] += weight * (F32(1) - z * z) * free[n, j]
    return end + kept if apart else len(gate_weights)


@compiled
def move(array: Any, first: int, rows: Any) -> None:
    """These rows, in ascending order and none before its place, to ``first`` and the rows after it."""
    for i in range(len(rows)):
        array[first + i] = array[rows[i]]


@compiled
def mean_of(values: Any) -> float:
    """Mean in double precision."""
    total = 0.0
    for value in values:
        total += value
    return total / len(values)

"""A network's passes on a CPU, forward and backward, compiled: products by BLAS, the rest by :mod:`.elementwise`.

A network is h_l = relu(norm_l(h_{l-1} W_l + b_l)), h_0 being its input x, and a head that is linear in the last h. To
compiled code it is a tuple of tuples, with an array for each hidden layer (of no elements where there is nothing):

    AFFINE, SCALE, SHIFT        weights and bias (in + 1, out); of the LayerNorm (out,)
    D_AFFINE, D_SCALE, D_SHIFT  their gradients, none where the network is not trained
    H, Z, STATISTICS               (rows, out), and before the LayerNorm; (rows, 2) as ``norm_relu`` has it
    DOWN, UNUSED                room for dJ/dh (rows, out); for gradients that nobody asks for, (3, out)
    HEAD                        its weights and bias (width + 1, outputs), and their gradient
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch as th

from varl_agent.compiling import compiled
from varl_agent.fast.blas import product, product_of_transposed, product_with_transposed
from varl_agent.fast.elementwise import (
    F32,
    head_gradient,
    head_relu_gradient,
    norm_relu,
    norm_relu_gradient,
    relu,
    relu_gradient,
    relu_values,
    values,
)
from varl_agent.fast.inputs import zeros

AFFINE, SCALE, SHIFT, D_AFFINE, D_SCALE, D_SHIFT, H, Z, STATISTICS, DOWN, UNUSED, HEAD = range(12)

Layers = list[list[th.Tensor]]  # of a network: each hidden layer's weights and bias, scale and shift if any; the head's
Network = tuple[tuple[np.ndarray, ...], ...]


def network(layers: Layers, gradients: Layers, rows: int, beside: Network | None = None) -> Network:
    """The network for batches of ``rows`` rows; ``gradients`` are like ``layers``, or empty if it is not trained.

    ``beside`` is a network whose memory this one may use too, because the two are never busy at the same time: an
    untrained one (no ``gradients``) takes over its outputs, a trained one its room for gradients of outputs. That keeps
    what the cache holds already in use. It is done only where the hidden layers are as wide and the rows enough;
    everything else stays the network's own.
    """
    *hidden, (head,) = [[tensor.numpy() for tensor in layer] for layer in layers]
    *d_hidden, (d_head,) = [[tensor.numpy() for tensor in layer] for layer in gradients] or [[zeros(0, 0)]]
    d_hidden = d_hidden or [[zeros(0, 0)] for _ in hidden]
    widths = [affine.shape[1] for affine, *_ in hidden]
    normed = [len(norm) > 0 for _, *norm in hidden]
    parameters = [
        tuple(layer[i] if len(layer) > i else zeros(0) for layer in part)
        for part in (hidden, d_hidden)
        for i in range(3)
    ]
    h, down = (tuple(zeros(rows, width) for width in widths) for _ in range(2))
    z = tuple(zeros(rows, width) if norm else zeros(0, 0) for width, norm in zip(widths, normed, strict=True))
    statistics = tuple(zeros(rows, 2) if norm else zeros(0, 0) for norm in normed)
    if beside is not None and [len(beside[H][0]) >= rows, *(part.shape[1] for part in beside[H])] == [True, *widths]:
        if gradients:
            down = tuple(array[:rows] for array in beside[DOWN])
        else:
            h = tuple(array[:rows] for array in beside[H])
            if all(len(array) >= rows for array in beside[Z]):
                z, statistics = (tuple(array[:rows] for array in beside[i]) for i in (Z, STATISTICS))
    return (*parameters, h, z, statistics, down, tuple(zeros(3, width) for width in widths), (head, d_head))


@compiled
def _affine(sgemm: int, net: Any, i: int, x: Any) -> None:
    """Layer i up to its activation: into Z, or without a LayerNorm into H, and less the bias."""
    out = net[Z][i] if len(net[SCALE][i]) > 0 else net[H][i]
    product(sgemm, x, net[AFFINE][i][:-1], out[: len(x)])


@compiled
def _layer(sgemm: int, net: Any, i: int, x: Any) -> None:
    """Layer i's output, into H."""
    rows, bias, scale = len(x), net[AFFINE][i][-1], net[SCALE][i]
    _affine(sgemm, net, i, x)
    if len(scale) > 0:
        norm_relu(net[Z][i][:rows], bias, scale, net[SHIFT][i], net[H][i], net[STATISTICS][i])
    else:
        relu(net[H][i][:rows], bias)


@compiled
def forward(sgemm: int, net: Any, x: Any, out: Any) -> None:
    """What the head gives, less its bias, for x (n, in): out (n, outputs). Here and in :func:`backward` x may have
    columns beyond the network's."""
    n = len(x)
    for i in range(len(net[AFFINE])):
        _layer(sgemm, net, i, x if i == 0 else net[H][i - 1][:n])
    product(sgemm, net[H][-1][:n], net[HEAD][0][:-1], out)


@compiled
def forward_values(sgemm: int, net: Any, x: Any, out: Any) -> None:
    """A critic's values, out (n,), for x (n, in)."""
    n, last, head = len(x), len(net[AFFINE]) - 1, net[HEAD][0]
    for i in range(last):
        _layer(sgemm, net, i, x if i == 0 else net[H][i - 1][:n])
    x = x if last == 0 else net[H][last - 1][:n]
    if len(net[SCALE][last]) > 0:
        _layer(sgemm, net, last, x)
        values(net[H][last], head, out)
    else:
        _affine(sgemm, net, last, x)
        relu_values(net[H][last], net[AFFINE][last][-1], head, out)


@compiled
def _activation(net: Any, i: int, d: Any, rows: Any, d_bias: Any, d_scale: Any, d_shift: Any) -> None:
    """From dJ/dh of layer i in these rows to dJ/d(h W + b), in place; fills in the gradients of bias and norm."""
    scale = net[SCALE][i]
    if len(scale) > 0:
        norm_relu_gradient(d, net[H][i], rows, net[Z][i], net[STATISTICS][i], scale, d_bias, d_scale, d_shift)
    else:
        relu_gradient(d, net[H][i], rows, d_bias)


@compiled
def _top_activation(net: Any, dq: Any, rows: Any, d_bias: Any, d_scale: Any, d_shift: Any) -> None:
    """The same for the last layer of a critic, from dJ/dQ, dq (n,), into DOWN."""
    last, head = len(net[AFFINE]) - 1, net[HEAD][0]
    d = net[DOWN][last][: len(dq)]
    if len(net[SCALE][last]) > 0:
        for n in range(len(dq)):
            for k in range(d.shape[1]):
                d[n, k] = dq[n] * head[k, 0]
        _activation(net, last, d, rows, d_bias, d_scale, d_shift)
    else:
        head_relu_gradient(dq, head, net[H][last], rows, d, d_bias)


@compiled
def _affine_gradients(sgemm: int, net: Any, x: Any, n: int, first: int) -> None:
    """Gradients of the hidden layers, for dJ/d(h W + b) of the last in DOWN, n rows, those of H from ``first`` on."""
    rows = np.arange(first, first + n)
    for i in range(len(net[AFFINE]) - 1, -1, -1):
        d, below = net[DOWN][i][:n], (x if i == 0 else net[H][i - 1])[first : first + n]
        product_of_transposed(sgemm, below, d, net[D_AFFINE][i][:-1])
        if i > 0:
            into = net[DOWN][i - 1][:n]
            product_with_transposed(sgemm, d, net[AFFINE][i][:-1], into)
            _activation(net, i - 1, into, rows, net[D_AFFINE][i - 1][-1], net[D_SCALE][i - 1], net[D_SHIFT][i - 1])


@compiled
def backward(sgemm: int, net: Any, x: Any, d: Any, first: int) -> None:
    """Gradients of all parameters, for d (n, outputs), dJ/d(what the head gives), in the rows from ``first`` on."""
    n, last, d_head = len(d), len(net[AFFINE]) - 1, net[HEAD][1]
    into, bias = net[DOWN][last][:n], d_head[-1]
    product_of_transposed(sgemm, net[H][last][first : first + n], d, d_head[:-1])
    bias[:] = F32(0)
    for m in range(n):
        for j in range(len(bias)):
            bias[j] += d[m, j]
    product_with_transposed(sgemm, d, net[HEAD][0][:-1], into)
    rows = np.arange(first, first + n)
    _activation(net, last, into, rows, net[D_AFFINE][last][-1], net[D_SCALE][last], net[D_SHIFT][last])
    _affine_gradients(sgemm, net, x, n, first)


@compiled
def backward_values(sgemm: int, net: Any, x: Any, dq: Any) -> None:
    """Gradients of all parameters of a critic, for dJ/dQ, dq (n,)."""
    last, rows = len(net[AFFINE]) - 1, np.arange(len(dq))
    head_gradient(net[H][last], dq, net[HEAD][1])
    _top_activation(net, dq, rows, net[D_AFFINE][last][-1], net[D_SCALE][last], net[D_SHIFT][last])
    _affine_gradients(sgemm, net, x, len(dq), 0)


@compiled
def input_gradient(sgemm: int, net: Any, rows: Any, room: Any, out: Any) -> None:
    """dQ/dx of these rows, in the last columns of a critic's input: into the same rows of ``out`` (n, columns).

    ``room`` is like ``out``: a product needs memory that starts at a cache line, to give the same numbers again.
    """
    n, columns, last = len(rows), out.shape[1], len(net[AFFINE]) - 1
    if n == 0:
        return
    _top_activation(net, np.ones(n, np.float32), rows, *_unused(net, last))
    for i in range(last, 0, -1):
        into = net[DOWN][i - 1][:n]
        product_with_transposed(sgemm, net[DOWN][i][:n], net[AFFINE][i][:-1], into)
        _activation(net, i - 1, into, rows, *_unused(net, i - 1))
    part = room[:n]
    product_with_transposed(sgemm, net[DOWN][0][:n], net[AFFINE][0][-1 - columns : -1], part)
    for m in range(n):
        out[rows[m]] = part[m]


@compiled
def _unused(net: Any, i: int) -> Any:
    room = net[UNUSED][i]
    return room[0], room[1], room[2]

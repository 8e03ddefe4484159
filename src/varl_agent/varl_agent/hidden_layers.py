"""The hidden layers of a network on a CPU, forward and backward: products by numpy's BLAS, the rest compiled."""

from __future__ import annotations

import numpy as np
import torch as th

from varl_agent import kernels

# Of a network, layer by layer: weights and bias (in + 1, out), and a LayerNorm's scale and shift (out,), if any.
Layers = list[list[th.Tensor]]


class HiddenLayers:
    """h_l = relu(norm_l(h_{l-1} W_l + b_l)) for batches of ``rows`` rows, h_0 being the network's input x.

    ``gradients`` are like ``layers``, or empty for a network that is not trained. ``beside`` is a network whose outputs
    (where this is untrained), or gradients of outputs (trained), are at rest whenever these are made: they take the
    same memory where it is wide and long enough, as the cache holds that already.
    """

    def __init__(self, layers: Layers, gradients: Layers, rows: int, beside: HiddenLayers | None = None) -> None:
        self._layers = [[tensor.numpy() for tensor in layer] for layer in layers]
        self._gradients = [[tensor.numpy() for tensor in layer] for layer in gradients]
        widths = self._widths = [layer[0].shape[1] for layer in self._layers]
        self._h, self._z, self._down = ([np.zeros((rows, width), np.float32) for width in widths] for _ in range(3))
        self._moments = [np.zeros((rows, 2), np.float32) for _ in widths]
        self._unused = [[np.zeros(width, np.float32) for _ in range(3)] for width in widths]
        self._rows = np.arange(rows)
        if beside is not None and beside._widths == widths and len(beside._rows) >= rows:
            for name in ("_down",) if gradients else ("_h", "_z", "_moments"):
                setattr(self, name, [array[:rows] for array in getattr(beside, name)])
        self.output, self.top = self._h[-1], self._down[-1]  # h of the last layer; room for its gradient

    def forward(self, x: np.ndarray) -> np.ndarray:
        """x (rows, in) to the last hidden layer's (rows, out)."""
        for i in range(len(self._layers)):
            x = self._forward(i, x)
        return x

    def values(self, x: np.ndarray, head: np.ndarray, out: np.ndarray) -> None:
        """Fill in the values (rows,) that the ``head`` (width + 1, 1) gives to the last hidden layer."""
        last = len(self._layers) - 1
        for i in range(last):
            x = self._forward(i, x)
        if len(self._layers[last]) > 1:
            kernels.values(self._forward(last, x), head, out)
            return
        affine = self._layers[last][0]
        np.dot(x, affine[:-1], self.output)
        kernels.relu_values(self.output, affine[-1], head, out)

    def _forward(self, i: int, x: np.ndarray) -> np.ndarray:
        affine, *norm = self._layers[i]
        if norm:
            np.dot(x, affine[:-1], self._z[i])
            kernels.norm_relu(self._z[i], affine[-1], norm[0], norm[1], self._h[i], self._moments[i])
        else:
            np.dot(x, affine[:-1], self._h[i])
            kernels.relu(self._h[i], affine[-1])
        return self._h[i]

    def keep(self, x: np.ndarray, first: int, rows: np.ndarray) -> None:
        """Move these rows of the last forward pass, and of its input x, to ``first`` and the rows after it."""
        place = slice(first, first + len(rows))
        normed = [i for i, layer in enumerate(self._layers) if len(layer) > 1]
        for array in (x, *self._h, *(arrays[i] for arrays in (self._z, self._moments) for i in normed)):
            array[place] = array[rows]

    def backward(self, d: np.ndarray, x: np.ndarray, first: int = 0, head: np.ndarray | None = None) -> None:
        """Gradients of the parameters, for d = dJ/dh of the last layer (overwritten) in the rows from ``first`` on.

        With the ``head`` (width + 1, 1) of a value Q = h w + b, d is dJ/dQ (rows,) instead.
        """
        part = slice(first, first + len(d))
        for i in reversed(range(len(self._layers))):
            affine, *norm = self._gradients[i]
            d, head = self._through_activation(i, d, self._rows[part], [affine[-1], *norm], head), None
            np.dot((x if i == 0 else self._h[i - 1])[part].T, d, affine[:-1])
            d = self._through_affine(i, d) if i > 0 else d

    def input_gradient(self, head: np.ndarray, rows: np.ndarray, columns: slice) -> np.ndarray:
        """dQ/dx of these rows and columns of the input, for the ``head`` of Q."""
        d = np.ones(len(rows), np.float32)
        for i in reversed(range(len(self._layers))):
            d = self._through_activation(i, d, rows, self._unused[i], head if d.ndim == 1 else None)
            d = self._through_affine(i, d) if i > 0 else np.dot(d, self._layers[0][0][columns].T)
        return d

    def _through_affine(self, i: int, d: np.ndarray) -> np.ndarray:
        return np.dot(d, self._layers[i][0][:-1].T, self._down[i - 1][: len(d)])

    def _through_activation(
        self, i: int, d: np.ndarray, rows: np.ndarray, gradients: list[np.ndarray], head: np.ndarray | None
    ) -> np.ndarray:
        """From dJ/dh of layer i in these rows, or dJ/dQ, to dJ/d(h W + b); fills in the gradients of bias and norm."""
        normed = len(self._layers[i]) > 1
        if head is not None:
            dq, d = d, self.top[: len(d)]
            if not normed:
                kernels.head_relu_gradient(dq, head, self._h[i], rows, d, gradients[0])
                return d
            np.multiply(dq[:, None], head[:-1, 0], out=d)
        if normed:
            scale = self._layers[i][1]
            kernels.norm_relu_gradient(d, self._h[i], rows, self._z[i], self._moments[i], scale, *gradients)
        else:
            kernels.relu_gradient(d, self._h[i], rows, gradients[0])
        return d

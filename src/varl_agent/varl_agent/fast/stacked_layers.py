"""Networks of one shape side by side, forward and backward in torch's operations; no shape depends on data."""

from __future__ import annotations

import torch as th

NORM_EPS = 1e-5  # torch's LayerNorm
# Of a network, layer by layer, n networks each: weights and bias (n, in + 1, out), and a LayerNorm's scale and shift.
Layers = list[list[th.Tensor]]
Tape = list[tuple[th.Tensor, ...]]  # what each layer's backward pass needs: its input; of a hidden one its output too


class StackedLayers:
    """n networks of one shape side by side, from x (n, B, in) to (n, B, out): hidden layers and a linear one.

    ``layers`` have n in front of each shape. ``dtype`` is that of the products' factors; all else is float32.
    """

    def __init__(self, layers: Layers, gradients: Layers, dtype: th.dtype) -> None:
        self._layers, self._gradients, self._dtype = layers, gradients, dtype

    def forward(self, x: th.Tensor) -> tuple[th.Tensor, Tape]:
        """The outputs, and what a backward pass needs."""
        tape: Tape = []
        for affine, *norm in self._layers[:-1]:
            z = self._product(x, affine[:, :-1], affine[:, -1:])
            normed: tuple[th.Tensor, ...] = ()
            h = z
            if norm:
                scale, shift = (part[:, None] for part in norm)
                normed = (z, *th.native_layer_norm(z, z.shape[-1:], None, None, NORM_EPS))
                h = th.addcmul(shift, normed[1], scale)
            h = h.relu_()
            tape.append((x, h, *normed))
            x = h
        affine = self._layers[-1][0]
        return self._product(x, affine[:, :-1], affine[:, -1:]), [*tape, (x,)]

    def backward(self, d: th.Tensor, tape: Tape) -> None:
        """Fill in the gradients of the parameters, given d = dJ/d(output)."""
        for i in reversed(range(len(self._layers))):
            x, *hidden = tape[i]
            affine, *norm = self._gradients[i]
            if hidden:
                d = self._through_activation(i, d, *hidden, gradients=norm)
            affine[:, :-1] = self._product(x.mT, d)
            th.sum(d, 1, keepdim=True, out=affine[:, -1:])
            if i > 0:
                d = self._product(d, self._layers[i][0][:, :-1].mT)

    def input_gradient(self, d: th.Tensor, tape: Tape, columns: slice) -> th.Tensor:
        """dJ/dx in these columns of x, given d = dJ/d(output)."""
        for i in reversed(range(len(self._layers))):
            _, *hidden = tape[i]
            if hidden:
                d = self._through_activation(i, d, *hidden)
            d = self._product(d, self._layers[i][0][:, :-1][:, columns if i == 0 else slice(None)].mT)
        return d

    def _through_activation(
        self, i: int, d: th.Tensor, h: th.Tensor, *normed: th.Tensor, gradients: list[th.Tensor] | None = None
    ) -> th.Tensor:
        """d = dJ/dh of layer i becomes dJ/d(x W + b)."""
        d = th.ops.aten.threshold_backward(d, h, 0)
        if not normed:
            return d
        z, normal, mean, rstd = normed
        if gradients:
            th.sum(d * normal, 1, out=gradients[0])
            th.sum(d, 1, out=gradients[1])
        d = d * self._layers[i][1][:, None]
        wanted = [True, False, False]
        return th.ops.aten.native_layer_norm_backward(d, z, z.shape[-1:], mean, rstd, None, None, wanted)[0]

    def _product(self, a: th.Tensor, b: th.Tensor, c: th.Tensor | None = None) -> th.Tensor:
        """a b + c."""
        if self._dtype == th.float32:
            return th.bmm(a, b) if c is None else th.baddbmm(c, a, b)
        product = th.bmm(a.to(self._dtype), b.to(self._dtype)).float()
        return product if c is None else product + c

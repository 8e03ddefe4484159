"""Hidden layers of a network, forward and backward: Linear, LayerNorm where there is one, ReLU."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import torch as th
from torch import nn
from varl_common.errors import VarlError

from varl_agent.flat_adam import Block

LAYER_NORM_EPS = 1e-5  # torch's default
_layer_norm_backward = th.ops.aten.native_layer_norm_backward
_HIDDEN = ([nn.Linear, nn.ReLU], [nn.Linear, nn.LayerNorm, nn.ReLU])


@dataclass
class Layer:
    """Weight (in, out) of a hidden layer or (out, in) of an output layer, and bias (out,); scale and shift (out,) of
    the LayerNorm, if any. Or the gradients of these."""

    weight: th.Tensor
    bias: th.Tensor
    scale: th.Tensor | None = None
    shift: th.Tensor | None = None


@dataclass
class Kept:
    """What a layer keeps for the backward pass: its output; its LayerNorm's input, mean and reciprocal deviation."""

    output: th.Tensor
    norm: tuple[th.Tensor, ...] = ()


def layer_blocks(network: Iterable[nn.Module]) -> list[list[Block]]:
    """The parameters of each layer of a network, hidden weights transposed, an output layer's as they are.

    Raises:
        VarlError: the network is anything but hidden layers, each Linear, LayerNorm or none, ReLU, and an output layer.
    """
    found: list[list[Block]] = []
    layer: list[nn.Module] = []
    for module in network:
        layer.append(module)
        if [type(m) for m in layer] in _HIDDEN:
            found.append([Block((p,), transposed=p.ndim == 2) for m in layer for p in m.parameters()])
            layer = []
    if not found or [type(m) for m in layer] not in ([], [nn.Linear]):
        raise VarlError("the fast update knows networks of Linear, LayerNorm and ReLU only; use update='autograd'")
    return found + [[Block((p,)) for p in m.parameters()] for m in layer]


def group(views: Iterable[th.Tensor], like: list[list[Block]]) -> list[Layer]:
    """Views of the blocks of ``like``, in their order, as layers."""
    rest: Iterator[th.Tensor] = iter(views)
    return [Layer(*itertools.islice(rest, len(blocks))) for blocks in like]


@dataclass
class HiddenLayers:
    """h_l = relu(norm_l(h_{l-1} W_l + b_l)), h_0 being the network's input.

    A backward pass uses up what the forward pass has kept: one at most for each forward pass.
    """

    layers: list[Layer]
    gradients: list[Layer]  # empty: a network that is not trained
    kept: list[Kept] = field(default_factory=list)
    _buffers: dict[tuple[str, int], th.Tensor] = field(default_factory=dict)

    def forward(self, x: th.Tensor) -> th.Tensor:
        """x (n, in) to the last hidden layer (n, out)."""
        self.kept = []
        for i, layer in enumerate(self.layers):
            z = th.addmm(layer.bias, x, layer.weight, out=self._buffer("forward", i, len(x), len(layer.bias)))
            if layer.scale is None:
                x = z.relu_()
                self.kept.append(Kept(x))
            else:
                x, *moments = th.native_layer_norm(z, layer.bias.shape, layer.scale, layer.shift, LAYER_NORM_EPS)
                x.relu_()
                self.kept.append(Kept(x, (z, *moments)))
        return x

    def keep(self, rows: slice | th.Tensor) -> None:
        """Keep only these rows of the last forward pass."""
        self.kept = [Kept(k.output[rows], tuple(t[rows] for t in k.norm)) for k in self.kept]

    def compact(self, start: int, rows: th.Tensor) -> None:
        """Move these rows of the last forward pass, counted from ``start``, to ``start``."""
        for kept in self.kept:
            for tensor in (kept.output, *kept.norm):
                tensor[start : start + len(rows)] = tensor[start:][rows]

    def backward(self, d: th.Tensor, x: th.Tensor) -> None:
        """Gradients of the parameters, for d = dJ/dh of the last layer (or what broadcasts to it) and the input x."""
        inputs = [x, *(kept.output for kept in self.kept[:-1])]
        for i in reversed(range(len(self.layers))):
            gradient = self.gradients[i]
            d = self._through_activation(i, d, gradient)
            th.mm(inputs[i].t(), d, out=gradient.weight)
            th.sum(d, 0, out=gradient.bias)
            if i:
                d = self._through_linear(i, d)

    def input_gradient(self, d: th.Tensor, columns: slice) -> th.Tensor:
        """dJ/dx of these columns of the input, (n, columns), for d as above."""
        for i in reversed(range(len(self.layers))):
            d = self._through_activation(i, d, None)
            if i:
                d = self._through_linear(i, d)
        return th.mm(d, self.layers[0].weight[columns].t())

    def _through_linear(self, i: int, d: th.Tensor) -> th.Tensor:
        weight = self.layers[i].weight
        return th.mm(d, weight.t(), out=self._buffer("backward", i, len(d), len(weight)))

    def _through_activation(self, i: int, d: th.Tensor, gradient: Layer | None) -> th.Tensor:
        """dJ/d(x W + b) of layer i from d = dJ/dh; fills in the LayerNorm's part of ``gradient``."""
        kept, layer = self.kept[i], self.layers[i]
        d = kept.output.sign_().mul_(d)  # relu's derivative is 0 where its output is, else 1
        if not kept.norm:
            return d
        z, mean, rstd = kept.norm
        wanted = [True, gradient is not None, gradient is not None]
        d, *own = _layer_norm_backward(d, z, layer.bias.shape, mean, rstd, layer.scale, layer.shift, wanted)
        if gradient is not None:
            for into, value in zip((gradient.scale, gradient.shift), own, strict=True):
                assert into is not None
                into.copy_(value)
        return d

    def _buffer(self, name: str, layer: int, rows: int, columns: int) -> th.Tensor:
        """Memory for (rows, columns), the same at each call: fresh memory would have to be paged in anew."""
        buffer = self._buffers.get((name, layer))
        if buffer is None or len(buffer) < rows:
            buffer = self._buffers[name, layer] = self.layers[0].weight.new_empty(rows, columns)
        return buffer[:rows]

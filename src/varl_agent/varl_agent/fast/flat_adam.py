"""Parameters in one flat tensor each, and a torch Adam that steps them all in one fused call."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

import torch as th
from torch import nn

ALIGN = 16  # floats: blocks start at a cache line, which is also the width of a vector register


class Block:
    """A parameter by itself, or what lies together with it."""

    def __init__(self, parameter: th.Tensor) -> None:
        self.first, self.shape = parameter, parameter.shape

    def parts(self, view: th.Tensor) -> list[tuple[th.Tensor, th.Tensor]]:
        """Each parameter and, in its own shape, its part of ``view``, which has the block's."""
        return [(self.first, view)]


class Affine(Block):
    """Weights (out, in) and biases (out,) of linear layers with the same input, as one matrix (in + 1, out of all).

    Its product with (inputs, 1) is their outputs, and with the outputs' gradient from the left all their gradients.
    """

    def __init__(self, *linears: nn.Linear) -> None:
        super().__init__(linears[0].weight)
        self.linears = linears
        self.shape = th.Size((linears[0].in_features + 1, sum(linear.out_features for linear in linears)))

    def parts(self, view: th.Tensor) -> list[tuple[th.Tensor, th.Tensor]]:
        columns = view.split([linear.out_features for linear in self.linears], dim=1)
        pairs = zip(self.linears, columns, strict=True)
        return [part for linear, c in pairs for part in ((linear.weight, c[:-1].t()), (linear.bias, c[-1]))]


class Stacked(Block):
    """Blocks of one shape, such as the same layer's of both critics, as one tensor with one more dimension in front."""

    def __init__(self, blocks: Sequence[Block]) -> None:
        super().__init__(blocks[0].first)
        self.blocks = blocks
        self.shape = th.Size((len(blocks), *blocks[0].shape))

    def parts(self, view: th.Tensor) -> list[tuple[th.Tensor, th.Tensor]]:
        return [part for block, one in zip(self.blocks, view, strict=True) for part in block.parts(one)]


class FlatParameters:
    """Turns parameters into views of one flat tensor ``value``, without changing any number.

    The modules keep their parameter objects, shapes and state dicts: saving, loading and predicting need not know.
    """

    def __init__(self, blocks: Iterable[Block]) -> None:
        self.blocks = list(blocks)
        sizes = [-(-block.shape.numel() // ALIGN) * ALIGN for block in self.blocks]
        self._starts = [sum(sizes[:i]) for i in range(len(sizes))]
        self.value = self.blocks[0].first.new_zeros(sum(sizes), requires_grad=False)
        self.views = self.split(self.value)
        self._homes = [(parameter, part, part.data_ptr()) for parameter, part in self.parts(self.value)]

    @property
    def tensors(self) -> tuple[th.Tensor, ...]:
        """All that a step changes."""
        return (self.value,)

    def split(self, flat: th.Tensor) -> list[th.Tensor]:
        """Each block's view of ``flat``."""
        places = zip(self._starts, self.blocks, strict=True)
        return [flat[start : start + block.shape.numel()].view(block.shape) for start, block in places]

    def parts(self, flat: th.Tensor) -> list[tuple[th.Tensor, th.Tensor]]:
        """Each parameter and its view of ``flat``, in the parameter's shape."""
        views = zip(self.blocks, self.split(flat), strict=True)
        return [part for block, view in views for part in block.parts(view)]

    def adopt(self) -> None:
        """Make the parameters views of ``value`` again where something has replaced their memory."""
        for parameter, part, home in self._homes:
            if parameter.data_ptr() != home:
                part.copy_(parameter.data)
                parameter.data = part


class FlatAdam(FlatParameters):
    """The parameters of a ``torch.optim.Adam`` and its moments as views of flat tensors.

    The optimizer's own state dict stays true at any time; it can go on by its own ``step()`` as well.

    Attributes:
        gradient: flat; ``gradients`` are its blocks, to be filled in before a step.
        mean, square: flat, the moments.
        steps: how many each parameter has made.
        rates: learning rate, the decays of both moments, epsilon, weight decay; as of the last :meth:`adopt`.
    """

    def __init__(self, optimizer: th.optim.Adam, blocks: Iterable[Block]) -> None:
        super().__init__(blocks)
        self.optimizer = optimizer
        self.gradient, self.mean, self.square = (th.zeros_like(self.value) for _ in range(3))
        self.gradients = self.split(self.gradient)
        self.steps = self.value.new_zeros(len(self._homes))
        self._lr = self.value.new_zeros(())
        self._read_rates()
        moments = zip(self.parts(self.mean), self.parts(self.square), self.steps, strict=True)
        self._states = [
            (parameter, {"step": step, "exp_avg": mean, "exp_avg_sq": square})
            for (parameter, mean), (_, square), step in moments
        ]

    @property
    def tensors(self) -> tuple[th.Tensor, ...]:
        return self.value, self.mean, self.square, self.steps

    def adopt(self) -> None:
        """As above, for the optimizer's state too (loading a state dict replaces it); takes over its rates."""
        super().adopt()
        for parameter, views in self._states:
            state = self.optimizer.state[parameter]
            if state.get("exp_avg") is not views["exp_avg"]:
                for name, view in views.items():
                    view.copy_(state[name]) if name in state else view.zero_()
                state.update(views)
        self._read_rates()

    def _read_rates(self) -> None:
        group = self.optimizer.param_groups[0]
        rates = group["lr"], *group["betas"], group["eps"], group["weight_decay"]
        self.rates = tuple(float(rate) for rate in rates)
        self._lr.fill_(self.rates[0])

    def step(self, max_norm: float | None = None) -> None:
        """Adam's step with the present gradient, its norm first clipped to ``max_norm``."""
        if max_norm is not None:
            self.gradient.mul_((max_norm / (self.gradient.norm() + 1e-6)).clamp_(max=1.0))
        self.steps.add_(1)
        _, beta1, beta2, eps, decay = self.rates
        th._fused_adam_(
            [self.value], [self.gradient], [self.mean], [self.square], [], [self.steps[0]], lr=self._lr, beta1=beta1,
            beta2=beta2, weight_decay=decay, eps=eps, amsgrad=False, maximize=False,
        )  # fmt: skip


@contextmanager
def unchanged(*flats: FlatParameters) -> Iterator[None]:
    """Afterwards all that a step changes is as it was before."""
    tensors = [tensor for flat in flats for tensor in flat.tensors]
    kept = [tensor.clone() for tensor in tensors]
    try:
        yield
    finally:
        for tensor, value in zip(tensors, kept, strict=True):
            tensor.copy_(value)

"""Which memory two compiled networks share."""

from itertools import pairwise, product

import numpy as np
import pytest
import torch as th

networks = pytest.importorskip("varl_agent.fast.networks", reason="needs numba")
H, Z, STATISTICS, DOWN, HEAD = (getattr(networks, name) for name in ("H", "Z", "STATISTICS", "DOWN", "HEAD"))


def layers(widths: list[int], norm: bool) -> list[list[th.Tensor]]:
    hidden = [[th.zeros(i + 1, o), *([th.ones(o), th.zeros(o)] if norm else [])] for i, o in pairwise(widths)]
    return [*hidden, [th.zeros(widths[-1] + 1, 1)]]


def shared(one: tuple, other: tuple, part: int) -> bool:
    return all(np.shares_memory(a, b) for a, b in zip(one[part], other[part], strict=True))


def none_shared(one: tuple, other: tuple, parts: tuple[int, ...]) -> bool:
    return not any(np.shares_memory(a, b) for i in parts for a, b in product(one[i], other[i]))


@pytest.mark.parametrize("norm", [False, True])
def test_a_trained_network_takes_over_the_room_for_gradients_alone(norm: bool) -> None:
    first = networks.network(layers([5, 8, 8], norm), layers([5, 8, 8], norm), 16)
    second = networks.network(layers([5, 8, 8], norm), layers([5, 8, 8], norm), 16, first)
    assert shared(first, second, DOWN)
    assert none_shared(first, second, (H, Z, STATISTICS, HEAD)), "both outputs are needed in the backward pass"


@pytest.mark.parametrize("norm", [False, True])
def test_an_untrained_network_takes_over_the_outputs_alone(norm: bool) -> None:
    first = networks.network(layers([5, 8, 8], norm), layers([5, 8, 8], norm), 16)
    target = networks.network(layers([5, 8, 8], norm), [], 12, first)
    assert shared(first, target, H)
    assert len(target[H][0]) == 12
    assert none_shared(first, target, (DOWN, HEAD))
    if norm:
        assert shared(first, target, Z)
        assert shared(first, target, STATISTICS)


@pytest.mark.parametrize(("widths", "rows"), [([5, 9, 8], 16), ([5, 8], 16), ([5, 8, 8], 17)])
def test_a_network_of_another_size_has_memory_of_its_own(widths: list[int], rows: int) -> None:
    first = networks.network(layers([5, 8, 8], False), layers([5, 8, 8], False), 16)
    for gradients in ([], layers(widths, False)):
        other = networks.network(layers(widths, False), gradients, rows, first)
        assert none_shared(first, other, (H, DOWN, HEAD))

"""A GPU's update: what a graph forbids is not in it. (test_fast_update.py has it against autograd, on a GPU too.)"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch as th
from stable_baselines3.common.logger import Logger
from torch.utils._python_dispatch import TorchDispatchMode
from varl_agent.advice.messages import AdviceAnswer
from varl_agent.fast.cuda_update import CudaUpdate
from varl_agent.sac.gates import GATE_NAMES
from varl_agent.sac.update import choose_update
from varl_agent.sac.varl import VARL
from varl_common.errors import VarlError

LOOKS = ("_local_scalar_dense", "nonzero", "masked_select", "unique", "is_nonzero", "equal")


class Operations(TorchDispatchMode):
    """Notes each operation with its operands' shapes and memory."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, list[tuple[int, ...]]]] = []

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        shapes = [tuple(value.shape) for value in args if isinstance(value, th.Tensor)]
        self.seen.append((function.overloadpacket.__name__, shapes))
        return function(*args, **kwargs or {})


def advised(env: Any, gate: str = "log-prob", **settings: Any) -> VARL:
    """A model with a filled replay and guidance."""
    net = {"policy_kwargs": {"net_arch": [32, 32]}, "cutoff_step": 10**6}
    model = VARL("MlpPolicy", env, gate=gate, seed=0, buffer_size=500, **{"device": "cpu", **net, **settings})
    model.set_logger(Logger(None, []))
    rng = np.random.default_rng(0)
    for _ in range(300):
        obs, next_obs = rng.uniform(-1, 1, (2, 1, 4))
        model.replay_buffer.add(  # type: ignore[union-attr]
            obs, next_obs, rng.uniform(-1, 1, (1, 2)), rng.standard_normal(1), rng.random(1) < 0.1, [{}]
        )
    states = rng.uniform(-1, 1, (30, 4)).astype(np.float32)
    model.guidance.add(states, AdviceAnswer.of(rng.uniform(-0.9, 0.9, (30, 2)), "test"), 0)
    return model


@pytest.mark.parametrize("gate", GATE_NAMES)
def test_an_update_can_be_captured(point_reach: Any, gate: str) -> None:
    """It looks at no number, and does the same operations on the same shapes whatever the data."""
    model = advised(point_reach(), gate)
    update = CudaUpdate(model)
    recorded = []
    with th.inference_mode():
        for batch, guidance in model.sampler.batches(2, 16):
            inputs = update._load(batch, guidance)
            with Operations() as operations:
                update._step(inputs)
            recorded.append(operations.seen)
    assert recorded[0] == recorded[1]
    assert not [name for name, _ in recorded[0] if name in LOOKS]
    assert len(recorded[0]) > 100


def test_bfloat16_goes_where_float32_goes(point_reach: Any) -> None:
    """Products of factors as short as a GPU's, on a CPU. How well it learns is in benchmarks/results/bf16.csv."""

    def weights(model: VARL) -> th.Tensor:
        return th.cat([parameter.detach().flatten() for parameter in model.policy.parameters()])

    ways = []
    for bf16 in (False, True):
        model = advised(point_reach())
        model.bf16 = bf16
        begin = weights(model).clone()
        CudaUpdate(model).train(100, 32)
        ways.append(weights(model) - begin)
    assert 0.0 < (ways[1] - ways[0]).norm() < 0.3 * ways[0].norm()


def test_bfloat16_is_refused_where_it_does_nothing(point_reach: Any) -> None:
    with pytest.raises(VarlError, match="device='cuda'"):
        VARL("MlpPolicy", point_reach(), bf16=True, device="cpu")


def test_auto_does_not_choose_what_was_never_run(point_reach: Any) -> None:
    model = VARL("MlpPolicy", point_reach(), device="cpu", update="auto")
    model.device = th.device("cuda")  # as on a GPU
    assert choose_update(model) is None

"""Updates per second of SAC on a GPU, for benchmarks/speed.py: Stable-Baselines3, a SAC in LeanRL's way, and VARL's.

LeanRL's way (https://github.com/meta-pytorch/LeanRL): the replay on the GPU, both critics as one by vmap, capturable
Adam, each update compiled and captured as a CUDA graph. It is written anew here, for the same networks and sizes.
This has not been run on a GPU yet; its parts run on a CPU with ``graph=False``.
"""

from __future__ import annotations

import copy
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from learners import Learners, Train
from torch import nn

WARM_UPS = 3
LOG_STD_MIN, LOG_STD_MAX = -5, 2


class LeanSac:
    """SAC as CleanRL has it, every update a graph. ``train(updates, batch)``."""

    def __init__(self, obs: int, act: int, width: int, device: str, graph: bool = True) -> None:
        def mlp(inputs: int, outputs: int) -> nn.Module:
            layers = [nn.Linear(inputs, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU()]
            return nn.Sequential(*layers, nn.Linear(width, outputs)).to(device)

        self.device, self.graph, self.act = device, graph, act
        self.actor = mlp(obs, 2 * act)
        critics = [mlp(obs + act, 1) for _ in range(2)]
        self.skeleton = copy.deepcopy(critics[0]).to("meta")
        stacked, _ = torch.func.stack_module_state(critics)
        self.critics = {name: value.detach().requires_grad_() for name, value in stacked.items()}
        self.targets = {name: value.detach().clone() for name, value in stacked.items()}
        self.log_alpha = torch.zeros((), device=device, requires_grad=True)
        adam = {"lr": torch.tensor(3e-4, device=device), "capturable": True, "fused": True} if graph else {"lr": 3e-4}
        self.actor_adam = torch.optim.Adam(self.actor.parameters(), **adam)  # type: ignore[arg-type]
        self.critic_adam = torch.optim.Adam(self.critics.values(), **adam)  # type: ignore[arg-type]
        self.alpha_adam = torch.optim.Adam([self.log_alpha], **adam)  # type: ignore[arg-type]
        rows = 20_000
        self.replay = {
            "obs": torch.randn(rows, obs, device=device),
            "next_obs": torch.randn(rows, obs, device=device),
            "action": torch.rand(rows, act, device=device) * 2 - 1,
            "reward": torch.randn(rows, device=device),
            "done": (torch.rand(rows, device=device) < 0.02).float(),
        }
        self.steps: dict[int, Callable[[], object]] = {}

    def train(self, updates: int, batch: int) -> None:
        if batch not in self.steps:
            self.steps[batch] = self._captured(batch) if self.graph else lambda: self._update(batch)
        for _ in range(updates):
            self.steps[batch]()

    def _captured(self, batch: int) -> Callable[[], object]:
        update = torch.compile(self._update)
        stream, graph = torch.cuda.Stream(), torch.cuda.CUDAGraph()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(WARM_UPS):
                update(batch)
        with torch.cuda.graph(graph, stream=stream):
            update(batch)
        torch.cuda.current_stream().wait_stream(stream)
        return graph.replay

    def _q(self, critics: dict[str, torch.Tensor], obs: torch.Tensor, action: torch.Tensor) -> torch.Tensor:
        """(2, B)"""
        x = torch.cat([obs, action], 1)
        return torch.vmap(lambda one: torch.func.functional_call(self.skeleton, one, (x,)))(critics).squeeze(-1)

    def _act(self, obs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        mean, raw = self.actor(obs).chunk(2, 1)
        log_std = LOG_STD_MIN + 0.5 * (LOG_STD_MAX - LOG_STD_MIN) * (raw.tanh() + 1)
        noise = torch.randn_like(mean)
        action = (mean + log_std.exp() * noise).tanh()
        log_pi = (-0.5 * noise.square() - log_std - 0.919 - (1 - action.square() + 1e-6).log()).sum(1)
        return action, log_pi

    def _update(self, batch: int) -> None:
        rows = torch.randint(0, len(self.replay["reward"]), (batch,), device=self.device)
        data = {name: values[rows] for name, values in self.replay.items()}
        alpha = self.log_alpha.detach().exp()
        with torch.no_grad():
            next_action, next_log_pi = self._act(data["next_obs"])
            next_q = self._q(self.targets, data["next_obs"], next_action).amin(0)
            target = data["reward"] + 0.99 * (1 - data["done"]) * (next_q - alpha * next_log_pi)
        critic_loss = (self._q(self.critics, data["obs"], data["action"]) - target).square().mean(1).sum()
        self._step(self.critic_adam, critic_loss, list(self.critics.values()))
        action, log_pi = self._act(data["obs"])
        q = self._q({name: value.detach() for name, value in self.critics.items()}, data["obs"], action).amin(0)
        self._step(self.actor_adam, (alpha * log_pi - q).mean(), list(self.actor.parameters()))
        alpha_loss = -(self.log_alpha.exp() * (log_pi.detach() - self.act)).mean()
        self._step(self.alpha_adam, alpha_loss, [self.log_alpha])
        with torch.no_grad():
            torch._foreach_lerp_(list(self.targets.values()), [v.detach() for v in self.critics.values()], 0.005)

    @staticmethod
    def _step(adam: torch.optim.Adam, loss: torch.Tensor, parameters: list[torch.Tensor]) -> None:
        gradients = torch.autograd.grad(loss, parameters)
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = gradient
        adam.step()


def measure(learners: Learners, width: int, windows: int, seconds: float) -> dict[str, Any] | str:
    """Medians of updates per second, in turns."""
    if not torch.cuda.is_available():
        return "skipped: torch sees no GPU here"
    trains = {"lean": LeanSac(learners.obs, learners.act, width, "cuda").train, **learners.of_a_gpu()}
    found: dict[str, Any] = {"device": torch.cuda.get_device_name()}
    for utd in (1, 20):
        rates: dict[str, list[float]] = {name: [] for name in trains}
        for window in range(windows + 1):
            for name, train in trains.items():
                rate = updates_per_second(train, utd, seconds)
                if window > 0:  # the first compiles and captures
                    rates[name].append(rate)
        medians = {name: statistics.median(values) for name, values in rates.items()}
        ratios = {f"ratio_{rival}": medians["varl"] / medians[rival] for rival in ("sb3", "lean")}
        found[f"batch256_utd{utd}"] = {**medians, **ratios}
    return found


def updates_per_second(train: Train, utd: int, seconds: float) -> float:
    """By the wall clock, once the GPU has done all of it."""
    torch.cuda.synchronize()
    began, updates = time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        train(utd, 256)
        updates += utd
    torch.cuda.synchronize()
    return updates / (time.perf_counter() - began)

"""Everything that decides how a model goes on, as a tree for a checkpoint, and back again."""

from __future__ import annotations

from collections import deque
from typing import Any

import torch

from varl_agent.finite import not_finite
from varl_agent.sac.varl import VARL
from varl_agent.training.random_state import RandomState

_COUNTERS = ("num_timesteps", "_n_updates", "_episode_num", "_current_progress_remaining", "released_at")
_ADVICE = ("guidance", "successes", "consultation", "turns")  # what advice and experience have brought so far


def model_state(model: VARL) -> dict[str, Any]:
    """What Stable-Baselines3 saves of ``model``, its counters, statistics and random numbers, between two updates."""
    return {
        "parameters": {name: dict(parameters) for name, parameters in model.get_parameters().items()},
        "variables": {name: getattr(model, name) for name in model._get_torch_save_params()[1]},
        "advice": {name: getattr(model, name).state_dict() for name in _ADVICE},
        "counters": {name: getattr(model, name) for name in _COUNTERS},
        "episode_infos": list(model.ep_info_buffer or ()),
        "episode_successes": [bool(success) for success in model.ep_success_buffer or ()],
        "random": RandomState().state_dict(),
        "warm_up": model.action_space.np_random.bit_generator.state,
    }


def weight_not_finite(state: dict[str, Any]) -> str:
    """The first weight or moment of an optimizer in a :func:`model_state` that is not finite, as words; "" if none."""
    learned = {k: v for k, v in state["parameters"].items() if k == "policy" or k.endswith("optimizer")}
    return not_finite("model", _arrays(learned | state["variables"]))


def _arrays(tree: Any) -> Any:
    if isinstance(tree, dict):
        return {key: _arrays(value) for key, value in tree.items()}
    return tree.detach().cpu().numpy() if isinstance(tree, torch.Tensor) else tree


def restore_model(model: VARL, state: dict[str, Any]) -> None:
    """Put ``model``, built with the same settings, where ``state`` was taken."""
    model.set_parameters(state["parameters"], exact_match=True, device=model.device)
    with torch.no_grad():
        for name, value in state["variables"].items():
            getattr(model, name).copy_(value)
    for name in _ADVICE:
        if name in state["advice"]:  # an older file does not tell whose turn it is
            getattr(model, name).load_state_dict(state["advice"][name])
    for name, value in state["counters"].items():
        setattr(model, name, value)
    model.ep_info_buffer = deque(state["episode_infos"], maxlen=model._stats_window_size)
    model.ep_success_buffer = deque(state["episode_successes"], maxlen=model._stats_window_size)
    RandomState().load_state_dict(state["random"])
    model.action_space.np_random.bit_generator.state = state["warm_up"]

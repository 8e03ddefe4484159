"""Recipes by name, as arguments of :class:`~varl_agent.sac.varl.VARL`: ``VARL("MlpPolicy", env, **preset("paper"))``.

"varl" is the class's own defaults. "sac" is Stable-Baselines3's SAC and nothing else. "paper" is that with advice as
VARL was published (arXiv 2509.21126): single actions, cloned through a gate on their likelihood until a hard cutoff.
"""

from __future__ import annotations

from typing import Any

from varl_common.errors import VarlError, did_you_mean

_SAC: dict[str, Any] = {
    "learning_rate": 3e-4,
    "learning_starts": 100,
    "batch_size": 256,
    "tau": 0.005,
    "gamma": 0.99,
    "ent_coef": "auto",
    "policy_kwargs": {"net_arch": [256, 256], "layer_norm": False, "scaled_inputs": False},
    "act": 0.0,
    "success_fraction": 0.0,
    "imitation_weight": 0.0,
}
_PAPER: dict[str, Any] = {
    **_SAC,
    "trigger": (1_000, 3_000, 6_000),  # three queries a run; when is not published
    "selection": "recent",  # the recent buffer
    "gate": "log-prob-joint",
    "guidance_weight": 10.0,  # lambda: 10 to 50
    "cutoff": "hard",
    "cutoff_step": 20_000,  # N_s: 20,000 to 40,000
    "cutoff_decay": 0,
}
_PRESETS: dict[str, dict[str, Any]] = {"varl": {}, "paper": _PAPER, "sac": _SAC}
PRESET_NAMES = tuple(_PRESETS)


def preset(name: str, **changes: Any) -> dict[str, Any]:
    """The arguments of a preset, with ``changes``; of ``policy_kwargs`` only the keys that these name are changed.

    Raises:
        VarlError: no preset has that name.
    """
    if name not in _PRESETS:
        raise VarlError(f"unknown preset {name!r}; {did_you_mean(name, list(PRESET_NAMES))}")
    chosen = _PRESETS[name]
    policy = {**chosen.get("policy_kwargs", {}), **changes.get("policy_kwargs", {})}
    return {**chosen, **changes, **({"policy_kwargs": policy} if policy else {})}

"""Which models the fast updates cover. Whatever differs from what they were written for is refused, by name."""

from __future__ import annotations

from typing import Any

import torch as th
from stable_baselines3.common.distributions import SquashedDiagGaussianDistribution
from stable_baselines3.common.policies import ContinuousCritic
from stable_baselines3.common.torch_layers import CombinedExtractor, FlattenExtractor
from stable_baselines3.sac.policies import Actor
from torch import nn
from varl_common.errors import VarlError

from varl_agent.fast.flat_adam import Affine, Block
from varl_agent.sac.policies import LayerNormCritic, ScaledExtractor
from varl_agent.sac.varl import VARL

_HIDDEN = ([nn.Linear, nn.ReLU], [nn.Linear, nn.LayerNorm, nn.ReLU])
# What a fast update computes in place of the model's own methods: a subclass that overrides one is not covered.
_REPLACED = ("train", "_step", "_guidance_loss", "_gaussian")


def check_covered(model: VARL) -> None:
    """Refuse a model for which a fast update would compute other numbers than ``VARL.train``; :func:`layers_of`
    looks at the networks' layers.

    Raises:
        VarlError: it names what is not covered.
    """
    actor, critic, target = model.actor, model.critic, model.critic_target
    networks: list[Any] = [actor, critic, target]
    extractors = [network.features_extractor for network in networks]
    optimizers = [model.actor.optimizer, model.critic.optimizer, model.ent_coef_optimizer]
    adams = [optimizer for optimizer in optimizers if optimizer is not None]
    overridden = [name for name in _REPLACED if getattr(type(model), name) is not getattr(VARL, name)]
    reasons = {
        f"a subclass that overrides {', '.join(overridden)}": bool(overridden),
        "state-dependent exploration (use_sde)": model.use_sde,
        f"{len(critic.q_networks)} critics instead of 2": len(critic.q_networks) != 2,
        f"an actor of class {type(actor).__name__}": type(actor) is not Actor,
        f"a critic of class {type(critic).__name__}": any(
            type(network) not in (ContinuousCritic, LayerNormCritic) for network in (critic, target)
        ),
        "an action distribution of another class": type(actor.action_dist) is not SquashedDiagGaussianDistribution,
        "a features extractor other than those without parameters": any(
            type(extractor) not in (FlattenExtractor, ScaledExtractor, CombinedExtractor)
            or type(extractor) is not type(extractors[0])
            or any(True for _ in extractor.parameters())
            for extractor in extractors
        ),
        "a forward of one's own, or hooks": any(_altered(module) for net in networks for module in net.modules()),
        "an optimizer other than torch.optim.Adam": any(type(o) is not th.optim.Adam for o in adams),
        "hooks of an optimizer": any(o._optimizer_step_pre_hooks or o._optimizer_step_post_hooks for o in adams),
        "Adam with amsgrad, maximize or decoupled_weight_decay": any(
            o.defaults.get(name) for o in adams for name in ("amsgrad", "maximize", "decoupled_weight_decay")
        ),
        "parameter groups": any(len(o.param_groups) != 1 for o in adams),
        "parameters that are not float32": any(p.dtype != th.float32 for p in model.policy.parameters()),
        "parameters that do not learn": any(
            not p.requires_grad for network in (actor, critic) for p in network.parameters()
        ),
    }
    for reason, holds in reasons.items():
        if holds:
            raise VarlError(f"the fast update does not cover {reason}; use update='autograd'")


def _altered(module: nn.Module) -> bool:
    """Whether a call of ``module`` does more, or other, than its class says."""
    hooks = (module._forward_hooks, module._forward_pre_hooks, module._backward_hooks, module._backward_pre_hooks)
    return "forward" in vars(module) or any(hooks)


def layers_of(network: Any) -> list[list[Block]]:
    """The parameters of each layer of a network.

    Raises:
        VarlError: the network is anything but hidden layers, each Linear, LayerNorm or none, ReLU, and an output layer.
    """
    refused = VarlError("the fast update knows networks of Linear, LayerNorm and ReLU only; use update='autograd'")
    if type(network) is not nn.Sequential:
        raise refused
    found: list[list[Block]] = []
    layer: list[Any] = []
    for module in network:
        layer.append(module)
        if [type(m) for m in layer] in _HIDDEN:
            if any(m.bias is None for m in layer[:-1]) or any(m.eps != 1e-5 for m in layer[1:-1]):
                raise refused
            found.append([Affine(layer[0]), *(Block(p) for m in layer[1:] for p in m.parameters())])
            layer = []
    if not found or [type(m) for m in layer] not in ([], [nn.Linear]) or any(m.bias is None for m in layer):
        raise refused
    return found + [[Affine(linear)] for linear in layer]

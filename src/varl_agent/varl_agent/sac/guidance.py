"""What the actor is guided by in a gradient step, and what guidance does to it."""

from __future__ import annotations

from dataclasses import dataclass

import torch as th

Tensors = th.Tensor | dict[str, th.Tensor]
LOOK_EVERY = 100  # updates between two looks at what guidance does: they cost extra passes through the networks


@dataclass
class GuidanceBatch:
    """States and the actions that the actor is pulled to in them.

    Attributes:
        observations: (m, ...) as the policy takes them; of a plan, the replay batch's own observations (the same
            object), so that their forward pass can be shared.
        actions: (m, act_dim) inside (-1, 1).
        weight: of this pull in the actor's loss, lambda times the cutoff's factor.
        hold: 0..1, how firmly the temperature is kept from rising meanwhile: the cutoff's factor.
    """

    observations: Tensors
    actions: th.Tensor
    weight: float
    hold: float


class GuidanceMetrics(dict[str, float]):
    """What guidance did when it was last looked at, for the log and the learner's status; empty: nothing guides."""

    def __init__(self) -> None:
        super().__init__()
        self._looked_at = 0

    def due(self, update: int) -> bool:
        """Whether ``update`` is one to look at closely: at most one a call of ``train``."""
        return update >= self._looked_at + LOOK_EVERY or not self

    def note(
        self,
        update: int,
        guidance: GuidanceBatch,
        gate: th.Tensor,
        bc_loss: float,
        age: float,
        advantage: th.Tensor,
    ) -> None:
        """Keep it. ``gate``: (m, act_dim); ``age``: of the advice, environment steps; ``advantage``: (m, 1)."""
        self._looked_at = update
        self.clear()
        self["gate_open"] = gate.amax(dim=1).mean().item()
        for j, share in enumerate(gate.mean(dim=0).tolist()):
            self[f"gate_open_axis_{j}"] = share
        self.update(bc_loss=bc_loss, weight=guidance.weight, advantage=advantage.mean().item(), age=age)

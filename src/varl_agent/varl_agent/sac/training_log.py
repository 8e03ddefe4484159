"""What a call of ``train`` leaves in the logger."""

from __future__ import annotations

from typing import Any


def record_training(model: Any, losses: dict[str, float]) -> None:
    """Log means of the last updates, under SB3's names and "entropy" (nats), and what guidance does.

    ``losses``: actor_loss, critic_loss, ent_coef, entropy and, where the temperature is trained, ent_coef_loss.
    """
    soft_q = -losses["actor_loss"] - losses["ent_coef"] * losses["entropy"]
    model.logger.record("train/n_updates", model._n_updates, exclude="tensorboard")
    for name, value in {**losses, "soft_q": soft_q}.items():
        model.logger.record(f"train/{name}", value)
    for name, value in {**model.guidance_metrics, **model.guidance.counts()}.items():
        model.logger.record(f"guidance/{name}", value)

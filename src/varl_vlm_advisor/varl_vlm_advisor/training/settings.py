"""How to train, whatever the model."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    """How to train."""

    steps: int
    batch: int = 8
    rate: float = 0.0
    """Learning rate at its highest; 0: 1e-3 below 20 M weights, 2e-5 above, 2e-4 for LoRA."""
    lora: bool | None = None
    """None: by the model's size."""
    device: str = "cpu"
    seed: int = 0
    kept_every: int = 100
    """Steps between checkpoints."""


def half_is_fast(device: str) -> bool:
    """Whether ``device`` is faster in bfloat16 than in float32: GPUs of today are, and CPUs with units for it."""
    import torch

    return device != "cpu" or bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())

"""How gradient steps are computed: by ``VARL.train`` itself, or by a faster implementation of the same arithmetic."""

from __future__ import annotations

import importlib
from typing import Any, Protocol

from varl_common.errors import VarlError, did_you_mean

UPDATES = ("auto", "autograd", "fast")
# Where the accelerators are, by device. Imported when one is wanted: they need numba, which need not be installed.
_ACCELERATORS = {"cpu": "varl_agent.fast.fast_update:FastUpdate", "cuda": "varl_agent.fast.cuda_update:CudaUpdate"}


class Update(Protocol):
    """An accelerator of one model: the same losses, parameters and logs as ``VARL.train``, sooner.

    It is made with the model as its argument, and raises VarlError where the model is not one that it covers. From the
    model it uses the sampler's ``batches``, the gate, ``advantage``, ``guidance_metrics`` and ``note_guidance``, and it
    logs by :func:`.training_log.record_training`.
    """

    def adopt(self) -> None:
        """Move the weights to where the update works on them; no number changes. Called before the first action."""

    def train(self, gradient_steps: int, batch_size: int) -> None:
        """As ``VARL.train``."""


def choose_update(model: Any) -> Update | None:
    """The accelerator that ``model.update`` asks for; None: none, ``VARL.train`` computes by autograd.

    "fast" asks for it, "auto" takes it where it covers the model; on a GPU only "fast" does, since that accelerator
    has not been run on one.

    Raises:
        VarlError: it is asked for and does not cover the model; the message says why.
    """
    if model.update == "autograd" or (model.update == "auto" and model.device.type != "cpu"):
        return None
    place = _ACCELERATORS.get(model.device.type)
    try:
        if place is None:
            raise VarlError(f"no fast update for device {model.device.type!r}; use device='cpu' or update='autograd'")
        module, _, name = place.partition(":")
        return getattr(importlib.import_module(module), name)(model)
    except (ImportError, VarlError) as error:
        if model.update == "auto":
            return None
        if isinstance(error, ImportError):
            raise VarlError(
                f"the fast update needs {error.name}; pip install numba scipy threadpoolctl, or update='autograd'"
            ) from None
        raise


def check_update(name: str) -> None:
    """Refuse what is no value of ``update``.

    Raises:
        VarlError: it is none.
    """
    if name not in UPDATES:
        raise VarlError(f"unknown update {name!r}; {did_you_mean(name, list(UPDATES))}")

"""What VARL's settings may be."""

from __future__ import annotations

from typing import Any

from varl_common.errors import VarlError, expect

from varl_agent.advice.recent_transitions import check_selection
from varl_agent.sac.update import check_update


def check_settings(model: Any) -> None:
    """Refuse what no VARL can be made with; the gate's and the cutoff's own settings are theirs to check.

    Raises:
        VarlError: one sentence for the first setting that cannot be.
    """
    check_update(model.update)
    check_selection(model.selection)

    def check(fits: bool, name: str, expected: str) -> None:
        expect(fits, name, getattr(model, name), expected)

    check(model.advisor is None or hasattr(model.advisor, "ask"), "advisor", "an object with a method ask, or None")
    check(model.states_per_query >= 1, "states_per_query", "1 or more")
    check(model.window >= 1, "window", "1 or more transitions")
    check(0 <= model.success_fraction < 1, "success_fraction", "a share from 0 to below 1")
    check(model.imitation_weight >= 0, "imitation_weight", "0 or more")
    check(0 <= model.act <= 1, "act", "a share from 0 to 1")
    check(model.advice_delay is None or model.advice_delay >= 0, "advice_delay", "0 or more steps, or None")
    check(model.advice_deadline >= 0, "advice_deadline", "0 or more seconds")
    limit = "a positive number, or None for no clipping"
    check(model.max_grad_norm is None or model.max_grad_norm > 0, "max_grad_norm", limit)
    check(model.guidance_weight >= 0, "guidance_weight", "0 or more")
    check(model.guidance_batch_size >= 1, "guidance_batch_size", "1 or more")
    if model.bf16 and (model.device.type != "cuda" or model.update != "fast"):
        raise VarlError("bf16 is for the fast update on a GPU; give device='cuda' and update='fast', or bf16=False")

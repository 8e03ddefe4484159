"""What VARL's settings may be."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from varl_common.errors import VarlError, expect, is_number

from varl_agent.advice.recent_transitions import check_selection
from varl_agent.sac.update import check_update

# What a weight of a loss may be at most: a gradient of so much is finite as float32 yet.
HEAVIEST = 1e6


def check_settings(model: Any) -> None:
    """Refuse what no VARL can be made with; the gate's and the cutoff's own settings are theirs to check.

    Counts that are numpy's become ints: those overflow.

    Raises:
        VarlError: one sentence for the first setting that cannot be.
    """
    check_update(model.update)
    check_selection(model.selection)

    def number(name: str, expected: str, optional: bool = False, **limits: Any) -> None:
        value = getattr(model, name)
        expect((optional and value is None) or is_number(value, **limits), name, value, expected)

    advises = model.advisor is None or hasattr(model.advisor, "ask")
    expect(advises, "advisor", model.advisor, "an object with a method ask, or None")
    for name in ("states_per_query", "window", "guidance_batch_size"):
        number(name, "a whole number of 1 or more", low=1, whole=True)
        setattr(model, name, int(getattr(model, name)))
    for name in ("guidance_weight", "imitation_weight"):
        number(name, f"a number from 0 to {HEAVIEST:,.0f}", low=0, high=HEAVIEST)
    number("success_fraction", "a share from 0 to below 1", low=0, high=math.nextafter(1, 0))
    number("act", "a share from 0 to 1", low=0, high=1)
    number("advice_delay", "a whole number of 0 or more steps, or None", low=0, whole=True, optional=True)
    number("advice_deadline", "0 or more seconds", low=0)
    limit = "a positive number, or None for no clipping"
    number("max_grad_norm", limit, low=math.nextafter(0, 1), optional=True)
    if model.bf16 and (model.device.type != "cuda" or model.update != "fast"):
        raise VarlError("bf16 is for the fast update on a GPU; give device='cuda' and update='fast', or bf16=False")
    space = model.action_space
    for axis in np.flatnonzero(space.low == space.high):  # scaled to -1..1 it would be 0 / 0
        raise VarlError(
            f"axis {axis} of the action space cannot move, its low and high are both {space.low.flat[axis]:g}; leave "
            "that axis out of the space"
        )

"""The temperature while something guides the actor."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch as th

from varl_agent.sac.guidance import GuidanceBatch


@contextmanager
def held(log_alpha: th.Tensor, surplus: float, guidance: GuidanceBatch | None) -> Iterator[bool]:
    """Around a step of log(alpha): gives whether to make it, and takes back ``guidance.hold`` of its rise.

    Where advice narrows the policy, alpha should not rise: the bonus for entropy could not widen the policy before
    advice ends, and would then be worth more than success. So at a hold of 1 log(alpha) does not rise, be it by its
    gradient or by Adam's momentum, at 0 the step is SAC's own, and between them log(alpha) rises by 1 - hold of it.
    A step that could do nothing but rise is not made at all at a hold of 1: on a gradient of zero Adam's second moment
    would decay, and the steps after the advice's release would be several times too long.

    Args:
        log_alpha: (1,) what is stepped.
        surplus: mean(log pi) + target entropy; above 0 the step would raise log(alpha).
    """
    hold = 0.0 if guidance is None else guidance.hold
    before = log_alpha.detach().clone()
    yield hold < 1.0 or surplus <= 0.0
    if hold > 0.0:
        with th.no_grad():
            log_alpha -= hold * (log_alpha - before).clamp(min=0.0)

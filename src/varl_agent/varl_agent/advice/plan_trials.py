"""Plans on trial: while advice guides they act in a share of the episodes, and those guide whose episodes succeed.

What stands trial is each plan alone and, of three or more, the vote of all: plans that are right one by one can be
wrong together, and plans that are off to different sides right together. An episode in which a plan acts says at once
what it is worth, before the policy has learned anything; one that fails again and again neither acts nor guides any
longer, so that an advisor that is wrong costs a number of episodes and no more.
"""

from __future__ import annotations

from varl_agent.advice.guidance_buffer import VOTE, GuidanceBuffer

TRIES = 6  # failures to begin with, and after each success: one that succeeds in 4 of 10 is given up in 1 case of 20
# Successes in an episode that was not, added to each tally. An untried one is to be tried while none has succeeded in
# nine of ten, but it is not to guide before one that has succeeded more often than not.
HOPE, PRUDENCE = 0.9, 0.5


def takes_turn(guidance: GuidanceBuffer) -> int | None:
    """What is to act in the next episode that is the plans'; None: nothing is left that may."""
    return _best(guidance, HOPE)


def plans_of(guidance: GuidanceBuffer, tried: int) -> list[int]:
    """The plans that act together."""
    return list(range(len(guidance.plans))) if tried == VOTE else [tried]


def credit(guidance: GuidanceBuffer, tried: int, succeeded: bool) -> None:
    """An episode in which ``tried`` acted has ended."""
    guidance.tallies.setdefault(tried, [0, 0])[not succeeded] += 1


def choose(guidance: GuidanceBuffer) -> None:
    """Choose ``guidance.trusted`` by the tallies: empty where nothing is left."""
    best = _best(guidance, PRUDENCE)
    guidance.trusted = [] if best is None else plans_of(guidance, best)


def _best(guidance: GuidanceBuffer, prior: float) -> int | None:
    count = len(guidance.plans)
    tallies = {tried: guidance.tallies.get(tried, [0, 0]) for tried in [VOTE] * (count > 2) + list(range(count))}
    left = {
        tried: (won + prior) / (won + lost + 1) for tried, (won, lost) in tallies.items() if lost < TRIES * (1 + won)
    }
    return max(left, key=lambda tried: left[tried]) if left else None

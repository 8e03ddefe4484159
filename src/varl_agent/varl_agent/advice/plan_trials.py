"""Plans on trial: while advice guides they act in a share of the episodes, and those guide whose episodes succeed.

What stands trial is each plan alone and, of three or more, the vote of all: plans that are right one by one can be
wrong together, and plans that are off to different sides right together. An episode in which a plan acts says at once
what it is worth, before the policy has learned anything; one that fails again and again neither acts nor guides any
longer, so that an advisor that is wrong costs a number of episodes and no more.

An advisor often knows what to do and not quite where: the tool closes beside the handle, in every episode. So where
little succeeds, plans *beside* the best one act, which take each thing to be a little aside. One that succeeds stays,
stands trial as the others do, and is what further ones are beside; one that fails is gone.
"""

from __future__ import annotations

from dataclasses import replace

from varl_common.plan import Plan, as_one

from varl_agent.advice.guidance_buffer import VOTE, GuidanceBuffer

TRIES = 6  # failures to begin with, and after each success: one that succeeds in 4 of 10 is given up in 1 case of 20
# Successes in an episode that was not, added to each tally. An untried one is to be tried while none has succeeded in
# nine of ten, but it is not to guide before one that has succeeded more often than not.
HOPE, PRUDENCE = 0.9, 0.5
# Where no rate is at so much, plans beside the best one act; how far they take a thing to be aside along each axis, m
# (standard deviation): what a model that points is off by at its worst; and how many of them may fail, all in all: what
# an advisor that is quite wrong costs besides the tries.
LITTLE, ASIDE, BESIDE = 0.6, 0.03, 40


def takes_turn(guidance: GuidanceBuffer) -> int | None:
    """What is to act in the next episode that is the plans'; None: nothing is left that may."""
    left = _left(guidance, HOPE)
    best = _best(left)
    if guidance.plans and (best is None or left[best] < LITTLE) and guidance.passed < BESIDE:
        beside = _beside(guidance, best)
        return best if beside is None else guidance.add_beside(beside)
    return best


def plans_of(guidance: GuidanceBuffer, tried: int) -> list[int]:
    """The plans that act together."""
    return list(range(len(guidance.plans))) if tried == VOTE else [tried]


def credit(guidance: GuidanceBuffer, tried: int, succeeded: bool) -> None:
    """An episode in which ``tried`` acted has ended."""
    tally = guidance.tallies.setdefault(tried, [0, 0])
    tally[not succeeded] += 1
    if tried in guidance.beside and not tally[0]:
        guidance.drop_beside(tried)


def choose(guidance: GuidanceBuffer) -> None:
    """Choose ``guidance.trusted`` by the tallies: empty where nothing is left."""
    best = _best(_left(guidance, PRUDENCE))
    guidance.trusted = [] if best is None else plans_of(guidance, best)


def _best(rates: dict[int, float]) -> int | None:
    return max(rates, key=lambda tried: rates[tried]) if rates else None


def _left(guidance: GuidanceBuffer, prior: float) -> dict[int, float]:
    """The rate of each that has not failed too often, ``prior`` successes in an episode added."""
    count = len(guidance.plans)
    known = (
        [VOTE] * (count > 2) + list(range(count)) + [tried for tried in guidance.beside if tried in guidance.tallies]
    )
    tallies = {tried: guidance.tallies.get(tried, [0, 0]) for tried in known}
    return {
        tried: (won + prior) / (won + lost + 1) for tried, (won, lost) in tallies.items() if lost < TRIES * (1 + won)
    }


def _beside(guidance: GuidanceBuffer, best: int | None) -> Plan | None:
    """A plan beside what is ``best``, or beside one of all where nothing is left; None: it is no plan of phases."""
    plans = as_one([guidance.plan(i) for i in plans_of(guidance, VOTE if best is None else best)])
    if any(type(plan) is not Plan for plan in plans):
        return None
    plan = plans[guidance.chance(len(plans))]
    things = sorted({phase.target for phase in plan.phases})
    aside = dict(zip(things, ASIDE * guidance.noise(len(things)), strict=True))
    moved = (replace(phase, offset=tuple((phase.offset + aside[phase.target]).tolist())) for phase in plan.phases)
    return replace(plan, phases=tuple(moved))

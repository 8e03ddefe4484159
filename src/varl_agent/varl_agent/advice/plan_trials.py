"""Plans on trial: while advice guides they act in a share of the episodes, and those guide whose episodes succeed.

What stands trial is each plan alone and, of three or more, the vote of all: plans that are right one by one can be
wrong together, and plans that are off to different sides right together. An episode in which a plan acts says at once
what it is worth, before the policy has learned anything. None guides before it has succeeded, one that fails again and
again acts no longer, and once each has failed plans act more seldom, until one succeeds: an advisor that is wrong costs
an episode in six, and the policy goes on as if there were none.

An advisor often knows what to do and not quite where: the tool closes beside the handle, in every episode. So where
little succeeds, plans *beside* the best one act, which take each thing to be a little aside. One that succeeds stays,
stands trial as the others do, and is what further ones are beside; one that fails is gone.

Of a task of several stages the sub-goals say how far a failure came. A plan beside that came further than all before
stays as well, and further ones are beside what came furthest, in the stage that it failed in alone: what brings the
first stage about is kept, and the second is looked for from there.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from varl_common.plan import Plan, Scene, as_one
from varl_common.trajectories import Trajectories

from varl_agent.advice.guidance_buffer import VOTE, GuidanceBuffer

TRIES = 6  # failures to begin with, and after each success: one that succeeds in 4 of 10 is given up in 1 case of 20
# Successes in an episode that was not, added to each tally: an untried one is to be tried while none has succeeded in
# nine of ten, and one that succeeded once does not guide before one that did more often than not.
HOPE, PRUDENCE = 0.9, 0.5
# Share of the episodes that goes to further tries once each plan has failed in one, until one succeeds: what an advisor
# that is always wrong costs is a fifth of the policy's own episodes.
UNPROVEN = 1 / 6
# Where no rate is at so much, plans beside the best one act; how far they take a thing to be aside along each axis, m
# (standard deviation): what a model that points is off by at its worst; and how many of them may fail, all in all, for
# each stage that one has begun: what an advisor that is quite wrong costs besides the tries.
LITTLE, ASIDE, BESIDE = 0.6, 0.03, 40


def takes_turn(guidance: GuidanceBuffer) -> int | None:
    """What is to act in the next episode that is the plans'; None: nothing is left that may."""
    left = _left(guidance, HOPE)
    best = _best(guidance, left)
    furthest = max(guidance.stages.values(), default=0)
    if guidance.plans and (best is None or left[best] < LITTLE) and guidance.passed < BESIDE * (1 + furthest):
        as_far = [tried for tried, done in guidance.stages.items() if done == furthest > 0]
        beside = _beside(guidance, as_far[guidance.chance(len(as_far))] if as_far else best)
        return best if beside is None else guidance.add_beside(beside)
    return best


def share(guidance: GuidanceBuffer, act: float) -> float:
    """The share of episodes in which plans are to act: ``act``, but where each has been tried and none has succeeded,
    or brought a first stage about."""
    untried = any(tried not in guidance.tallies for tried in _left(guidance, HOPE))
    promising = bool(guidance.stages) or any(won for won, _ in guidance.tallies.values())
    return act if untried or promising else min(act, UNPROVEN)


def plans_of(guidance: GuidanceBuffer, tried: int) -> list[int]:
    """The plans that act together."""
    return list(range(len(guidance.plans))) if tried == VOTE else [tried]


def stages_done(guidance: GuidanceBuffer, tried: int, state: np.ndarray, scene: Scene) -> int:
    """How many stages lie behind ``state`` (obs_dim,) by the sub-goals of what is tried; 0 where it has but one."""
    plans = [guidance.plan(i) for i in plans_of(guidance, tried)]
    return max(int(plan.stages_done(state[None], scene)[0]) if type(plan) is Plan else 0 for plan in plans)


def credit(guidance: GuidanceBuffer, tried: int, succeeded: bool, stages: int = 0) -> None:
    """An episode in which ``tried`` acted has ended, at its furthest with so many ``stages`` behind."""
    if not guidance.knows(tried):  # it acted in two environments, and has failed in the other
        return
    tally = guidance.tallies.setdefault(tried, [0, 0])
    tally[not succeeded] += 1
    came_further = stages > max(guidance.stages.values(), default=0)
    if stages:
        guidance.stages[tried] = max(stages, guidance.stages.get(tried, 0))
    if tried in guidance.beside and not tally[0] and not came_further:
        guidance.drop_beside(tried)


def choose(guidance: GuidanceBuffer) -> None:
    """Choose ``guidance.trusted`` by the tallies, among those that may guide: empty where none may."""
    left = _left(guidance, PRUDENCE)
    best = _best(guidance, {tried: rate for tried, rate in left.items() if _may_guide(guidance, tried)})
    guidance.trusted = [] if best is None else plans_of(guidance, best)


def _may_guide(guidance: GuidanceBuffer, tried: int) -> bool:
    """What has succeeded may, and trajectories: they tell how to go on near what was shown, not how to begin."""
    succeeded = guidance.tallies.get(tried, [0, 0])[0] > 0
    return succeeded or any(isinstance(guidance.plan(i), Trajectories) for i in plans_of(guidance, tried))


def _best(guidance: GuidanceBuffer, rates: dict[int, float]) -> int | None:
    return max(rates, key=lambda tried: (rates[tried], guidance.stages.get(tried, 0))) if rates else None


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
    done = 0 if best is None else min(guidance.stages.get(best, 0), len(plan.stages) - 1)
    kept = sum(map(len, plan.stages[:done]))
    things = sorted({phase.target for phase in plan.phases[kept:]})
    aside = dict(zip(things, ASIDE * guidance.noise(len(things)), strict=True))
    moved = [
        replace(phase, offset=tuple((phase.offset + aside[phase.target]).tolist())) for phase in plan.phases[kept:]
    ]
    return replace(plan, phases=(*plan.phases[:kept], *moved))

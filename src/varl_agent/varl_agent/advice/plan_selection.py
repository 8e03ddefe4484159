"""Which of several plans guide: all of them by a vote, until experience speaks for some and against others."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from varl_common.plan import Plan, Scene, as_one, vote

from varl_agent.advice.guidance_buffer import GuidanceBuffer

JUDGE_EVERY = 500  # environment steps: ten episodes of the usual length, as many as a success rate needs to move
# Share of recent episodes from which on successful ones tell right plans from wrong ones: with less success, they would
# only speak for whichever plan was followed.
ENOUGH_SUCCESS = 0.5
JUDGED_ROWS = 512  # steps of successful episodes that plans are held against: two batches
# How many times farther from what succeeded than the nearest plan one must be to contradict it. Plans of one advisor
# that agree but for misplaced things stay within 1.5.
CONTRADICTION = 1.5
# Plans that have guided for so many episodes, of which fewer than this share succeed, make way for others.
TRIAL_EPISODES, TRIAL_SUCCESS = 50, 0.25


def judge_plans(
    guidance: GuidanceBuffer,
    scene: Scene,
    success_rate: float,
    episodes: int,
    succeeded: Callable[[int], tuple[np.ndarray, np.ndarray] | None],
) -> None:
    """Choose ``guidance.trusted`` anew, to be called every ``JUDGE_EVERY`` steps while plans guide.

    Args:
        success_rate: share of the recent episodes.
        episodes: how many have ended.
        succeeded: gives n states (n, obs_dim) and actions (n, act_dim) of successful episodes; None while the replay
            holds none.
    """
    if len(guidance.plans) < 2:
        return
    if success_rate >= ENOUGH_SUCCESS and (pairs := succeeded(JUDGED_ROWS)) is not None:
        guidance.trusted = agreeing([plan for _, _, plan in guidance.plans], *pairs, scene)
    if success_rate >= ENOUGH_SUCCESS or guidance.trusted_since is None:
        guidance.trusted_since = episodes
    elif success_rate < TRIAL_SUCCESS and episodes - guidance.trusted_since >= TRIAL_EPISODES:
        try_next(guidance, episodes)


def agreeing(plans: Sequence[Plan], states: np.ndarray, actions: np.ndarray, scene: Scene) -> list[int] | None:
    """The plans that do not contradict ``actions`` (n, act_dim), which led to success from ``states``; None: all.

    A vote of plans that agree but for small errors is better than any of them. But plans that are right in ways of
    their own can be wrong together, as one may be in its first phase where another is in its second: on
    coffee-button two that succeed and one that does not made a vote that never did. So those are left out that are
    farther from what succeeded than ``CONTRADICTION`` times the nearest, if the vote of the others agrees with it
    better than that of all. (On ``reach`` a plan that errs to the other side than the rest mends the vote, however far
    off it is by itself.) Better is by the cosine: a torn vote gives small actions, and these are never far off.
    """

    def advised(which: Sequence[Plan]) -> np.ndarray:
        return vote([plan.actions(states, scene) for plan in as_one(which)])

    errors = np.array([np.abs(advised([plan]) - actions).mean() for plan in plans])
    near = np.flatnonzero(errors <= CONTRADICTION * errors.min()).tolist()
    alone, together = advised([plans[i] for i in near]), advised(plans)
    return near if _cosine(alone, actions) > _cosine(together, actions) else None


def try_next(guidance: GuidanceBuffer, episodes: int) -> None:
    """Let the next plan guide alone, and after the last one all together again; ``episodes`` have ended.

    For where those that guide do not bring success: plans that are right one by one may never be so together, and
    then there is no success by which :func:`agreeing` could tell.
    """
    last = -1 if guidance.trusted is None else guidance.trusted[-1]
    guidance.trusted = [last + 1] if last + 1 < len(guidance.plans) else None
    guidance.trusted_since = episodes


def _cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float((a * b).sum() / max(np.linalg.norm(a) * np.linalg.norm(b), 1e-9))

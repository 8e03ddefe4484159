"""Which tasks are for tuning and which for reporting: ``python -m benchmarks.advice.tasks`` goes by the rule anew.

The rule was committed before any run of the tasks that it chose, and no learning enters it. Of Meta-World's tasks those
are eligible

1. that are not for tuning;
2. in which random actions succeed in none of ``EPISODES`` episodes: where they do, the reward is hardly sparse;
3. whose plan, as the scripted advisor gives it but without an error, succeeds in at least ``SOLVED`` of as many: the
   question is what to make of advice, not whether the bench's stand-in can give any.

Push is in, whatever its plan does, since a figure of its own is asked of it. The others come in the order of the
SHA-256 of their names, which nobody chose, up to twelve in all. The medium maze is the thirteenth.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import TypeAlias

import numpy as np
from varl_agent.advice.messages import ADVICE_LIMIT
from varl_common.plan import Plan, Scene

from benchmarks.advice.environments import MetaWorldEnv
from benchmarks.advice.expert_plans import expert_plan

EPISODES, SOLVED, COUNT = 20, 16, 12
FIRST_SEED = 700_000  # of the episodes that the rule looks at; no run is made of them
ALWAYS = "push-v3"

TUNING = ("drawer-open-v3", "faucet-open-v3", "button-press-topdown-wall-v3", "window-close-v3", "reach-v3", "reach")
REPORTING = (
    "push-v3",
    "door-lock-v3",
    "plate-slide-v3",
    "sweep-into-v3",
    "button-press-topdown-v3",
    "plate-slide-back-side-v3",
    "door-open-v3",
    "pick-place-v3",
    "faucet-close-v3",
    "button-press-v3",
    "door-close-v3",
    "reach-wall-v3",
)
# What --tasks takes in place of names. Meta-World's reach is the arm's in another world, and so for neither.
GROUPS = {
    "tuning": tuple(task for task in TUNING if task != "reach-v3"),
    "reporting": (*REPORTING, "maze-medium"),
}

Actor: TypeAlias = Callable[[np.ndarray], np.ndarray]  # (obs_dim,) state to (act_dim,) action


def choose(random: Mapping[str, int], planned: Mapping[str, int]) -> tuple[str, ...]:
    """The rule, by the episodes of each task in which random actions, and the plan, succeeded."""
    eligible = {t for t in random if t not in TUNING and random[t] == 0 and planned[t] >= SOLVED}
    others = sorted(eligible - {ALWAYS}, key=lambda task: sha256(task.encode()).hexdigest())
    return (ALWAYS, *others)[:COUNT]


def successes(env: MetaWorldEnv, act: Actor) -> int:
    """Of ``EPISODES`` episodes, in how many ``act`` succeeds."""
    won = 0
    for _ in range(EPISODES):
        observation, ended = env.reset()[0], False
        while not ended:
            observation, _, terminated, truncated, info = env.step(act(observation))
            ended = terminated or truncated
        won += info["is_success"]
    return won


def at_random() -> Actor:
    """Acts at random."""
    rng = np.random.default_rng(0)
    return lambda state: rng.uniform(-1.0, 1.0, 4).astype(np.float32)


def by_plan(plan: Plan, scene: Scene) -> Actor:
    """Follows a plan, as a policy can that learned it."""
    return lambda state: plan.actions(state[None], scene)[0].clip(-ADVICE_LIMIT, ADVICE_LIMIT)


def main() -> None:
    """Count, and say what follows."""
    from metaworld.env_dict import ALL_V3_ENVIRONMENTS_GOAL_OBSERVABLE

    random, planned = {}, {}
    for task in sorted(name.removesuffix("-goal-observable") for name in ALL_V3_ENVIRONMENTS_GOAL_OBSERVABLE):
        random[task] = successes(MetaWorldEnv(task, FIRST_SEED), at_random())
        env = MetaWorldEnv(task, FIRST_SEED)
        planned[task] = successes(env, by_plan(expert_plan(task), env.description))
        print(f"| {task} | {random[task]} | {planned[task]} |", flush=True)
    print("\n".join(choose(random, planned)))


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""A task of one's own, own_task.yaml, learned in simulation from three answers: ``examples/own_task.py``."""

import sys
from pathlib import Path

from stable_baselines3.common.evaluation import evaluate_policy
from varl_agent.advice.messages import AdviceAnswer, AdviceQuery, finished
from varl_common.plan import Phase, Plan
from varl_robot_env.env.arm_env import ArmEnv

from varl_agent import VARL

STEPS = int(sys.argv[1]) if len(sys.argv) > 1 else 6_000
TASK = Path(__file__).with_name("own_task.yaml")

env = ArmEnv(str(TASK))


class Planner:
    """Says how the task is solved, once for all states, as a vision-language model would: above the block, and stay."""

    plan = Plan((Phase("block", (0.0, 0.0, 0.10)),), "Go above the block.")

    def ask(self, query: AdviceQuery):
        actions = self.plan.actions(query.states, env.description)
        return finished(AdviceAnswer.of(actions, "planner", self.plan))


model = VARL("MlpPolicy", env, advisor=Planner(), seed=0)
model.learn(STEPS)

rate, _ = evaluate_policy(model, model.get_env(), n_eval_episodes=20)  # its reward is 1 for a success
print(f"{env.description.task}: the policy solves {rate:.0%} of 20 episodes after {STEPS} steps")

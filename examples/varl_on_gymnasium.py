#!/usr/bin/env python3
"""VARL on any Gymnasium environment, with nobody to ask and with an advisor: ``examples/varl_on_gymnasium.py``."""

import sys

import numpy as np
from stable_baselines3.common.evaluation import evaluate_policy
from varl_agent.advice.messages import AdviceAnswer, AdviceQuery, finished

from varl_agent import VARL

STEPS = int(sys.argv[1]) if len(sys.argv) > 1 else 4_000


class Swing:
    """Advises to push the way that the pendulum turns; a state is its cosine, sine and angular velocity."""

    def ask(self, query: AdviceQuery):
        return finished(AdviceAnswer.of(np.sign(query.states[:, 2:3]), "swing"))


for advisor in (None, Swing()):
    model = VARL("MlpPolicy", "Pendulum-v1", advisor=advisor, trigger=[500], seed=0)
    model.learn(STEPS)
    mean, spread = evaluate_policy(model, model.get_env(), n_eval_episodes=5)
    who = "with an advisor" if advisor else "without advice"
    print(f"{who}: return {mean:.0f} +- {spread:.0f} after {STEPS} steps, {model.guidance.asked} states shown")

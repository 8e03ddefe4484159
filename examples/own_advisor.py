#!/usr/bin/env python3
"""An advisor of one's own, asked by a state and its picture: ``examples/own_advisor.py``.

It looks for the green ball in the camera's picture and says which way the tool must go. That is all that VARL asks of
an advisor: an action in [-1, 1] for each state that it is shown, or none where it cannot tell.
"""

import os
import sys

os.environ.setdefault("MUJOCO_GL", "egl")

import cv2
import numpy as np
from stable_baselines3.common.evaluation import evaluate_policy
from varl_agent.advice.messages import AdviceAnswer, AdviceQuery, finished
from varl_common.image_codec import decode_depth, decode_image
from varl_robot_env.env.arm_env import ArmEnv

from varl_agent import VARL

STEPS = int(sys.argv[1]) if len(sys.argv) > 1 else 5_000
GREEN = (np.array([45, 80, 60]), np.array([75, 255, 255]))  # hue, saturation and value, as OpenCV counts them

env = ArmEnv("reach")


class Looker:
    """Sees where the green ball is and points there from where the tool is."""

    wants_frames = True  # its questions come with pictures

    def ask(self, query: AdviceQuery):
        advised = [self.towards(state, frames) for state, frames in zip(query.states, query.frames, strict=True)]
        return finished(AdviceAnswer.of(np.array(advised), "looker"))

    def towards(self, state, frames):
        """(3,) which way to go in a state, whose first three numbers are where the tool is; nan where it can't tell."""
        ball = self.ball(frames[0]) if frames else None
        if ball is None:
            return np.full(3, np.nan)
        way = ball - state[:3]
        return way / np.abs(way).max()

    def ball(self, frame):
        """(3,) metres in the base frame: the middle of what is green, as far away as the picture's depth says."""
        picture = cv2.cvtColor(decode_image(frame.jpeg), cv2.COLOR_RGB2HSV)
        rows, columns = np.nonzero(cv2.inRange(picture, *GREEN))
        depth = decode_depth(frame.depth)
        if not len(rows) or depth is None:
            return None
        far = np.median(depth[rows, columns]) / 1000.0
        ray = np.linalg.solve(frame.k, [columns.mean(), rows.mean(), 1.0])
        return (frame.camera_pose @ [*(far * ray), 1.0])[:3]


model = VARL("MlpPolicy", env, advisor=Looker(), seed=0)
model.learn(STEPS)
print(f"{model.guidance.used} of {model.guidance.asked} pictures showed the way")
rate, _ = evaluate_policy(model, model.get_env(), n_eval_episodes=20)  # its reward is 1 for a success
print(f"the policy solves {rate:.0%} of 20 episodes after {STEPS} steps")
env.close()

"""Advice as a generated video would give it: the expert goes on from the shown moment, filmed, and its gripper tracked.

The video is rendered here, so that it is right; what a tracker makes of it is not: corners are lost behind the gripper
and the things that it holds, and by choice frames are dropped and every place is off by some millimetres besides.
"""

from __future__ import annotations

from typing import Any

import cv2
import mujoco
import numpy as np
from varl_agent.advice.messages import AdviceAnswer, AdviceQuery
from varl_common.trajectories import Trajectories

from benchmarks.advice.advisors import Scripted
from benchmarks.advice.environments import MetaWorldEnv
from benchmarks.advice.expert_plans import expert
from benchmarks.advice.film.tracking import Camera, Shot, follow

WIDTH, HEIGHT = 480, 360
VIEW = {"lookat": (0.0, 0.68, 0.12), "distance": 0.95, "azimuth": 140.0, "elevation": -32.0}  # m, degrees
STEPS, STRIDE = 80, 4  # of a video, and environment steps from frame to frame
NOISE = 0.005  # m, standard deviation of a tracked place beyond the tracker's own error
RISE = 0.05  # m from the tool up to the palm, which does not move as the fingers do
PALM, FINGER = 0.05, 0.035  # m around each, within which corners move along with it
WIDE = 0.1  # m between the finger tips of an open gripper
TIPS = ("rightEndEffector", "leftEndEffector")


class Videos(Scripted):
    """Waypoints for each of the shown moments, which are :class:`~benchmarks.advice.film.moments.Moment`."""

    wants_frames = True

    def __init__(self, task: str, error_rate: float, seed: int) -> None:
        """``error_rate``: share of the frames that are dropped, and of the videos that show another scene."""
        super().__init__(seed)
        self.task, self.error_rate = task, error_rate
        self._world = MetaWorldEnv(task, seed)
        self._world.reset()
        self._policy = expert(task)
        self._renderer: Any = None

    def answer(self, query: AdviceQuery) -> AdviceAnswer:
        rng = np.random.default_rng((self.seed, query.step))
        shown = [frames[0] if frames else None for frames in query.frames]
        rows = [i for i, moment in enumerate(shown) if moment is not None]
        wrong = rng.random(len(rows)) < self.error_rate
        waypoints = np.stack(
            [
                self._tracked(shown[rows[rng.integers(len(rows))] if astray else i], rng)
                for i, astray in zip(rows, wrong, strict=True)
            ]
        )
        plan = Trajectories(starts=query.states[rows], waypoints=waypoints)
        actions = np.full(query.actions.shape, np.nan, np.float32)
        actions[rows] = plan.actions(query.states[rows], self._world.description)
        return AdviceAnswer.of(actions, "gripper tracked in the expert's video (stand-in for a video model)", plan)

    def _tracked(self, moment: Any, rng: np.random.Generator) -> np.ndarray:
        """(frames, 4) waypoints from a moment on."""
        shots, camera, opening, points = self._film(moment)
        palm, *tips = (
            follow(shots, camera, point, near) for point, near in zip(points, (PALM, FINGER, FINGER), strict=True)
        )
        apart = np.linalg.norm(tips[0] - tips[1], axis=1)
        apart = np.where(np.isfinite(apart), opening + (apart - apart[0]) / WIDE, np.nan)
        seen = np.column_stack([palm - np.array([0.0, 0.0, RISE]) + rng.normal(0.0, NOISE, palm.shape), apart]).astype(
            np.float32
        )
        seen[1:][rng.random(len(seen) - 1) < self.error_rate] = np.nan
        return seen

    def _film(self, moment: Any) -> tuple[list[Shot], Camera, float, list[np.ndarray]]:
        env = self._world._env
        observation = moment.restore(env)
        opening, points = (
            float(observation[3]),
            [observation[:3] + np.array([0.0, 0.0, RISE]), *(env.data.site(tip).xpos.copy() for tip in TIPS)],
        )
        shots, won = [self._shot()], False
        for step in range(STEPS):
            action = np.clip(self._policy.get_action(observation.astype(np.float64)), -1.0, 1.0)
            if not won:
                observation, _, won, _, _ = self._world.step(action.astype(np.float32))
            if (step + 1) % STRIDE == 0:
                shots.append(shots[-1] if won and step % STRIDE else self._shot())
        return shots, self._camera(), opening, points

    def _shot(self) -> Shot:
        model, data = self._world._env.model, self._world._env.data
        if self._renderer is None:
            model.light_castshadow[:] = 0  # shadows cost 50 times the rest where there is no GPU
            model.vis.quality.offsamples = 0
            model.vis.global_.offwidth, model.vis.global_.offheight = WIDTH, HEIGHT
            self._renderer = mujoco.Renderer(model, HEIGHT, WIDTH)
            self._view = mujoco.MjvCamera()
            for name, value in VIEW.items():
                setattr(self._view, name, value)
        self._renderer.update_scene(data, camera=self._view)
        gray = cv2.cvtColor(self._renderer.render(), cv2.COLOR_RGB2GRAY)
        self._renderer.enable_depth_rendering()
        depth = self._renderer.render().copy()
        self._renderer.disable_depth_rendering()
        return Shot(gray, depth)

    def _camera(self) -> Camera:
        eyes = self._renderer.scene.camera  # left and right of where the picture is taken from
        forward, up = np.array(eyes[0].forward), np.array(eyes[0].up)
        pose = np.eye(4)
        pose[:3, :3] = np.column_stack([np.cross(forward, up), -up, forward])
        pose[:3, 3] = (np.array(eyes[0].pos) + eyes[1].pos) / 2
        focal = HEIGHT / 2 / np.tan(np.radians(self._world._env.model.vis.global_.fovy) / 2)
        return Camera(focal, np.array([(WIDTH - 1) / 2, (HEIGHT - 1) / 2]), pose)

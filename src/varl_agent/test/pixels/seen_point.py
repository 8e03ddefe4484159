"""A point that is to reach a target, seen by a camera: what the policy is told of the state is the point alone."""

from __future__ import annotations

from concurrent.futures import Future
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from varl_agent.advice.messages import AdviceAnswer, AdviceQuery, finished
from varl_agent.pixels.encoding import EncoderSettings, encoded, kept_pictures, policy_of
from varl_agent.pixels.pictured_env import PicturedEnv
from varl_agent.replay.buffer import PersistentReplayBuffer
from varl_agent.sac.varl import VARL
from varl_agent.training.control import TrainingControl
from varl_agent.training.learning import Learning
from varl_agent.training.run_folder import RunFolder
from varl_agent.training.training import Schedule, Training, identity_of
from varl_agent.vec_env.parallel_env import ParallelEnv
from varl_common.env_description import EnvDescription

SIDE = 32


class SeenPoint(gym.Env[Any, np.ndarray]):
    """A point in a square; the state is its place, then the target's, which a picture shows alone."""

    def __init__(self) -> None:
        one = np.ones(4, np.float32)
        self.description = EnvDescription(
            *("point", "point", "test", "Come to the target.", "base"),
            *(["tool_x", "tool_y", "target_x", "target_y"], ["m"] * 4, -one, one),
            *(["dx", "dy"], ["m", "m"], np.full(2, 0.2), [], [], 0.05, 15, True),
            observation="pixels",
            observed=[0, 1],
            picture_cameras=["eye"],
            picture_sides=[SIDE],
        )
        self.action_space = spaces.Box(-1, 1, (2,), np.float32)
        eye, state = spaces.Box(0, 255, (SIDE, SIDE, 3), np.uint8), spaces.Box(-one[:2], one[:2])
        self.observation_space = spaces.Dict({"eye": eye, "state": state})

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.places = self.np_random.uniform(-0.9, 0.9, 4).astype(np.float32)
        self.time = 0
        return self._seen(), {"state": self.places.copy()}

    def step(self, action: np.ndarray) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.places[:2] = np.clip(self.places[:2] + 0.2 * np.clip(action, -1, 1), -1, 1)
        self.time += 1
        success = bool(np.linalg.norm(self.places[:2] - self.places[2:]) < 0.3)
        info = {"state": self.places.copy(), "is_success": success}
        return self._seen(), float(success), success, self.time >= 15, info

    def _seen(self) -> dict[str, Any]:
        picture = np.zeros((SIDE, SIDE, 3), np.uint8)
        for channel, (x, y) in enumerate(self.places.reshape(2, 2)):
            column, row = ((np.array([x, y]) + 1) / 2 * (SIDE - 5)).astype(int)
            picture[row : row + 5, column : column + 5, channel] = 255
        return {"eye": picture, "state": self.places[:2].copy()}


class Teacher:
    """An advisor that knows the way from the whole state."""

    name = "teacher"

    def __init__(self) -> None:
        self.shown: list[np.ndarray] = []

    def ask(self, query: AdviceQuery) -> Future[AdviceAnswer]:
        self.shown.append(query.states)
        way = np.clip((query.states[:, 2:4] - query.states[:, :2]) / 0.2, -1, 1).astype(np.float32)
        return finished(AdviceAnswer(way, np.zeros(len(query), np.uint8), advisor=self.name))


def make_training(
    path: Path, settings: EncoderSettings, steps: int, control: TrainingControl | None = None
) -> Training:
    env = ParallelEnv([encoded(SeenPoint(), settings)], 0)
    pictured = env.envs[0]
    assert isinstance(pictured, PicturedEnv)
    policy, policy_kwargs = policy_of(pictured, settings)
    folder = RunFolder(path)
    folder.checkpoints.mkdir(parents=True, exist_ok=True)
    model = VARL(
        policy,
        env,
        advisor=Teacher(),
        trigger=[25, 45],
        states_per_query=8,
        seed=0,
        learning_starts=20,
        batch_size=8,
        buffer_size=500,
        replay_buffer_class=PersistentReplayBuffer,
        replay_buffer_kwargs={"folder": path / "replay", "pictures": kept_pictures(pictured, settings)},
        policy_kwargs={"net_arch": [16, 16], **policy_kwargs},
    )
    control = control or TrainingControl()
    learning = Learning(model, 1.0, control.stopping.is_set)
    schedule = Schedule(steps, 40, 2, 20, 3, lock_step=True)
    return Training(model, env, folder, identity_of(pictured.description), schedule, learning, control)

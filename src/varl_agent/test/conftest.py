"""A toy robot for the tests of the agent: quick, deterministic, learnable; and a training of it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.spaces import Box
from varl_agent.replay.buffer import PersistentReplayBuffer
from varl_agent.sac.varl import VARL
from varl_agent.training.checkpoint import Identity
from varl_agent.training.control import TrainingControl
from varl_agent.training.learning import ConcurrentLearning, Learning
from varl_agent.training.metrics import TrainingMetrics
from varl_agent.training.run_folder import RunFolder
from varl_agent.training.training import Schedule, Training
from varl_agent.vec_env.parallel_env import ParallelEnv


class PointReach(gym.Env[np.ndarray, np.ndarray]):
    """A point in a square that is to reach a target; the state is its place and the target's. 20 steps an episode."""

    def __init__(self, dense: bool = True) -> None:
        self.observation_space = Box(-1, 1, (4,), np.float32)
        self.action_space = Box(-1, 1, (2,), np.float32)
        self.dense = dense
        self.capture = False

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[np.ndarray, dict[str, Any]]:
        super().reset(seed=seed)
        self.place, self.target = self.np_random.uniform(-0.9, 0.9, (2, 2))
        self.time = 0
        return self._observation(), {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        self.place = np.clip(self.place + 0.2 * np.clip(action, -1, 1), -1, 1)
        self.time += 1
        distance = float(np.linalg.norm(self.place - self.target))
        success = distance < 0.2
        reward = -distance if self.dense else float(success)
        return self._observation(), reward, success, self.time >= 20, {"is_success": success}

    def _observation(self) -> np.ndarray:
        return np.concatenate([self.place, self.target]).astype(np.float32)


@pytest.fixture
def point_reach() -> type[PointReach]:
    return PointReach


IDENTITY = Identity("point_reach", "point", ("x", "y", "tx", "ty"), ("dx", "dy"))


def _make_training(
    env_type: Callable[[], Any],
    path: Path,
    steps: int = 200,
    arms: int = 1,
    observe: Callable[[TrainingMetrics], object] = lambda metrics: None,
    control: TrainingControl | None = None,
    beside: bool = False,
    utd: float = 1.0,
    seed: int = 0,
    update: str = "auto",
    make_env: Callable[[int], ParallelEnv] | None = None,
) -> Training:
    control = control or TrainingControl()
    folder = RunFolder(path)
    folder.checkpoints.mkdir(parents=True, exist_ok=True)
    env = make_env(seed) if make_env else ParallelEnv([env_type() for _ in range(arms)], seed)
    model = VARL(
        "MlpPolicy",
        env,
        seed=seed,
        learning_starts=50,
        batch_size=16,
        buffer_size=5000,
        replay_buffer_class=PersistentReplayBuffer,
        replay_buffer_kwargs={"folder": path / "replay"},
        policy_kwargs={"net_arch": [16, 16]},
        update=update,
    )
    stopping = control.stopping.is_set
    learning = ConcurrentLearning(model, utd, stopping, backlog=50) if beside else Learning(model, utd, stopping)
    schedule = Schedule(steps, 60, 3, 40, 3, lock_step=not beside)
    return Training(model, env, folder, IDENTITY, schedule, learning, control, observe)


@pytest.fixture
def make_training() -> Callable[..., Training]:
    return _make_training

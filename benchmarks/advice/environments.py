"""Tasks by name, all with a sparse reward (1 on success, which ends the episode, else 0) and a ``description``.

Meta-World: any of its tasks, ``coffee-button-v3``; goal and object are drawn anew each episode. PointMaze:
``maze-umaze``, ``maze-medium``, ``maze-large``; start and goal are drawn anew. The project's own arm: ``reach``,
``push``, ``lift``, and in the files of ``long/`` tasks of several stages, ``store``, ``stack``, ``place-press``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from varl_common.errors import VarlError, did_you_mean

LONG_TASKS = {file.stem: str(file) for file in sorted((Path(__file__).parent / "long").glob("*.yaml"))}
ARM_TASKS = {"reach": "reach", "push": "push", "lift": "lift", **LONG_TASKS}  # and what ArmEnv knows them by
MAZES = {"maze-umaze": ("UMaze", 300), "maze-medium": ("Medium", 300), "maze-large": ("Large", 600)}  # and steps
META_WORLD_STEPS = 200  # most experts need less than 150; Meta-World's own 500 only makes exploration longer


@dataclass(frozen=True)
class Description:
    """What plans and advisors must know: the fields of varl_interfaces/EnvDescription that they use."""

    task: str
    observation_names: list[str]
    observation_low: np.ndarray
    observation_high: np.ndarray
    action_names: list[str]
    action_scale: np.ndarray
    entities: list[str] = field(default_factory=list)
    entity_indices: list[int] = field(default_factory=list)


def make_env(task: str, seed: int) -> gym.Env[np.ndarray, np.ndarray]:
    """The environment of that name, its scenes drawn from ``seed`` on.

    Raises:
        VarlError: no task has that name, or its package is not installed.
    """
    try:
        if task in ARM_TASKS:
            from varl_robot_env.env.arm_env import ArmEnv

            return _Seeded(ArmEnv(ARM_TASKS[task]), seed)
        if task in MAZES:
            return _Seeded(MazeEnv(task), seed)
        return MetaWorldEnv(task, seed)
    except ImportError as error:
        raise VarlError(
            f"task {task!r} needs a package that is missing ({error.name}); pip install {error.name}"
        ) from None


class MetaWorldEnv(gym.Env[np.ndarray, np.ndarray]):
    """A Meta-World task: 39 numbers in (hand, gripper, objects, the same one step before, goal), 4 out."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 80}  # noqa: RUF012

    def __init__(self, task: str, seed: int, render_mode: str | None = None) -> None:
        from metaworld.env_dict import ALL_V3_ENVIRONMENTS_GOAL_OBSERVABLE as TASKS

        known = [name.removesuffix("-goal-observable") for name in TASKS]
        if task not in known:
            raise VarlError(f"unknown task {task!r}; {did_you_mean(task, [*known, *ARM_TASKS, *MAZES])}")
        camera = {"render_mode": render_mode, "camera_name": "corner2"} if render_mode else {}
        make: Any = TASKS[f"{task}-goal-observable"]
        self._env = make(seed=seed, **camera)
        self._env._freeze_rand_vec, self._env.seeded_rand_vec = False, True
        self._env.seed(seed)
        self._env.touching_object = lambda geom: is_gripped(self._env.data, geom)
        position = ([-0.5, 0.3, 0.0], [0.5, 1.0, 0.5])
        thing = [(*position[0], *[-1.0] * 4), (*position[1], *[1.0] * 4)]
        moment = [np.array([*position[i], float(i), *thing[i], *thing[i]]) for i in range(2)]
        low, high = (np.concatenate([m, m, p]).astype(np.float32) for m, p in zip(moment, position, strict=True))
        self.observation_space = gym.spaces.Box(low, high)
        self.action_space = gym.spaces.Box(-1.0, 1.0, (4,), np.float32)
        names = ["tool", "gripper", "object", "second"]
        self.description = Description(
            task,
            [f"{n}{i}" if n != "gripper" else n for n in names for i in range({"tool": 3, "gripper": 1}.get(n, 7))]
            + [f"before_{i}" for i in range(18)]
            + ["goal_x", "goal_y", "goal_z"],
            low,
            high,
            ["dx", "dy", "dz", "gripper"],
            np.array([0.01, 0.01, 0.01, 1.0]),
            ["tool", "object", "second", "goal"],
            [0, 4, 11, 36],
        )
        self.render_mode = render_mode
        self._steps = 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        if seed is not None:
            self._env.seed(seed)
        self._steps = 0
        observation, _ = self._env.reset()
        return observation.astype(np.float32), {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        self._steps += 1
        observation, dense, _, _, info = self._env.step(np.clip(action, -1.0, 1.0))
        won = bool(info["success"])
        return (
            observation.astype(np.float32),
            float(won),
            won,
            self._steps >= META_WORLD_STEPS,
            {
                "is_success": won,
                "dense_reward": float(dense),
            },
        )

    def render(self) -> np.ndarray | None:
        """Upright RGB: Meta-World's corner cameras are mounted upside down."""
        return np.ascontiguousarray(self._env.render()[::-1, ::-1]) if self.render_mode else None

    def close(self) -> None:
        self._env.close()


def is_gripped(data: Any, geom: int) -> bool:
    """Whether both of the gripper's pads press on the body with that geometry: what Meta-World's ``touching_object``
    says, which looks at each contact in Python and so takes a third of a step."""
    contact = data.contact
    on_it = (contact.geom == geom).any(axis=1)
    for pad in ("leftpad_geom", "rightpad_geom"):
        pressed = on_it & (contact.geom == data.geom(pad).id).any(axis=1)
        if not data.efc_force[contact.efc_address[pressed]].sum() > 0:
            return False
    return True


class MazeEnv(gym.Env[np.ndarray, np.ndarray]):
    """A PointMaze of gymnasium-robotics: a point with inertia, (x, y, vx, vy, goal x, goal y) in, a force out."""

    def __init__(self, task: str) -> None:
        import gymnasium_robotics

        gym.register_envs(gymnasium_robotics)
        name, steps = MAZES[task]
        self._env = gym.make(f"PointMaze_{name}-v3", max_episode_steps=steps, continuing_task=False)
        self.maze = self._env.unwrapped.maze  # type: ignore[attr-defined]
        reach = np.array([self.maze.x_map_center, self.maze.y_map_center])
        high = np.concatenate([reach, [5.0, 5.0], reach]).astype(np.float32)
        self.observation_space = gym.spaces.Box(-high, high)
        self.action_space = gym.spaces.Box(-1.0, 1.0, (2,), np.float32)
        names = ["x", "y", "vx", "vy", "goal_x", "goal_y"]
        self.description = Description(task, names, -high, high, ["fx", "fy"], np.ones(2))

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        observation, _ = self._env.reset(seed=seed)
        return self._flat(observation), {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        observation, _, _, truncated, info = self._env.step(action)
        won = bool(info["success"])
        return self._flat(observation), float(won), won, truncated, {"is_success": won}

    def close(self) -> None:
        self._env.close()

    def _flat(self, observation: dict[str, np.ndarray]) -> np.ndarray:
        return np.concatenate([observation["observation"], observation["desired_goal"]]).astype(np.float32)


class _Seeded(gym.Wrapper[np.ndarray, np.ndarray, np.ndarray, np.ndarray]):
    """Seeds the first reset, so that an environment is made like Meta-World's: with its seed."""

    def __init__(self, env: gym.Env[np.ndarray, np.ndarray], seed: int) -> None:
        super().__init__(env)
        self._seed: int | None = seed

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        first, self._seed = self._seed, None
        return self.env.reset(seed=first if seed is None else seed, options=options)

"""An arm that knows where block and target are from localisers alone, in scenes that look as none for training does.

Each of the robot's two cameras has one, taught by 200 of its pictures of the scene, pointed at with a model's noise, as
:mod:`benchmarks.localiser` has it. From then on what the policy observes, what is rewarded and when an episode ends
follow from what they see: the mean, where both see a thing; where none does, it is where it was seen last. How often
the arm is right in truth is asked at the end.
"""

from __future__ import annotations

import zlib
from collections import defaultdict
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray
from varl_agent.sac.varl import VARL
from varl_common.host.progress import progress
from varl_common.yaml_file import load_yaml
from varl_robot_env.config.paths import config_file
from varl_robot_env.env.arm_env import ArmEnv
from varl_robot_env.perception.lifting import place_at
from varl_robot_env.perception.localiser import Localiser
from varl_robot_env.perception.teaching import teach
from varl_robot_env.types import Pose

from benchmarks.advice.setting import EVALUATION_SEED
from benchmarks.localiser import HIDDEN_TAUGHT, NOISE, SCENES, TABLE, TAUGHT, THINGS, Scene, pointed

UNMARKED = "push-unmarked"
_NEAR = float(load_yaml(config_file("tasks", UNMARKED))["success"]["at_most"])  # m: push has succeeded


class SeenThings:
    """A scene whose things are where a localiser sees them.

    Attributes:
        env: the arm in it.
        truth: where its things are.
    """

    def __init__(self, seed: int) -> None:
        """Teach a localiser for each camera, in a minute. ``seed``: of the scene's look."""
        self._scene = Scene(SCENES[seed], held_out=True, task=UNMARKED)
        self.env, self._simulation = self._scene.env, self._scene.simulation
        self._localisers = [self._taught(number, seed) for number in range(len(self._simulation.cameras))]
        self.truth = self._simulation.entities
        self._last, self._seen_at = self.truth(), -1
        self._simulation.entities = self._entities  # type: ignore[method-assign]

    def close(self) -> None:
        """Free the renderers."""
        self._scene.close()

    def _entities(self) -> dict[str, Pose]:
        if self._seen_at != self._simulation.time_ns:
            self._seen_at = self._simulation.time_ns
            self._last = self._last | {name: _standing(place) for name, place in self._look().items()}
        return dict(self._last)

    def _taught(self, camera: int, seed: int) -> Localiser:
        self._scene.see_by(camera)
        pictures = progress(self._scene.pictures(TAUGHT, HIDDEN_TAUGHT), "pictures", TAUGHT)
        localiser = teach(THINGS, pointed(list(pictures), np.random.default_rng(seed), NOISE))
        assert localiser is not None
        return localiser

    def _look(self) -> dict[str, NDArray[np.float64]]:
        data, places = self._simulation.data, defaultdict[str, list[NDArray[np.float64]]](list)
        # One state looks alike whenever it is met, so that a run that was stopped can go on.
        rng = np.random.default_rng(zlib.crc32(data.qpos.tobytes()))
        for number, localiser in enumerate(self._localisers):
            self._scene.see_by(number)
            for name, one in localiser.find(self._scene.seen(data, rng)).items():
                place = place_at(one.pixel, None, self._scene.lens, self._scene.camera, 0.0, TABLE)
                if place is not None:
                    places[name].append(place)
        return {name: np.mean(seen, axis=0) for name, seen in places.items()}


def _standing(place: NDArray[np.float64]) -> Pose:
    return np.concatenate([place, [0.0, 0.0, 0.0, 1.0]])


def true_successes(model: VARL, env: ArmEnv, truth: Callable[[], Mapping[str, Pose]], episodes: int) -> list[bool]:
    """Whether block and target are together in ``truth`` where the deterministic policy ends an episode."""
    return [_true_success(model, env, truth, EVALUATION_SEED + episode) for episode in range(episodes)]


def _true_success(model: VARL, env: ArmEnv, truth: Callable[[], Mapping[str, Pose]], seed: int) -> bool:
    observation, _ = env.reset(seed=seed)
    terminated = truncated = False
    while not (terminated or truncated):
        action, _ = model.predict(observation, deterministic=True)
        observation, _, terminated, truncated, _ = env.step(action)
    block, target = (truth()[name][:3] for name in THINGS)
    return terminated and bool(np.linalg.norm(block - target) <= _NEAR)

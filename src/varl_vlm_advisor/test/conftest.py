"""An environment and a transition of it, without a simulator."""

from collections.abc import Callable, Iterator
from typing import Any

import cv2
import numpy as np
import pytest
from varl_common.env_description import EnvDescription
from varl_common.frame import Frame
from varl_vlm_advisor.service.advisor import Advisor
from varl_vlm_advisor.service.config import config_model
from varl_vlm_advisor.types import State

NAMES = [f"{entity}_{axis}" for entity in ("tool", "block", "target") for axis in "xyz"] + ["gripper"]


@pytest.fixture
def env() -> EnvDescription:
    """The project's lift task, as its env node describes it."""
    return EnvDescription(
        task="lift",
        robot="varl_arm",
        backend="mujoco",
        instruction="Lift the block to the target.",
        base_frame="base_link",
        observation_names=NAMES,
        observation_units=["m"] * 10,
        observation_low=np.array([-1.0] * 9 + [0.0], np.float32),
        observation_high=np.array([1.0] * 9 + [0.08], np.float32),
        action_names=["dx", "dy", "dz", "gripper"],
        action_units=["m", "m", "m", ""],
        action_scale=np.array([0.0125, 0.0125, 0.0125, 1.0]),
        entities=["tool", "block", "target"],
        entity_indices=[0, 3, 6],
        control_period=0.05,
        max_episode_steps=100,
        lock_step=True,
        cameras=["camera"],
    )


@pytest.fixture
def frame() -> Frame:
    """A 640x480 picture from a camera that looks from +x down at the arm's workspace."""
    rng = np.random.default_rng(0)
    image = cv2.resize(rng.integers(0, 255, (48, 64, 3), np.uint8), (640, 480))
    pose = np.eye(4)
    eye, target = np.array([1.0, 0.3, 0.6]), np.array([0.4, 0.0, 0.05])
    ahead = (target - eye) / np.linalg.norm(target - eye)
    right = np.cross(ahead, [0.0, 0.0, 1.0])
    right /= np.linalg.norm(right)
    pose[:3, :3] = np.stack([right, np.cross(ahead, right), ahead], axis=1)
    pose[:3, 3] = eye
    k = np.array([[580.0, 0.0, 319.5], [0.0, 580.0, 239.5], [0.0, 0.0, 1.0]])
    return Frame("camera", cv2.imencode(".jpg", image)[1].tobytes(), b"", k, pose)


@pytest.fixture
def transition(frame: Frame) -> Callable[..., State]:
    """Makes states: the tool somewhere over the table, the block and the target where told."""

    def make(number: int = 0, pictured: bool = True, tool: Any = None) -> State:
        rng = np.random.default_rng(number)
        place = rng.uniform([0.3, -0.2, 0.05], [0.5, 0.2, 0.3]) if tool is None else np.asarray(tool)
        state = np.concatenate([place, [0.4, 0.1, 0.02], [0.4, 0.1, 0.2], [0.08]]).astype(np.float32)
        after = state.copy()
        after[:3] += 0.005
        action = rng.uniform(-1, 1, 4).astype(np.float32)
        return State(number, state, action, after, 0.0, (frame,) if pictured else ())

    return make


@pytest.fixture
def advisor(tmp_path: Any) -> Iterator[Callable[..., Advisor]]:
    """Makes advisors, which end with the test; ``settings`` replace the defaults."""
    made: list[Advisor] = []

    def make(asked: Any = None, **settings: Any) -> Advisor:
        settings.setdefault("strategy", "direction")
        settings.setdefault("votes", 1)  # a question asked once, where the test is not about votes
        settings.setdefault("cache", {"mode": "off", "folder": str(tmp_path / "cache")})
        made.append(Advisor(config_model().from_dict(settings, "advisor"), asked))
        return made[-1]

    yield make
    for item in made:
        item.close()

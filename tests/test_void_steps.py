"""An arm whose controller was deactivated: it stops, says why, and nothing of what it did not do is learned from."""

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from varl_agent.replay.buffer import PersistentReplayBuffer
from varl_agent.replay.layout import Tag
from varl_agent.sac.varl import VARL
from varl_agent.vec_env.parallel_env import ParallelEnv
from varl_robot_env.ros.ros_env import RosEnv
from varl_robot_env.safety.following import WINDOW

from .arm_watcher import PERIOD, ROBOT, Watcher, play

NAMED = f"does not follow {ROBOT.arm_controller}"
FORWARD = np.array([0.0, 0.8, 0.0], dtype=np.float32)


def test_a_controller_that_is_deactivated_in_mid_episode_stops_the_arm_by_its_name(arm: tuple[RosEnv, Watcher]) -> None:
    env, watcher = arm
    env.reset(seed=1)
    assert not play(env, watcher, 5)[3]
    watcher.fault("controller_inactive")
    steps, info = 0, {}
    while "stopped" not in info:
        info = env.step(FORWARD if steps % 10 < 5 else -FORWARD)[4]
        steps += 1
    assert NAMED in info["stopped"]
    # The beat tells the time, whatever else the machine does: .3 s, and the period in which the fault came.
    assert steps * PERIOD <= 0.3 + PERIOD
    assert info["void_steps"] >= steps - 1
    watcher.clear()
    watcher.rearm()
    env.reset()
    assert not play(env, watcher, 3)[3]


def test_so_it_is_at_home(arm: tuple[RosEnv, Watcher]) -> None:
    env, watcher = arm
    env.reset(seed=1)
    watcher.fault("controller_inactive")
    info: dict[str, Any] = {}
    while "stopped" not in info:
        info = env.step(FORWARD)[4]
    assert NAMED in info["stopped"]
    watcher.clear()
    watcher.rearm()
    env.reset()
    for _ in range(10):
        assert "stopped" not in env.step(FORWARD)[4]
    watcher.fault("controller_inactive")  # away from home: the way home is not followed either
    infos: list[dict[str, Any]] = []
    reset = threading.Thread(target=lambda: infos.append(env.reset()[1]))
    reset.start()
    helper = Watcher("helper")
    helper.spin(60.0, lambda: helper.status and helper.status.stopped)
    assert helper.status
    assert NAMED in helper.status.reason
    helper.clear()
    helper.rearm()
    reset.join(60.0)
    assert infos, "the reset goes on after it"
    # It may have been so in the last steps, too: in as many as can pass before it is noticed.
    assert infos[0]["void_steps"] * PERIOD >= WINDOW


def test_nothing_of_it_is_learned_from(arm: tuple[RosEnv, Watcher], tmp_path: Path) -> None:
    env, watcher = arm
    helper = Watcher("helper")

    class Swings:
        """Actions that are large, as a policy's are when it is made to move."""

        def __init__(self, model: VARL) -> None:
            self.model, self.steps = model, 0

        def __call__(self, *_: Any) -> tuple[np.ndarray, np.ndarray]:
            self.steps += 1
            if self.steps == 25:
                watcher.fault("controller_inactive")
            action = FORWARD if self.steps % 16 < 8 else -FORWARD
            return action[None], action[None]

    folder = {"folder": tmp_path / "replay"}
    replay: dict[str, Any] = {"replay_buffer_class": PersistentReplayBuffer, "replay_buffer_kwargs": folder}
    small: dict[str, Any] = {
        "update": "autograd",
        "policy_kwargs": {"net_arch": [8]},
        "learning_starts": 1000,
        "buffer_size": 1000,
    }
    model = VARL("MlpPolicy", ParallelEnv([env], seed=0), device="cpu", **replay, **small)
    model._sample_action = Swings(model)  # type: ignore[method-assign]

    trained = threading.Event()

    def mend() -> None:
        while not trained.is_set():
            helper.spin(0.5, lambda: helper.status and helper.status.stopped)
            if helper.status and helper.status.stopped:
                helper.clear()
                helper.spin(0.5)
                helper.call("env/rearm")

    person = threading.Thread(target=mend)
    person.start()
    try:
        model.learn(50)
    finally:
        trained.set()
        person.join(20.0)
    buffer = model.replay_buffer
    assert isinstance(buffer, PersistentReplayBuffer)
    rows = buffer.store.take(np.arange(buffer.store.count))
    assert len(rows) == 49, "the stop itself is no transition"
    assert (rows["tag"] == Tag.STAND_IN).sum() >= 3, "what was not carried out has gone"
    at = env.description.entity_indices[0]
    moved = np.abs(rows["next_observation"] - rows["observation"])[:, at : at + 3].max(axis=1)
    own = rows[rows["tag"] == Tag.POLICY]
    still = moved[rows["tag"] == Tag.POLICY] < 2e-4
    # A turn from forward to backward takes the arm through rest, for one period.
    assert still.sum() <= 1 + 2 * (len(own) // 8), np.flatnonzero(still)
    longest = max((len(run) for run in "".join("x" if s else " " for s in still).split()), default=0)
    assert longest <= 3, "and no row in which nothing moved for long is left"


pytestmark = pytest.mark.timeout(180)

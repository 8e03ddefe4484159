"""Several robots: what is stored is true whatever robots come and go, and the others go on."""

import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gymnasium.spaces import Box
from varl_agent.replay.buffer import PersistentReplayBuffer
from varl_agent.replay.layout import Tag
from varl_agent.sac.varl import VARL
from varl_agent.training.evaluation import evaluate
from varl_agent.training.training import Training
from varl_agent.vec_env.fleet import Fleet
from varl_common.errors import VarlError


def fleet_training(
    make_training: Any, path: Path, robots: list[Any], connect: Any, lock_step: bool, said: list[str], steps: int = 300
) -> Training:
    def make_env(seed: int) -> Fleet:
        return Fleet(robots, connect, seed, lock_step, patience=2.0, say=said.append)

    training = make_training(None, path, steps=steps, beside=not lock_step, make_env=make_env)
    object.__setattr__(training.schedule, "evaluate_every", 0)
    return training


def assert_every_transition_is_true(training: Training, robots: list[Any]) -> None:
    """By the toy robot's own dynamics; and every step that a robot took is stored and counted once."""
    replay = training.model.replay_buffer
    assert isinstance(replay, PersistentReplayBuffer)
    store = replay.store
    times, envs = np.meshgrid(np.arange(store.count), np.arange(2))
    rows = store.take(times.ravel(), envs.ravel())
    before, after = rows["observation"], rows["next_observation"]
    moved = np.clip(before[:, :2] + 0.2 * np.clip(rows["action"], -1, 1), -1, 1)
    assert np.allclose(after[:, :2], moved, atol=1e-5)
    assert np.array_equal(after[:, 2:], before[:, 2:])
    steps = sum(robot.steps for robot in robots)
    # A robot that fails in a step, or moves while the run ends, may have taken one that is not stored.
    assert 0 <= steps - training.model.num_timesteps <= 2
    assert (rows["tag"] != Tag.STAND_IN).sum() == training.model.num_timesteps


@pytest.fixture
def robot_type(point_reach: Any) -> Any:
    class Robot(point_reach):  # type: ignore[misc]
        """Counts its steps; fails after those in ``fails_at``, is then away for ``away`` s.

        A step takes ``period`` s, a reset ``slow`` s.
        """

        def __init__(
            self, fails_at: tuple[int, ...] = (), away: float = 0.0, slow: float = 0.0, period: float = 0.0
        ) -> None:
            super().__init__()
            self.steps, self.fails_at, self.away, self.slow, self.back_at = 0, fails_at, away, slow, 0.0
            self.period = period

        def step(self, action: np.ndarray) -> Any:
            time.sleep(self.period)
            if self.steps in self.fails_at and not self.back_at:
                self.back_at = time.monotonic() + self.away
                raise VarlError("the env node is gone")
            result = super().step(action)
            self.steps += 1
            return result

        def reset(self, **kwargs: Any) -> Any:
            if time.monotonic() < self.back_at:
                raise VarlError("the env node is gone")
            time.sleep(self.slow)
            return super().reset(**kwargs)

    return Robot


@pytest.mark.parametrize("lock_step", [True, False])
def test_a_robot_that_fails_comes_back(make_training: Any, robot_type: Any, tmp_path: Path, lock_step: bool) -> None:
    period = 0.0 if lock_step else 0.005  # on a busy machine as well, robot 1 gets its turns
    robots: list[Any] = [
        robot_type(slow=0.01, period=period),
        robot_type(fails_at=(30,), away=0.5, slow=0.03, period=period),
    ]
    said: list[str] = []
    training = fleet_training(make_training, tmp_path, robots, None, lock_step, said, steps=800)
    training.run()
    assert any("robot 1 is lost (the env node is gone); the others go on" in line for line in said)
    assert "robot 1 takes part" in said
    assert robots[1].steps > 40
    assert training.model.num_timesteps >= 800
    assert_every_transition_is_true(training, robots)


def test_a_robot_joins_late(make_training: Any, robot_type: Any, tmp_path: Path) -> None:
    robots: list[Any] = [robot_type(), robot_type()]
    said: list[str] = []

    def connect(index: int) -> Any:
        if robots[0].steps < 100:
            raise VarlError("not there yet")
        return robots[index]

    training = fleet_training(make_training, tmp_path, [robots[0], None], connect, True, said, steps=1200)
    training.run()
    assert "robot 1 has not joined yet; the others go on" in said
    assert "robot 1 takes part" in said
    assert robots[0].steps > robots[1].steps > 0
    assert_every_transition_is_true(training, robots)


def test_a_robot_that_is_lost_while_the_other_resets_is_not_waited_for(robot_type: Any) -> None:
    said: list[str] = []
    fleet = Fleet(
        [robot_type(slow=0.3), robot_type(fails_at=(60,), away=60)], None, 0, False, patience=60.0, say=said.append
    )
    fleet.reset()
    moves = np.zeros((2, *fleet.action_space.shape), np.float32)
    while not said:  # an episode of robot 0 ends, and robot 1 fails while it is reset
        fleet.step(moves)
        if 0 not in fleet.present:
            fleet.envs[1].fails_at = (fleet.envs[1].steps,)
    fleet.close()
    assert said == ["robot 1 is lost (the env node is gone); the others go on"]


def test_no_robot_left_ends_the_run(make_training: Any, robot_type: Any, tmp_path: Path) -> None:
    robots = [robot_type(fails_at=(50,), away=60), robot_type(fails_at=(30,), away=60)]
    training = fleet_training(make_training, tmp_path, robots, None, True, [])
    with pytest.raises(VarlError, match=r"no robot has taken part for 2 s; check the env nodes"):
        training.run()
    assert_every_transition_is_true(training, robots)


def test_a_robot_lost_in_an_evaluation_leaves_it_to_the_others(
    make_training: Any, robot_type: Any, tmp_path: Path
) -> None:
    robots: list[Any] = [robot_type(), robot_type(fails_at=(10,), away=60)]
    training = fleet_training(make_training, tmp_path, robots, None, True, [])
    training.env.reset()
    assert len(evaluate(training.model, training.env, 0, 5)) == 5
    assert training.env.present == [0]


def test_two_robots_move_at_the_same_time(robot_type: Any) -> None:
    both_move = threading.Barrier(2, timeout=60)

    class Waiting(robot_type):  # type: ignore[misc]
        """Its step ends only once the other's has begun."""

        def step(self, action: np.ndarray) -> Any:
            both_move.wait()
            return super().step(action)

    robots = [Waiting(), Waiting()]
    fleet = Fleet(robots, lambda index: robots[index], 0, True, 2.0, print)
    fleet.reset()
    for _ in range(5):
        fleet.step(np.zeros((2, 2), np.float32))
    assert [robot.steps for robot in robots] == [5, 5]
    fleet.close()


class Straight:
    """A robot whose episodes last ``length`` steps and succeed by their middle step alone; may fail once."""

    def __init__(self, length: int, fails_at: int = -1) -> None:
        self.observation_space = Box(-1, 1, (1,), np.float32)
        self.action_space = Box(-1, 1, (1,), np.float32)
        self.length, self.fails_at, self.taken = length, fails_at, 0

    def reset(self, *, seed: int | None = None) -> tuple[np.ndarray, dict[str, Any]]:
        self.time = 0
        return np.zeros(1, np.float32), {}

    def step(self, action: np.ndarray) -> Any:
        if self.taken == self.fails_at:
            self.fails_at = -1
            raise VarlError("gone")
        self.taken, self.time = self.taken + 1, self.time + 1
        success = self.time == self.length // 2
        return np.zeros(1, np.float32), 0.0, self.time == self.length, False, {"is_success": success}


def test_a_lost_robots_episode_is_no_success_and_a_stand_ins_counts_once(tmp_path: Path) -> None:
    """Robot 1 is lost in its first episode, before it succeeds, while robot 0 succeeds."""
    robots: list[Any] = [Straight(6), Straight(8, fails_at=2)]
    env = Fleet(robots, lambda index: robots[index], 0, True, 2.0, lambda words: None)
    model = VARL("MlpPolicy", env, learning_starts=1000, buffer_size=100, policy_kwargs={"net_arch": [4]}, device="cpu")
    model.learn(60)
    ended = 60 // 6  # of both robots, at the most
    assert 0 < model.successes.own == model.successes.ended <= ended
    assert list(model.ep_success_buffer or ()) == [True] * model.successes.ended
    rows, envs = model.successes.sample(1000)
    own = {(row, env) for row, env in zip(rows.tolist(), envs.tolist(), strict=True)}
    assert not own & {(row, 1) for row in range(3)}, "robot 1's first rows led to nothing"


def test_where_all_are_lost_at_once_no_episode_runs_on(tmp_path: Path) -> None:
    """They fail after they have succeeded, and before their episodes end; and never succeed again."""
    robots: list[Any] = [Straight(8, fails_at=6), Straight(8, fails_at=6)]
    env = Fleet(robots, lambda index: robots[index], 0, True, 5.0, lambda words: None)
    model = VARL("MlpPolicy", env, learning_starts=1000, buffer_size=100, policy_kwargs={"net_arch": [4]}, device="cpu")
    model.learn(12)
    for robot in robots:
        robot.length = 10**6
    model.learn(40, reset_num_timesteps=False)
    assert not model.successes.succeeded([{}, {}]).any()
    assert model.successes.own == 0

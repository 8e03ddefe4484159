"""The environment in process: checkers, episodes, experts."""

import subprocess
import sys

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from varl_common.errors import VarlError
from varl_common.task_plans import PLANS
from varl_robot_env.arm import StaleState
from varl_robot_env.env.arm_env import ArmEnv
from varl_robot_env.env.env_core import NeedsReset
from varl_robot_env.safety.safety_filter import RefusedAction

TASKS = tuple(PLANS)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("reward", ["sparse", "dense"])
def test_passes_the_checkers(task: str, reward: str) -> None:
    env_checker = pytest.importorskip("stable_baselines3.common.env_checker")
    env = ArmEnv(task, reward=reward)
    check_env(env, skip_render_check=True)
    env_checker.check_env(env)


def success_rate(task: str, seeds: int) -> float:
    env = ArmEnv(task)
    successes = 0
    for seed in range(seeds):
        state, _ = env.reset(seed=seed)
        ended = False
        while not ended:
            state, reward, terminated, truncated, info = env.step(PLANS[task].actions(state[None], env.description)[0])
            assert reward == float(terminated) == float(info["is_success"])
            ended = terminated or truncated
        successes += terminated
    return successes / seeds


@pytest.mark.parametrize("task", TASKS)
def test_its_plan_solves_it(task: str) -> None:
    assert success_rate(task, 10) >= 0.9


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS)
def test_its_plan_solves_it_nearly_always(task: str) -> None:
    assert success_rate(task, 50) >= 0.95


def test_random_play_hardly_ever_succeeds() -> None:
    env, successes = ArmEnv("reach"), 0
    env.action_space.seed(0)
    for seed in range(40):
        env.reset(seed=seed)
        ended = False
        while not ended:
            _, _, terminated, truncated, _ = env.step(env.action_space.sample())
            ended = terminated or truncated
        successes += terminated
    assert successes <= 3


def test_an_episode_is_truncated_and_then_wants_a_reset() -> None:
    env = ArmEnv("reach")
    with pytest.raises(NeedsReset):
        env.step(np.zeros(3, np.float32))
    env.reset(seed=0)
    for step in range(50):
        _, _, terminated, truncated, info = env.step(np.zeros(3, np.float32))
        assert not terminated
        assert truncated == (step == 49)
        assert not info["is_success"]
    with pytest.raises(NeedsReset, match="call reset"):
        env.step(np.zeros(3, np.float32))


def test_what_is_still_stays_where_it_was_seen_as_the_episode_began() -> None:
    env = ArmEnv("push-unmarked")
    truth = env.arm.simulation.entities
    wandering = iter(range(1000))

    def sighted() -> dict[str, np.ndarray]:
        pose = truth()["target"].copy()
        pose[0] += 0.001 * next(wandering)
        return truth() | {"target": pose}

    env.arm.simulation.entities = sighted  # type: ignore[method-assign]
    first, _ = env.reset(seed=0)
    for _ in range(3):
        state, *_ = env.step(np.zeros(3, np.float32))
        np.testing.assert_array_equal(state[9:12], first[9:12])
    env.arm.simulation.entities = lambda: {"block": truth()["block"]}  # type: ignore[method-assign]
    state, *_ = env.step(np.zeros(3, np.float32))  # hidden meanwhile
    np.testing.assert_array_equal(state[9:12], first[9:12])
    with pytest.raises(StaleState, match="nobody says where the target is"):
        env.reset()
    env.arm.simulation.entities = truth  # type: ignore[method-assign]
    second, _ = env.reset(seed=0)
    np.testing.assert_allclose(second[9:12], truth()["target"][:3], atol=1e-6)


def test_a_refused_action_moves_nothing_and_the_episode_goes_on() -> None:
    env, other = ArmEnv("reach"), ArmEnv("reach")
    for one in (env, other):
        one.reset(seed=1)
    with pytest.raises(RefusedAction):
        env.step(np.array([np.nan, 0, 0]))
    action = np.array([0.3, 0.2, 0.1], np.float32)
    np.testing.assert_array_equal(env.step(action)[0], other.step(action)[0])


def test_seeds_make_scenes() -> None:
    env = ArmEnv("push")
    first = [env.reset(seed=5)[0], env.reset()[0]]
    again = [env.reset(seed=5)[0], env.reset()[0]]
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first[0], first[1])
    with pytest.raises(ValueError, match="out of range"):
        env.reset(seed=2**32)


def test_what_it_says_of_itself_is_true() -> None:
    env = ArmEnv("lift")
    description = env.description
    state, _ = env.reset(seed=0)
    assert len(state) == len(description.observation_names) == len(description.observation_units)
    index = description.entity_indices[description.entities.index("tool")]
    np.testing.assert_allclose(state[index : index + 3], [0.40, 0, 0.18], atol=1e-3)
    before = state[:3]
    for step in range(8):
        state, _, _, _, info = env.step(np.array([0, 1, 0, -1], np.float32))
        if step > 0:  # from rest it takes more than a period to come to full speed
            np.testing.assert_array_equal(info["executed_action"], [0, 1, 0, -1])
    moved = (state[:3] - before) / (8 * description.action_scale[:3])
    np.testing.assert_allclose(moved, [0, 1, 0], atol=0.3)  # it trails its command
    assert description.action_names == ["dx", "dy", "dz", "gripper"]
    assert env.observation_space.contains(state)


def test_frames_come_when_captured() -> None:
    env = ArmEnv("reach")
    assert "frames" not in env.reset(seed=0)[1]
    env.capture = True
    frames = env.reset(seed=0)[1]["frames"]
    if not frames:
        pytest.skip(str(env.arm.simulation.camera.error))
    assert [frame.camera for frame in frames] == env.description.cameras
    assert len(env.step(np.zeros(3, np.float32))[4]["frames"]) == 1
    env.close()


def test_wrong_names_are_told() -> None:
    with pytest.raises(VarlError, match="did you mean 'push'"):
        ArmEnv("pusch")
    with pytest.raises(VarlError, match="did you mean 'sparse'"):
        ArmEnv("reach", reward="spare")


def test_it_is_a_gymnasium_environment() -> None:
    env = gymnasium.wrappers.RecordEpisodeStatistics(ArmEnv("reach"))
    env.reset(seed=0)
    for _ in range(50):
        *_, info = env.step(np.zeros(3, np.float32))
    assert info["episode"]["l"] == 50


@pytest.mark.parametrize("before", ["", "import weakref; weakref.finalize(weakref, id, 0); "])
def test_an_environment_that_nobody_closes_ends_quietly(before: str) -> None:
    """Also where a library's finalizer was first, so that all of them have their turn after MuJoCo has ended EGL."""
    script = before + (
        "from varl_robot_env.env.arm_env import ArmEnv; env = ArmEnv('reach'); env.capture = True; "
        "print(len(env.reset(seed=0)[1]['frames']))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "1\n", "")

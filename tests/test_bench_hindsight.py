"""Hindsight in the advice bench: its reward is the task's own, and it is told of goals that can be told alone."""

import numpy as np
import pytest
from varl_common.errors import VarlError

pytest.importorskip("metaworld")
pytest.importorskip("mujoco")

from benchmarks.advice import trainer
from benchmarks.advice.advisors import plan_of
from benchmarks.advice.environments import make_env
from benchmarks.advice.hindsight import GOALS, GoalEnv
from benchmarks.advice.setting import Setting


@pytest.mark.parametrize("task", [task for task in GOALS if task not in ("maze-large", "maze-umaze")])
def test_the_reward_of_what_was_reached_is_the_tasks_own(task: str) -> None:
    plain = make_env(task, 0)
    plan, scene = plan_of(task, plain), plain.get_wrapper_attr("description")
    env = GoalEnv(plain, task, 10.0)
    won = False
    for _ in range(3):
        observation, ended = plain.reset()[0], False
        while not ended:
            action = plan.actions(observation[None], scene)[0].clip(-0.8, 0.8)
            observation, _, terminated, truncated, info = plain.step(action)
            parts = env.parts(observation)
            ended = terminated or truncated
            told = env.compute_reward(parts["achieved_goal"][None], parts["desired_goal"][None], [info])
            assert (told[0] > 0) == info["is_success"]
            won |= info["is_success"]
    assert won
    assert env.observation_space.contains(parts)


def test_a_task_without_a_goal_is_refused() -> None:
    with pytest.raises(VarlError, match="has none that its state tells"):
        GoalEnv(make_env("lift", 0), "lift", 10.0)


def test_it_learns_from_what_it_did_not_want(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of rows drawn from failures, some are paid."""
    setting = Setting("reach", "her", 0, 200, 0.1, net=16, altered=(("learning_starts", 130), ("batch_size", 64)))
    model = trainer.make_model(setting)
    for _ in range(125):
        trainer.advance(model, model)  # type: ignore[arg-type]
    assert model.successes.own == 0
    assert model.replay_buffer is not None
    drawn = model.replay_buffer.sample(256)
    assert float(drawn.rewards.max()) == 10.0
    assert (drawn.dones[drawn.rewards > 0] == 1).all(), "once, as success ends an episode"
    assert (drawn.dones == 0).any()
    shares = [float((batch.rewards > 0).float().mean()) for batch in model.sampler.draw(5, 256)]
    assert max(shares) < 2 * min(shares), "what is relabelled is in each of several batches alike"
    before = [p.clone() for p in model.actor.parameters()]
    model.train(2, 64)
    assert any(
        not np.array_equal(a.detach(), b.detach()) for a, b in zip(before, model.actor.parameters(), strict=True)
    )

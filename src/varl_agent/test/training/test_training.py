"""The training core on a toy robot: reproducible, resumable at any step, stopped and saved."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from varl_agent.replay.buffer import PersistentReplayBuffer
from varl_agent.training import checkpoint
from varl_agent.training.control import TrainingControl
from varl_agent.training.metrics import TrainingMetrics
from varl_agent.training.record import Phase
from varl_agent.training.training import Stopped, Training
from varl_common.errors import VarlError

Make = Callable[..., Training]


def trees_equal(a: Any, b: Any) -> bool:
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(trees_equal(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(trees_equal, a, b))
    return bool(np.array_equal(np.asarray(a), np.asarray(b)))


def resume(training: Training) -> str:
    return training.resume(*checkpoint.load_newest(training.folder.checkpoints, training.identity))


def last_checkpoint(training: Training) -> dict[str, Any]:
    _, state = checkpoint.load(checkpoint.list_checkpoints(training.folder.checkpoints)[-1])
    del state["record"]["wall_s"]
    return state


def test_same_seed_same_curve_and_weights(make_training: Make, point_reach: Any, tmp_path: Path) -> None:
    first = make_training(point_reach, tmp_path / "a")
    first.run()
    second = make_training(point_reach, tmp_path / "b")
    second.run()
    assert first.record.episodes == second.record.episodes
    assert first.record.evaluations == second.record.evaluations
    assert trees_equal(last_checkpoint(first), last_checkpoint(second))


def test_evaluation_does_not_change_training(make_training: Make, point_reach: Any, tmp_path: Path) -> None:
    plain = make_training(point_reach, tmp_path / "a")
    object.__setattr__(plain.schedule, "evaluate_every", 0)
    plain.run()
    evaluated = make_training(point_reach, tmp_path / "b")
    evaluated.run()
    assert not plain.record.evaluations
    assert evaluated.record.evaluations
    assert plain.record.episodes == evaluated.record.episodes


@pytest.mark.parametrize(("arms", "stop_at", "update"), [(1, 30, "fast"), (1, 97, "fast"), (2, 132, "autograd")])
def test_a_stopped_and_resumed_run_equals_the_uninterrupted_one(
    make_training: Make, point_reach: Any, tmp_path: Path, arms: int, stop_at: int, update: str
) -> None:
    whole = make_training(point_reach, tmp_path / "whole", arms=arms, update=update)
    whole.run()

    control = TrainingControl()

    def stop(metrics: TrainingMetrics) -> None:
        if metrics.record.step == stop_at:
            control.stop()

    part = make_training(point_reach, tmp_path / "part", arms=arms, update=update, observe=stop, control=control)
    with pytest.raises(Stopped):
        part.run()
    part.close()
    rest = make_training(point_reach, tmp_path / "part", arms=arms, update=update)
    assert f"step {stop_at}" in resume(rest)
    rest.run()
    assert rest.record.episodes == whole.record.episodes
    assert rest.record.evaluations == whole.record.evaluations
    assert trees_equal(last_checkpoint(rest), last_checkpoint(whole))


def test_a_run_stopped_in_an_evaluation_makes_it_once_resumed(
    make_training: Make, point_reach: Any, tmp_path: Path
) -> None:
    whole = make_training(point_reach, tmp_path / "whole", update="autograd")
    whole.run()
    control = TrainingControl()

    def stop(metrics: TrainingMetrics) -> None:
        if metrics.record.phase == Phase.EVALUATING:
            control.stop()

    part = make_training(point_reach, tmp_path / "part", update="autograd", observe=stop, control=control)
    with pytest.raises(Stopped):
        part.run()
    part.close()
    assert not part.record.evaluations
    rest = make_training(point_reach, tmp_path / "part", update="autograd")
    resume(rest)
    rest.run()
    assert rest.record.evaluations == whole.record.evaluations
    assert trees_equal(last_checkpoint(rest), last_checkpoint(whole))


def test_resume_without_a_checkpoint_is_refused(make_training: Make, point_reach: Any, tmp_path: Path) -> None:
    with pytest.raises(VarlError, match=r"no checkpoint in .*train first"):
        resume(make_training(point_reach, tmp_path))


def test_the_environment_failing_leaves_a_checkpoint(make_training: Make, point_reach: Any, tmp_path: Path) -> None:
    class Dies(point_reach):  # type: ignore[misc]
        def step(self, action: np.ndarray) -> Any:
            if self.np_random.random() < 0.02:
                raise VarlError("env died")
            return super().step(action)

    training = make_training(Dies, tmp_path)
    with pytest.raises(VarlError, match="env died"):
        training.run()
    assert checkpoint.list_checkpoints(training.folder.checkpoints)[-1].stem.endswith(str(training.model.num_timesteps))


def test_learning_beside_keeps_the_ratio(make_training: Make, point_reach: Any, tmp_path: Path) -> None:
    training = make_training(point_reach, tmp_path, steps=400, beside=True, utd=0.5)
    training.run()
    assert training.model._n_updates == (400 - 50) // 2
    assert "predict" not in vars(training.model)


def test_acting_gets_its_turn_beside_endless_learning(make_training: Make, point_reach: Any, tmp_path: Path) -> None:
    """A checkpoint waits for the update in progress, and not for the thousands that are still due."""
    training = make_training(point_reach, tmp_path, beside=True, utd=1e6)
    learning, model = training.learning, training.model
    model.num_timesteps, model._n_updates = 1000, 0

    def train(**_: Any) -> None:
        time.sleep(0.002)
        model._n_updates += 1

    model.train = train  # type: ignore[method-assign]
    learning.start()
    waited = []
    for _ in range(20):
        before = model._n_updates
        with learning.between_updates:
            waited.append(model._n_updates - before)
        time.sleep(0.01)
    learning._stopping = lambda: True
    learning.finish()
    assert model._n_updates > 20
    assert max(waited) <= 2


def test_an_error_in_the_learning_thread_ends_the_run(
    make_training: Make, point_reach: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    training = make_training(point_reach, tmp_path, steps=400, beside=True)

    def fail(**_: Any) -> None:
        raise RuntimeError("nan in the loss")

    object.__setattr__(training.schedule, "checkpoint_every", 1000)
    monkeypatch.setattr(training.model, "train", fail)
    with pytest.raises(RuntimeError, match="nan in the loss"):
        training.run()
    (saved,) = checkpoint.list_checkpoints(training.folder.checkpoints)
    assert saved.stem.endswith("-000000000000")


def test_a_real_arm_keeps_what_it_did(make_training: Make, point_reach: Any, tmp_path: Path) -> None:
    first = make_training(point_reach, tmp_path, steps=100, beside=True)
    first.run()
    replay = first.model.replay_buffer
    assert isinstance(replay, PersistentReplayBuffer)
    rows = replay.store.count
    zero = np.zeros((1, 4), np.float32)
    for _ in range(7):  # done after the last checkpoint, before the process died
        replay.add(zero, zero, np.zeros((1, 2), np.float32), np.zeros(1), np.zeros(1), [{}])
    first.close()
    second = make_training(point_reach, tmp_path, steps=200, beside=True)
    resume(second)
    assert second.model.num_timesteps == 107
    assert second.env.episodes[0] == first.env.episodes[0] + 1  # nothing is repeated
    second.run()
    assert second.model.replay_buffer is not None
    assert second.model.replay_buffer.size() == 200 == rows + 100


def test_success_in_any_step_is_the_one_count(make_training: Make, point_reach: Any, tmp_path: Path) -> None:
    """Of the record, of Stable-Baselines3's rollout/success_rate, of the index and of evaluations."""

    class PassesThrough(point_reach):  # type: ignore[misc]
        def step(self, action: np.ndarray) -> Any:
            observation, reward, _, truncated, _info = super().step(action)
            return observation, reward, False, truncated, {"is_success": self.time == 3}

    training = make_training(PassesThrough, tmp_path, steps=100)
    training.run()
    assert [episode.success for episode in training.record.episodes] == [True] * 5
    assert list(training.model.ep_success_buffer or ()) == [True] * 5
    assert (training.model.successes.own, training.model.successes.ended) == (5, 5)
    assert {evaluation.success_rate for evaluation in training.record.evaluations} == {1.0}


def test_after_an_evaluation_in_real_time_the_episodes_begin_anew(
    make_training: Make, point_reach: Any, tmp_path: Path
) -> None:
    class Succeeds(point_reach):  # type: ignore[misc]
        def reset(self, **kwargs: Any) -> Any:
            observation, _ = super().reset(**kwargs)
            return observation, {"frames": [f"reset of {self.target}"]}

        def step(self, action: np.ndarray) -> Any:
            observation, reward, _, truncated, _ = super().step(action)
            return observation, reward, False, truncated, {"is_success": True, "frames": ["step"]}

    training = make_training(Succeeds, tmp_path, steps=10, beside=True)
    object.__setattr__(training.schedule, "evaluate_every", 0)
    training.model.consultation._capturing = training.model.env  # as where an advisor looks at frames
    training.run()  # into the middle of an episode
    training.evaluate(1)
    (robot,) = training.env.envs
    assert not training.model.successes.succeeded([{}]).any()
    assert training.model.consultation._frames == [[f"reset of {robot.target}"]]
    training.close()


def test_a_training_that_never_began_is_closed(
    make_training: Make, point_reach: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(folder: Path, resumed_at: int | None) -> None:
        raise OSError("no space left")

    monkeypatch.setattr("varl_agent.training.training.make_logger", full)
    training = make_training(point_reach, tmp_path)
    with pytest.raises(OSError, match="no space left"):
        training.run()
    training.close()


@pytest.mark.parametrize("beside", [False, True])
def test_a_resume_says_what_it_keeps_of_a_run_that_was_killed(
    make_training: Make, point_reach: Any, tmp_path: Path, beside: bool
) -> None:
    first = make_training(point_reach, tmp_path, beside=beside)
    first.run()
    first.close()
    *_, before, newest = checkpoint.list_checkpoints(first.folder.checkpoints)
    newest.unlink()  # as if it had been killed before
    step = int(before.stem.removeprefix("step-"))
    kept = "step 200; 200 transitions kept"  # by the clock none is taken again
    if not beside:
        kept = f"step {step}; {step} transitions kept, the {200 - step} after them are taken again"
    assert resume(make_training(point_reach, tmp_path, beside=beside)).endswith(kept)

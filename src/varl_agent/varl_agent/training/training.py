"""A training run: it acts and learns, evaluates and saves between two steps, and leaves a record. No ROS in here."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import Logger
from varl_common.env_description import EnvDescription
from varl_common.errors import VarlError

from varl_agent.replay.buffer import PersistentReplayBuffer
from varl_agent.replay.stand_ins import replace_broken_rows
from varl_agent.sac.varl import VARL
from varl_agent.training import checkpoint
from varl_agent.training.checkpoint import Identity
from varl_agent.training.control import TrainingControl
from varl_agent.training.evaluation import EpisodeResult, evaluate
from varl_agent.training.learning import Learning
from varl_agent.training.logger import make_logger
from varl_agent.training.metrics import MetricsReader, TrainingMetrics
from varl_agent.training.model_state import model_state, restore_model, weight_not_finite
from varl_agent.training.record import Episode, Evaluation, Phase, Record
from varl_agent.training.run_folder import RunFolder
from varl_agent.vec_env.fleet import correct_stand_ins
from varl_agent.vec_env.parallel_env import ParallelEnv

LOG_EVERY = 4  # episodes between two entries of TensorBoard, as in Stable-Baselines3


class Stopped(Exception):
    """The training was asked to stop."""


@dataclass(frozen=True)
class Schedule:
    """How long a training is, and what it does on the way. All in environment steps."""

    steps: int
    evaluate_every: int
    evaluation_episodes: int
    checkpoint_every: int
    keep_checkpoints: int
    lock_step: bool


class Training:
    """One run of ``model`` in ``env``, to be continued where it was left.

    Raises from :meth:`run`: Stopped, after a checkpoint; whatever the environment raises, after a checkpoint.
    """

    def __init__(
        self,
        model: VARL,
        env: ParallelEnv,
        folder: RunFolder,
        identity: Identity,
        schedule: Schedule,
        learning: Learning,
        control: TrainingControl,
        observe: Callable[[TrainingMetrics], object] = lambda metrics: None,
    ) -> None:
        self.model = model
        self.env = env
        self.folder = folder
        self.identity = identity
        self.schedule = schedule
        self.learning = learning
        self.control = control
        self.record = Record(schedule.steps)
        self.metrics_reader = MetricsReader(model, env)
        self._observe = observe
        self._saved_at = self._evaluated_at = 0  # steps
        self._logged = 0  # episodes that had ended when the curves were written last
        self._resumed = False
        self._logger: Logger | None = None  # from run() on

    def resume(self, path: Path, state: dict[str, Any]) -> str:
        """Go on from a checkpoint, as ``checkpoint.load_newest`` gives it; returns words for the user.

        Raises:
            VarlError: it does not fit the model. The run never begins anew instead.
        """
        try:
            restore_model(self.model, state["model"])
        except (KeyError, RuntimeError, ValueError) as error:
            why = str(error).splitlines()[0]
            raise VarlError(
                f"{path} does not fit the present settings ({why}); train with those in {self.folder.config}"
            ) from None
        self.record.restore(state["record"])
        kept = self._restore_replay(state["replay"])
        self._saved_at, self._evaluated_at = self.model.num_timesteps, state["evaluated_at"]
        self._logged = state["logged"]
        replaced = replace_broken_rows(self._replay().store)
        self._stand_at(state["env"])
        self._resumed = True
        self.metrics_reader = MetricsReader(self.model, self.env)
        words = f"; {replaced} stored transitions are not finite and were replaced by their neighbours"
        return f"continues from {path}, step {self.model.num_timesteps}; {kept}{words if replaced else ''}"

    def run(self) -> None:
        """Train up to the schedule's steps, with evaluations and checkpoints on the way, and save."""
        resumed_at = self.model.num_timesteps if self._resumed else None
        self._logger = make_logger(self.folder.tensorboard, resumed_at)
        self.model.set_logger(self._logger)
        self.record.phase, self.record.since = Phase.TRAINING, time.monotonic()
        if not self._resumed:
            self.save()  # whatever happens from here on, the run can be resumed
        try:
            self.model._chosen_update()  # before another thread chooses one, too
            self.learning.start()
            self.model.learn(
                self.schedule.steps - self.model.num_timesteps,
                callback=_BetweenSteps(self),
                log_interval=None,  # type: ignore[arg-type]  # logged between two episodes, see below
                reset_num_timesteps=not self._resumed,
            )
            self.learning.finish(self.observe)
        except BaseException:
            self.control.leaving = True
            self.record.phase = Phase.FAILED
            with contextlib.suppress(Exception):
                self.learning.finish()
            raise
        finally:
            if self.learning.weights_complete:
                self.save()

    def save(self) -> None:
        """Write a checkpoint of this moment, between two updates.

        Raises:
            VarlError: a weight is not finite, or it cannot be written. Older checkpoints are kept.
        """
        with self.learning.between_updates:
            replay = self._replay()
            replay.store.flush()  # before the checkpoint that counts on its rows
            state: dict[str, Any] = {
                "replay": replay.state_dict(),
                "model": model_state(self.model),
                "env": self.env.state(),
                "record": self.record.state(),
                "evaluated_at": self._evaluated_at,
                "logged": self._logged,
            }
        step = self.model.num_timesteps
        if words := weight_not_finite(state["model"]):
            raise VarlError(
                f"learning has diverged, {words} at step {step}: not saved; go on from the checkpoint before by "
                "resume:=true with a smaller sac.learning_rate or max_grad_norm, or smaller rewards"
            )
        checkpoint.save(self.folder.checkpoints, step, self.identity, state, self.schedule.keep_checkpoints)
        self._saved_at = step

    def close(self) -> None:
        """Close the files, also where the training never began."""
        self._replay().store.close()
        if self._logger is not None:
            self._logger.close()

    def _restore_replay(self, state: dict[str, int]) -> str:
        """Go back to the rows that the checkpoint knows of; in real time, keep those stored since then as well.

        Returns words for the user: how many transitions are kept.

        In lock-step the steps since the checkpoint are about to be taken again, and come out the same.
        """
        replay, model = self._replay(), self.model
        more = replay.store.count - state["count"]
        if self.schedule.lock_step:
            replay.load_state_dict(state)
            again = f", the {more * model.n_envs} after them are taken again" if more > 0 else ""
            return f"{_kept(replay)}{again}"
        if more < 0:
            raise VarlError(f"{self.folder.replay} lacks {-more} rows of the checkpoint; it is another run's")
        model.successes.time += more
        model.num_timesteps += more * model.n_envs
        return _kept(replay)

    def _stand_at(self, state: dict[str, Any]) -> None:
        """Let the environments stand where ``state`` was taken; in real time they begin their next episodes."""
        lock_step = self.schedule.lock_step
        self.model._last_obs = self.env.restore(state, replay=lock_step)
        if not lock_step:
            self.model.restart_episodes()

    def _replay(self) -> PersistentReplayBuffer:
        assert isinstance(self.model.replay_buffer, PersistentReplayBuffer)
        return self.model.replay_buffer

    def evaluate(self, episodes: int) -> list[EpisodeResult]:
        """Whole episodes with the deterministic policy; training goes on afterwards as if nothing had been."""
        phase, self.record.phase = self.record.phase, Phase.EVALUATING
        state = self.env.state()

        def between() -> None:
            self.observe()
            if self.control.stopping.is_set():
                raise Stopped

        try:
            results = evaluate(self.model, self.env, self.env.seed_value, episodes, between)
        finally:
            self.record.phase = phase
        self._stand_at(state)
        success = float(np.mean([result.success for result in results]))
        mean_return = float(np.mean([result.episode_return for result in results]))
        self.record.evaluations.append(Evaluation(self.model.num_timesteps, success, mean_return))
        self.model.logger.record("eval/success_rate", success)
        self.model.logger.record("eval/mean_return", mean_return)
        return results

    def observe(self) -> None:
        """Bring the record up to date and show the metrics."""
        self.record.step, self.record.updates = self.model.num_timesteps, self.model._n_updates
        self._observe(self.metrics_reader.read(self.record))

    def between_steps(self) -> None:
        """Do what is due between two steps: show, stop, pause, evaluate, log, save."""
        self.observe()
        if self.control.stopping.is_set():
            raise Stopped
        if self.control.paused.is_set():
            self._pause()
        if self.control.save_requested.is_set():
            self.control.save_requested.clear()
            self.save()
        if all(self.env.actions):
            return  # what follows takes its time: only where a robot rests at the start of an episode
        step = self.model.num_timesteps
        self._replay().store.flush()
        due = step - self._evaluated_at >= self.schedule.evaluate_every > 0
        if due:
            self.evaluate(self.schedule.evaluation_episodes)
            self._evaluated_at = step  # afterwards: a run that is stopped in between evaluates once it is resumed
        if due or len(self.record.episodes) - self._logged >= LOG_EVERY:  # before a save: a resume would not log it
            self._logged = len(self.record.episodes)
            with self.learning.between_updates:  # the learning thread logs as well
                self.model.dump_logs()
        if step - self._saved_at >= self.schedule.checkpoint_every and self.model.consultation.question is None:
            self.save()
        self.learning.wait_for_backlog(self.observe)

    def _pause(self) -> None:
        self.record.phase = Phase.PAUSED
        while self.control.paused.is_set() and not self.control.stopping.wait(0.05):
            self.observe()
            if self.control.save_requested.is_set():
                self.control.save_requested.clear()
                self.save()
        self.record.phase = Phase.TRAINING
        if self.control.stopping.is_set():
            raise Stopped


def _kept(replay: PersistentReplayBuffer) -> str:
    return f"{(replay.store.count - replay.store.oldest) * replay.n_envs} transitions kept"


class _BetweenSteps(BaseCallback):
    """Stable-Baselines3's calls into a :class:`Training`."""

    def __init__(self, training: Training) -> None:
        super().__init__()
        self._training = training

    def _on_rollout_start(self) -> None:
        self._training.between_steps()

    def _on_step(self) -> bool:
        correct_stand_ins(self.model, self.locals["infos"])  # type: ignore[arg-type]
        infos = self.locals["infos"]
        successes, tried = self.model.successes, self.model.turns.tried  # type: ignore[attr-defined]
        ends = zip(infos, successes.succeeded(infos), successes.helped(infos), tried, strict=True)
        for info, success, helped, plan in ends:
            if "episode" in info:
                length, total = info["episode"]["l"], info["episode"]["r"]
                episode = Episode(self.num_timesteps, bool(success), total, length, bool(helped) or plan is not None)
                self._training.record.episodes.append(episode)
        return True

    def _on_rollout_end(self) -> None:
        self._training.learning.after_rollout()


def identity_of(env: EnvDescription) -> Identity:
    """What checkpoints of a training in ``env`` belong to."""
    seen = () if env.observation == "state" else (env.observation,)
    return Identity(env.task, env.robot, (*env.observation_names, *seen), tuple(env.action_names))

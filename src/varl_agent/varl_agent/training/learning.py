"""Acting and learning apart: how many updates are due, and which thread makes them when.

Alternating, in lock-step: after each rollout the same thread makes the updates that are due; reproducible.
Beside, in real time: another thread makes them, at its own pace, while this one acts. The acting side uses a snapshot
of the weights which is replaced between two updates, so an action never waits for more than the copy.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import numpy as np
import torch
from stable_baselines3 import SAC

CHUNK = 8  # updates made at a time; a stop is heard between two chunks


class FairLock:
    """A lock that a thread which releases it cannot take again before a thread that was waiting has had it.

    Python's own lock gives no such promise: a thread that works in a loop would keep it from the others for seconds.
    """

    def __init__(self) -> None:
        self._next, self._lock = threading.Lock(), threading.Lock()

    def __enter__(self) -> None:
        with self._next:
            self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()


class Learning:
    """Keeps the updates of ``model`` at ``utd`` per environment step after ``model.learning_starts``; alternating."""

    def __init__(self, model: SAC, utd: float, stopping: Callable[[], bool]) -> None:
        self.model = model
        self.utd = utd
        self._stopping = stopping
        # Held while weights change. The acting side takes it for everything between two updates.
        self.between_updates = FairLock()
        self.weights_complete = True  # False where an update was interrupted: such weights are not saved
        model.gradient_steps = 0  # learn() only acts

    @property
    def due(self) -> int:
        """Updates that are still to be made for the steps taken so far."""
        return int((self.model.num_timesteps - self.model.learning_starts) * self.utd) - self.model._n_updates

    def start(self) -> None:
        """Called before the first step: makes the updates that a stopped run still owed."""
        self.after_rollout()

    def after_rollout(self) -> None:
        """Called by the acting side after each rollout: make the updates that are due."""
        while self.due > 0 and not self._stopping():
            self._update(min(self.due, CHUNK))

    def wait_for_backlog(self, waiting: Callable[[], object]) -> None:
        """Called by the acting side where the robot rests, between two episodes; ``waiting`` is called meanwhile."""

    def finish(self, waiting: Callable[[], object] = lambda: None) -> None:
        """Called after the last step; ``waiting`` is called while updates are still being made."""

    def _update(self, updates: int) -> None:
        with self.between_updates:
            self.weights_complete = False
            self.model.train(gradient_steps=updates, batch_size=self.model.batch_size)
            self.weights_complete = True
            self._updated()

    def _updated(self) -> None:
        """Called after an update, before another can begin."""


class ConcurrentLearning(Learning):
    """The same updates from a thread of its own. An error in it is raised on the acting side after the present step.

    Acting never waits for it within an episode; between two episodes it does while more than ``backlog`` updates are
    due, so that the ratio of updates to steps is kept, not hoped for.
    """

    def __init__(self, model: SAC, utd: float, stopping: Callable[[], bool], backlog: int) -> None:
        super().__init__(model, utd, stopping)
        self._backlog = backlog
        self._error: BaseException | None = None
        self._ended = threading.Event()
        self._earned = threading.Event()
        self._thread = threading.Thread(target=self._learn, name="learning", daemon=True)
        self._acting = ActingPolicy(model)

    def start(self) -> None:
        # The acting thread must not wait 5 ms, Python's default, for the learning thread to let go of the interpreter.
        sys.setswitchinterval(0.0005)
        self._acting.refresh()
        self.model.predict = self._acting.predict  # type: ignore[method-assign]
        self._thread.start()

    def after_rollout(self) -> None:
        self._earned.set()
        if self._error is not None:
            raise self._error

    def wait_for_backlog(self, waiting: Callable[[], object]) -> None:
        while self.due > self._backlog and self._error is None and not self._stopping():
            waiting()  # so that whoever looks sees updates being made while the robot rests
            time.sleep(0.005)

    def finish(self, waiting: Callable[[], object] = lambda: None) -> None:
        while self.due > 0 and self._thread.is_alive() and not self._stopping():
            waiting()
            time.sleep(0.005)
        self._ended.set()
        self._earned.set()
        if self._thread.ident is not None:
            self._thread.join()
            del self.model.predict  # the class's own again
        if self._error is not None:
            raise self._error

    def _updated(self) -> None:
        self._acting.refresh()

    def _learn(self) -> None:
        try:
            while not self._ended.is_set():
                if self.due <= 0:
                    self._earned.clear()
                    self._earned.wait(0.1)
                    continue
                self._update(1)
        except BaseException as error:
            self._error = error


class ActingPolicy:
    """A copy of a model's actor to act with while the original changes."""

    def __init__(self, model: SAC) -> None:
        self._model = model
        self._policy = deepcopy(model.policy)
        self._policy.set_training_mode(False)
        self._lock = threading.Lock()

    def refresh(self) -> None:
        """Take over the model's weights. Called between two updates."""
        with self._lock, torch.no_grad():
            for copy, original in zip(self._policy.actor.parameters(), self._model.actor.parameters(), strict=True):
                copy.copy_(original)

    def predict(self, observation: Any, *args: Any, **kwargs: Any) -> tuple[np.ndarray, Any]:
        """As Stable-Baselines3's ``predict``, from the snapshot."""
        with self._lock:
            return self._policy.predict(observation, *args, **kwargs)

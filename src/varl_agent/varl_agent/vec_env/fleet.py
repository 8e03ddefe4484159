"""Several robots as one environment, of which some may be missing: lost, late to join or, in real time, resetting.

Stable-Baselines3 takes a transition of every environment at every step. A missing robot's is replaced by a copy of the
transition of one that is present: true data, stored twice. ``info["stands_in"]`` marks the copy, and ``info["before"]``
is the observation that it starts from; :func:`correct_stand_ins` makes the model store that one and not count the step.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import gymnasium as gym
from stable_baselines3 import SAC
from varl_common.errors import VarlError

from varl_agent.vec_env.parallel_env import Action, Observation, ParallelEnv, ResultT, StepResult, stacked

Robot = gym.Env[Observation, Action]
RETRY_EVERY = 1.0  # seconds between two attempts to bring a robot back


class Fleet(ParallelEnv):
    """n robots. One that fails goes missing, and comes back as soon as a reset of it succeeds.

    Args:
        robots: those that are there, None where one has not joined yet; the first is there.
        connect: makes the robot of an index; raises VarlError while it is not there.
        seed: of the episodes.
        lock_step: True: all wait for a reset, reproducible; False: the others go on meanwhile.
        patience: seconds without any robot after which the run ends.
        say: takes a line for the user.
    """

    def __init__(
        self,
        robots: Sequence[Robot | None],
        connect: Callable[[int], Robot],
        seed: int,
        lock_step: bool,
        patience: float,
        say: Callable[[str], object],
    ) -> None:
        first = robots[0]
        assert first is not None
        super().__init__([robot or first for robot in robots], seed)
        self._connect, self._lock_step, self._patience, self._say = connect, lock_step, patience, say
        self._joined = [robot is not None for robot in robots]
        self._observations: dict[int, Observation] = {}  # the newest of each robot; of a missing one, its last
        self._missing: dict[int, Future[Observation]] = {}  # until its next episode's first observation
        self._lost: set[int] = set()  # of the missing, those that are not just resetting
        self._return_threads = ThreadPoolExecutor(self.num_envs, thread_name_prefix="return")
        self._closing = threading.Event()
        for index in range(1, self.num_envs):
            if not self._joined[index]:
                self._start_return(index, "has not joined yet")

    @property
    def present(self) -> list[int]:
        return [index for index in range(self.num_envs) if index not in self._missing]

    def close(self) -> None:
        self._closing.set()
        self._return_threads.shutdown(wait=False, cancel_futures=True)
        super().close()

    def lose(self, index: int, error: Exception) -> None:
        """Go on without the robot, and try in the background to bring it back; raises where no other is there."""
        self._start_return(index, f"is lost ({error})")
        if not self.present:
            self._wait_for_return()

    def _observations_after(self, call: Callable[[int], Observation]) -> Observation:
        done: dict[int, Observation] = {}
        while not done:
            done = self._call_present(call)
        self._observations |= done
        some = min(done)
        return stacked(
            [self._observations[index if index in self._observations else some] for index in range(self.num_envs)]
        )

    def _call_present(self, call: Callable[[int], ResultT]) -> dict[int, ResultT]:
        """The results of ``call`` by robot; robots where it fails are lost."""

        def attempt(index: int) -> ResultT | VarlError:
            try:
                return call(index)
            except VarlError as error:
                return error

        present = self.present
        results = dict(zip(present, self.run_on(present, attempt), strict=True))
        for index, result in results.items():
            if isinstance(result, VarlError):
                self.lose(index, result)
        return {index: result for index, result in results.items() if not isinstance(result, VarlError)}

    def _take_steps(self) -> list[StepResult]:
        before, moved = dict(self._observations), self._step_present()
        while not moved:  # all were lost in this step: go on with the first that is back
            before, moved = dict(self._observations), self._step_present()
        donor = min(moved)
        results = []
        for index in range(self.num_envs):
            observation, reward, done, info = moved.get(index, moved[donor])
            info = {**info, "before": before[index if index in moved else donor]}
            if index not in moved:
                info["stands_in"] = donor
                info.pop("episode", None)  # what the donor has done counts once
                info.pop("is_success", None)
                info.setdefault("executed_action", self._pending[donor])
            results.append((observation, reward, done, info))
        return self._rejoin(results)

    def _step_present(self) -> dict[int, StepResult]:
        """The transitions of the present robots; one that fails is lost, one whose episode ends is reset."""

        moved = self._call_present(self._move)
        for index, result in moved.items():
            self._observations[index] = result[0]
            if result[2]:
                self._missing[index] = self._return_threads.submit(self._begin, index)
        return moved

    def _rejoin(self, results: list[StepResult]) -> list[StepResult]:
        """The results; where a robot is back, its result ends in the first observation of its next episode."""
        resetting = [index for index in self._missing if results[index][2] and "stands_in" not in results[index][3]]
        if self._lock_step:
            for index in resetting:
                self._missing[index].exception()
        if not self.present:
            self._wait_for_return(accept=False)
        for index in self._accept_returned():
            observation, reward, done, info = results[index]
            if not done:
                info |= {"terminal_observation": observation, "TimeLimit.truncated": True}
            if late := self.reset_infos[index].get("void_steps", 0):
                info["void_steps" if index in resetting else "void_before"] = late
                info |= {"is_success": False} if index in resetting else {}
            results[index] = self._observations[index], reward, True, info
        return results

    def _wait_for_return(self, accept: bool = True) -> None:
        """Return when a robot is back; with ``accept`` it takes part from then on."""
        end = time.monotonic() + self._patience
        while not any(future.done() and not future.exception() for future in self._missing.values()):
            if time.monotonic() > end:
                raise VarlError(f"no robot has taken part for {self._patience:g} s; check the env nodes")
            time.sleep(0.005)
        if accept:
            self._accept_returned()

    def _accept_returned(self) -> list[int]:
        """Let the robots whose reset is done take part again; returns their indices."""
        back = []
        for index, future in list(self._missing.items()):
            if not future.done():
                continue
            del self._missing[index]
            self._lost.discard(index)
            try:
                self._observations[index] = future.result()
                back.append(index)
            except VarlError as error:
                self._start_return(index, f"is lost ({error})")
        return back

    def _start_return(self, index: int, why: str) -> None:
        self._lost.add(index)
        others_go_on = len(self._lost) < self.num_envs
        self._say(f"robot {index} {why}; {'the others go on' if others_go_on else 'waiting for any robot'}")
        self._missing[index] = self._return_threads.submit(self._retry_until_back, index)

    def _retry_until_back(self, index: int) -> Observation:
        while True:
            try:
                if not self._joined[index]:
                    self.envs[index] = self._connect(index)
                    self._joined[index] = True
                observation = self._begin(index)
                self._say(f"robot {index} takes part")
                return observation
            except VarlError:
                if self._closing.wait(RETRY_EVERY):
                    raise


def correct_stand_ins(model: SAC, infos: list[dict[str, Any]]) -> None:
    """To be called after the environments' step and before its transitions are stored."""
    for index, info in enumerate(infos):
        if "before" in info:
            for now, before in _arrays(model._last_obs, info["before"]):
                now[index] = before
        if "stands_in" in info:
            model.num_timesteps -= 1


def _arrays(one: Any, other: Any) -> list[tuple[Any, Any]]:
    """The arrays of two observations, in pairs."""
    return [(one[key], other[key]) for key in one] if isinstance(one, dict) else [(one, other)]

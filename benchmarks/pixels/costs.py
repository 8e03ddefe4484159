"""What pictures cost beside the state: of a control period, and of an update. In seconds of this process's own time, so
that what else runs on the machine does not count."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing
from typing import Any

import numpy as np
from stable_baselines3 import SAC
from varl_agent.pixels.encoding import EncoderSettings, encoded, policy_of
from varl_agent.sac.varl import VARL
from varl_robot_env.env.arm_env import ArmEnv

STEPS = 60
FILLED = 60  # transitions in the replays from which updates are measured


def seconds(call: Callable[[], Any], times: int) -> float:
    """Of processor time for a call, after one that does not count."""
    call()
    began = time.process_time()
    for _ in range(times):
        call()
    return (time.process_time() - began) / times


def step_overhead(settings: EncoderSettings) -> dict[str, float]:
    """ms that a step from pictures takes more than one from the state, without the rendering; and what rendering takes.

    What is measured is all of a step but the pictures' making: the arm gives the same pictures again.
    """
    with closing(ArmEnv("push")) as env, closing(ArmEnv("push", observation="pixels")) as seen:
        pictured = encoded(seen, settings)
        for one in (env, pictured):
            one.reset(seed=0)
        rendering = seconds(seen.arm.pictures, STEPS)
        pictures = seen.arm.pictures()
        seen.arm.pictures = lambda: pictures  # type: ignore[method-assign]
        still = np.zeros(3, np.float32)

        def step(one: Any) -> Callable[[], Any]:
            return lambda: one.reset() if one.unwrapped.core._state is None else one.step(still)

        alone, both = seconds(step(env), STEPS), seconds(step(pictured), STEPS)
    return {"step_overhead_ms": 1e3 * (both - alone), "rendering_ms": 1e3 * rendering, "state_step_ms": 1e3 * alone}


def updates(settings: EncoderSettings, sb3_updates: int) -> dict[str, float]:
    """Updates a second of VARL by frozen features and of SAC with MultiInputPolicy, batch 256, on the same frames."""
    with closing(ArmEnv("push", observation="pixels")) as seen:
        pictured = encoded(seen, settings)
        policy, kwargs = policy_of(pictured, settings)
        usual = {"learning_starts": FILLED + 1, "buffer_size": FILLED, "batch_size": 256, "device": "cpu", "seed": 0}
        ours = VARL(policy, pictured, policy_kwargs=kwargs, **usual)  # type: ignore[arg-type]
        ours.learn(FILLED)
        own = seconds(lambda: ours.train(20, 256), 10) / 20
        theirs = SAC("MultiInputPolicy", seen, **usual)  # type: ignore[arg-type]
        theirs.learn(FILLED)
        other = seconds(lambda: theirs.train(1, 256), sb3_updates)
    return {"varl_updates_hz": 1 / own, "sb3_updates_hz": 1 / other, "ratio_sb3_updates": other / own}

#!/usr/bin/env python3
"""A replay as a Minari dataset, and that as another run's demonstrations: ``examples/dataset_out_and_in.py``."""

import sys
import tempfile
from pathlib import Path

from varl_agent.replay.buffer import PersistentReplayBuffer
from varl_agent.replay.minari import export_minari, import_minari
from varl_robot_env.env.arm_env import ArmEnv

from varl_agent import VARL

STEPS = int(sys.argv[1]) if len(sys.argv) > 1 else 2_000
work = Path(tempfile.mkdtemp(prefix="varl-"))


def learner(name: str) -> VARL:
    """A model whose replay is kept on disk."""
    replay = {"folder": work / name}
    return VARL(
        "MlpPolicy",
        ArmEnv("reach"),
        buffer_size=20_000,
        replay_buffer_class=PersistentReplayBuffer,
        replay_buffer_kwargs=replay,
        seed=0,
    )


first = learner("first")
first.learn(STEPS)
episodes = export_minari(first.replay_buffer, work / "dataset", "varl/reach-v0")
print(f"{episodes} episodes written to {work / 'dataset'}: minari.MinariDataset reads them")

second = learner("second")
added = import_minari(work / "dataset", second.replay_buffer, successes=second.successes)
print(f"{added} transitions are demonstrations now, {second.successes.own} of them episodes that succeeded")
second.learn(200)

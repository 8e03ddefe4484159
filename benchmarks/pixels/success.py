"""A classifier taught by 200 labelled moments of push, judged on more than 1,000 of scenes that it never saw."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import yaml
from varl_agent.replay.erring_plan import ErringPlan
from varl_common.task_plans import PLANS
from varl_common.vision.classifier import SuccessClassifier
from varl_common.yaml_file import load_yaml
from varl_robot_env.config.paths import config_file
from varl_robot_env.env.arm_env import ArmEnv
from varl_robot_env.success.command import train_classifier
from varl_robot_env.success.moments import Label, Moments, read, read_layout

TAUGHT, JUDGED = 200, 1_100  # moments
_OFFERED = 600  # of which those that teach are chosen, as many of each label: a person, too, shows what matters
SEEDS = {"taught": 810_000, "judged": 930_000}  # of the scenes' first; no training draws these
HELD = 10  # control periods of success before an episode ends, as varl collect has it


def collect(folder: Path, moments: int, seed: int) -> None:
    """Keep so many moments of push in ``folder``, where geometry labels what the task's erring plan does."""
    with TemporaryDirectory() as aside:
        task = load_yaml(config_file("tasks", "push"))
        task["success"]["held"] = HELD
        file = Path(aside) / "push.yaml"
        file.write_text(yaml.safe_dump(task, sort_keys=False), encoding="utf-8")
        with closing(ArmEnv(str(file), moments=folder)) as env:
            plan = ErringPlan(PLANS["push"], env.description, seed)
            for _ in _episodes(env, plan, seed):
                if len(read(folder)) >= moments:
                    return


def _episodes(env: ArmEnv, plan: ErringPlan, seed: int) -> Iterator[None]:
    while True:
        state, _ = env.reset(seed=seed)
        seed += 1
        plan.begin()
        ended = False
        while not ended:
            state, _, terminated, truncated, _ = env.step(plan.action(state))
            ended = terminated or truncated
        yield


def choose(offered: Path, taught: Path) -> None:
    """Keep ``TAUGHT`` of the moments in ``offered`` in ``taught``: the first of each label, as many of each."""
    if taught.exists():
        return
    rows, layout = read(offered), read_layout(offered)
    firsts = [np.flatnonzero(rows["label"] == label)[: -(-TAUGHT // len(Label))] for label in Label]
    with closing(Moments(taught, layout)) as kept:
        for number in sorted(np.concatenate(firsts).tolist())[:TAUGHT]:
            row = rows[number]
            kept.episode = int(row["episode"])
            kept.add(
                dict(zip(layout.cameras, row["pictures"], strict=True)), Label(row["label"]), False, int(row["step"])
            )


def classifier(runs: Path) -> dict[str, Any]:
    """Its share of false successes and of missed ones; moments in ``runs`` are used again."""
    for name, count, seed in (("offered", _OFFERED, SEEDS["taught"]), ("judged", JUDGED, SEEDS["judged"])):
        if not (runs / name).exists():
            collect(runs / name, count, seed)
    choose(runs / "offered", runs / "taught")
    train_classifier(runs / "taught", runs / "classifier")
    judge, rows = SuccessClassifier(runs / "classifier"), read(runs / "judged")
    cameras, success = read_layout(runs / "judged").cameras, rows["label"] == Label.SUCCESS
    pictures = (dict(zip(cameras, row["pictures"], strict=True)) for row in rows)
    called = np.array([judge.certainty(seen) for seen in pictures]) >= judge.threshold
    return {
        "classifier_false": float(called[~success].mean()),
        "classifier_missed": float((~called[success]).mean()),
        "classifier_false_of_nearly": float(called[rows["label"] == Label.NEARLY].mean()),
        "classifier_taught_by": len(read(runs / "taught")),
        "classifier_judged_on": len(rows),
    }

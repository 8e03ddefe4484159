"""Whether the arm's longer tasks are learned as shipped: writes benchmarks/results/arm_tasks.json.

Each run trains a task of config/tasks in process, from state, with a sparse reward, and with what config/agent.yaml and
config/advisor.yaml ship, but for the number of steps: three questions to the scripted advisor, which errs as often as
its section says, or with ``--advice sight`` to the small model in the box. In push-unmarked the arm knows where block
and target are from localisers alone (:mod:`benchmarks.seen_things`); push-seen wants a classifier in classifiers/push
(``varl train-classifier``). A run that was stopped goes on from its newest checkpoint. Success is that of the
deterministic policy in 50 episodes, every 5,000 steps; a figure is the mean over the seeds at the last step that all
have reached. Where the arm itself may be mistaken about it, the success in truth is told, too.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
import yaml
from varl_agent.training import checkpoint
from varl_agent.training.control import TrainingControl
from varl_agent.training.metrics import TrainingMetrics
from varl_agent.training.progress import make_display
from varl_agent.training.record import Record
from varl_agent.training.run_folder import RunFolder, write_json
from varl_agent.training.settings import LearnerSettings, make_learning, make_model
from varl_agent.training.training import Schedule, Training, identity_of
from varl_agent.vec_env.parallel_env import ParallelEnv
from varl_common.yaml_file import load_yaml
from varl_robot_env.config.paths import config_file
from varl_robot_env.env.arm_env import ArmEnv
from varl_robot_env.tasks.task import load_task

from benchmarks.advice.trainer import commit
from benchmarks.advice.vlm import Vlm
from benchmarks.seen_things import UNMARKED, SeenThings, true_successes

REPOSITORY = Path(__file__).parents[1]
RESULTS = REPOSITORY / "benchmarks" / "results" / "arm_tasks.json"
SEEN_DONE = "push-seen"  # push, where a classifier tells that it is done
TASKS = ("push", SEEN_DONE, UNMARKED, "pick-place", "insert")
ADVICE = ("scripted", "sight")
EVALUATE_EVERY, EPISODES = 5_000, 50


@dataclass(frozen=True)
class Kind:
    """What a run is, but for its seed."""

    task: str
    advice: str = ADVICE[0]

    def __str__(self) -> str:
        return self.task if self.advice == ADVICE[0] else f"{self.task}-{self.advice}"


def train(kind: Kind, seed: int, steps: int, runs: Path) -> None:
    """Train one run to its end."""
    torch.set_num_threads(1)
    shipped = load_yaml(REPOSITORY / "config" / "agent.yaml")["/**/learner"]["ros__parameters"]
    folder, control = RunFolder(runs / f"{kind}-{seed}"), TrainingControl()
    settings = LearnerSettings.from_dict(
        shipped | {"run_dir": str(folder.path), "seed": seed, "steps": steps}, "agent.yaml"
    )
    seen = SeenThings(seed) if kind.task == UNMARKED else None
    arm = ArmEnv(kind.task) if seen is None else seen.env
    env, identity = ParallelEnv([arm], seed), identity_of(arm.description)
    newest = checkpoint.load_newest(folder.checkpoints, identity) if folder.checkpoints.exists() else None
    folder.create() if newest is None else folder.reopen()
    advisor = Vlm(_advisor_file(kind.advice, folder.path), SimpleNamespace(env=arm.description))
    model = make_model(settings, env, advisor, lock_step=True, replay=folder.replay)
    learning = make_learning(settings, model, control.stopping.is_set, lock_step=True)
    schedule = Schedule(steps, EVALUATE_EVERY, EPISODES, settings.checkpoint_every, 1, lock_step=True)
    written, display = 0, make_display(sys.stdout.isatty())

    def note(metrics: TrainingMetrics) -> None:
        nonlocal written
        display.show(metrics)
        if len(training.record.evaluations) > written:
            written = len(training.record.evaluations)
            display.say(_write(folder, kind, seed, training.record))

    training = Training(model, env, folder, identity, schedule, learning, control, note)
    if newest is not None:
        print(training.resume(*newest), flush=True)
    training.run()
    display.close()
    if not written or training.record.evaluations[-1].step < model.num_timesteps:
        training.evaluate(EPISODES)
    truth = arm.arm.simulation.entities if seen is None else seen.truth
    mistaken = seen is not None or kind.task == SEEN_DONE
    true = float(np.mean(true_successes(model, arm, truth, EPISODES))) if mistaken else None
    print(_write(folder, kind, seed, training.record, true), flush=True)
    training.close()
    (seen or arm).close()


def _advisor_file(advice: str, folder: Path) -> Path:
    """config/advisor.yaml, but for who is asked."""
    config = load_yaml(REPOSITORY / "config" / "advisor.yaml")
    config["/**/advisor"]["ros__parameters"]["backend"] = advice
    file = folder / "advisor.yaml"
    file.write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")
    return file


def _write(folder: RunFolder, kind: Kind, seed: int, record: Record, true: float | None = None) -> str:
    """Keep the curve, and where the arm may be mistaken the ``true`` success; the curve's last point in words."""
    curve = [{"step": one.step, "success": one.success_rate} for one in record.evaluations]
    run = {"kind": str(kind), "seed": seed, "commit": commit(), "curve": curve, "true_success": true}
    write_json(folder.path / "curve.json", run)
    return f"{kind} {seed} {curve[-1]}" + ("" if true is None else f", in truth {true}")


def gather(runs: Path) -> dict[str, Any]:
    """The results of all runs there are."""
    found = [json.loads(path.read_text()) for path in sorted(runs.glob("*/curve.json"))]
    results: dict[str, Any] = {"machine": platform.processor() or platform.machine()}
    for kind in sorted({run["kind"] for run in found}):
        own = {run["seed"]: run for run in found if run["kind"] == kind}
        # Each evaluation waited for the end of an episode.
        curves = {seed: {_due(p["step"]): p["success"] for p in run["curve"]} for seed, run in own.items()}
        shared = sorted(set.intersection(*(set(curve) for curve in curves.values())))
        if not shared:
            continue
        means = {step: float(np.mean([curve[step] for curve in curves.values()])) for step in shared}
        name = f"{kind.replace('-', '_')}_success"
        results |= {name: means[shared[-1]], f"{name}_steps": shared[-1], f"{name}_curve": means}
        results[f"{name}_seeds"] = {seed: curve[shared[-1]] for seed, curve in curves.items()}
        results[f"{name}_commits"] = sorted({run["commit"] for run in own.values()})
        if all(run["true_success"] is not None for run in own.values()):
            results[f"{name}_in_truth"] = {seed: run["true_success"] for seed, run in own.items()}
    for task in sorted({run["kind"] for run in found} & (set(TASKS) - {SEEN_DONE, UNMARKED})):
        results[f"{task.replace('-', '_')}_least_start_m"] = least_start(task)
    return results


def _due(step: int) -> int:
    return step // EVALUATE_EVERY * EVALUATE_EVERY


def least_start(task: str, episodes: int = 1000) -> float:
    """The least distance between the pairs that the task is about at the begin of an episode, m."""
    env = ArmEnv(task)
    pairs, least = load_task(config_file("tasks", task)).config.dense, np.inf
    for seed in range(episodes):
        env.reset(seed=seed)
        places = env.core._begin  # of what is held, too, which is not observed
        least = min(least, *(float(np.linalg.norm(places[one][:3] - places[other][:3])) for one, other in pairs))
    return least


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", choices=TASKS, help="train this one; without it, write the results of all runs")
    parser.add_argument("--advice", choices=ADVICE, default=ADVICE[0], help="who is asked")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=100_000)
    parser.add_argument("--runs", type=Path, default=REPOSITORY / "runs" / "arm_tasks")
    parsed = parser.parse_args()
    if parsed.task:
        train(Kind(parsed.task, parsed.advice), parsed.seed, parsed.steps, parsed.runs)
    else:
        write_json(RESULTS, gather(parsed.runs))
        print(RESULTS.read_text())


if __name__ == "__main__":
    main()

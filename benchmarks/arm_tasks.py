"""Whether the arm's longer tasks are learned as shipped: writes benchmarks/results/arm_tasks.json.

Each run trains a task of config/tasks in process, from state, with a sparse reward, and with what config/agent.yaml and
config/advisor.yaml ship, but for the number of steps: three questions to the scripted advisor, which errs as often as
its section says. A run that was stopped goes on from its newest checkpoint. Success is that of the deterministic policy
in 50 episodes, every 5,000 steps; a task's figure is the mean over its seeds at the last step that all have reached.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
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

REPOSITORY = Path(__file__).parents[1]
RESULTS = REPOSITORY / "benchmarks" / "results" / "arm_tasks.json"
TASKS = ("pick-place", "insert")
EVALUATE_EVERY, EPISODES = 5_000, 50


def train(task: str, seed: int, steps: int, runs: Path) -> None:
    """Train one run to its end."""
    torch.set_num_threads(1)
    shipped = load_yaml(REPOSITORY / "config" / "agent.yaml")["/**/learner"]["ros__parameters"]
    folder, control = RunFolder(runs / f"{task}-{seed}"), TrainingControl()
    settings = LearnerSettings.from_dict(
        shipped | {"run_dir": str(folder.path), "seed": seed, "steps": steps}, "agent.yaml"
    )
    arm = ArmEnv(task)
    env, identity = ParallelEnv([arm], seed), identity_of(arm.description)
    newest = checkpoint.load_newest(folder.checkpoints, identity) if folder.checkpoints.exists() else None
    folder.create() if newest is None else folder.reopen()
    advisor = Vlm(REPOSITORY / "config" / "advisor.yaml", SimpleNamespace(env=arm.description))
    model = make_model(settings, env, advisor, lock_step=True, replay=folder.replay)
    learning = make_learning(settings, model, control.stopping.is_set, lock_step=True)
    schedule = Schedule(steps, EVALUATE_EVERY, EPISODES, settings.checkpoint_every, 1, lock_step=True)
    written, display = 0, make_display(sys.stdout.isatty())

    def note(metrics: TrainingMetrics) -> None:
        nonlocal written
        display.show(metrics)
        if len(training.record.evaluations) > written:
            written = len(training.record.evaluations)
            display.say(_write(folder, task, seed, training.record, len(settings.advice.trigger)))

    training = Training(model, env, folder, identity, schedule, learning, control, note)
    if newest is not None:
        print(training.resume(*newest), flush=True)
    training.run()
    display.close()
    if training.record.evaluations[-1].step < model.num_timesteps:
        training.evaluate(EPISODES)
    print(_write(folder, task, seed, training.record, len(settings.advice.trigger)), flush=True)
    training.close()


def _write(folder: RunFolder, task: str, seed: int, record: Record, questions: int) -> str:
    """Keep the curve; its last point in words."""
    curve = [{"step": one.step, "success": one.success_rate} for one in record.evaluations]
    write_json(folder.path / "curve.json", {"task": task, "seed": seed, "questions": questions, "curve": curve})
    return f"{task} {seed} {curve[-1]}"


def gather(runs: Path) -> dict[str, Any]:
    """The results of all runs there are."""
    found = [json.loads(path.read_text()) for path in sorted(runs.glob("*/curve.json"))]
    results: dict[str, Any] = {"machine": platform.processor() or platform.machine(), "commit": commit()}
    for task in TASKS:
        curves = {run["seed"]: {p["step"]: p["success"] for p in run["curve"]} for run in found if run["task"] == task}
        shared = sorted(set.intersection(*(set(curve) for curve in curves.values()))) if curves else []
        if not shared:
            continue
        means = {step: float(np.mean([curve[step] for curve in curves.values()])) for step in shared}
        name = f"{task.replace('-', '_')}_success"
        results |= {name: means[shared[-1]], f"{name}_steps": shared[-1], f"{name}_curve": means}
        results[f"{name}_seeds"] = {seed: curve[shared[-1]] for seed, curve in curves.items()}
        results[f"{task.replace('-', '_')}_least_start_m"] = least_start(task)
    return results


def least_start(task: str, episodes: int = 1000) -> float:
    """The least distance between the pairs that the task is about at the begin of an episode, m."""
    env = ArmEnv(task)
    pairs, least = load_task(config_file("tasks", task)).config.dense, np.inf
    for seed in range(episodes):
        state, _ = env.reset(seed=seed)
        for pair in pairs:
            one, other = (env.description.position(name, state) for name in pair)
            if one is not None and other is not None:
                least = min(least, float(np.linalg.norm(one - other)))
    return least


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", choices=TASKS, help="train this one; without it, write the results of all runs")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=100_000)
    parser.add_argument("--runs", type=Path, default=REPOSITORY / "runs" / "arm_tasks")
    parsed = parser.parse_args()
    if parsed.task:
        train(parsed.task, parsed.seed, parsed.steps, parsed.runs)
    else:
        write_json(RESULTS, gather(parsed.runs))
        print(RESULTS.read_text())


if __name__ == "__main__":
    main()

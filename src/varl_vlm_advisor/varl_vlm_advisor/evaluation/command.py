"""``varl advisor-eval``: how good is an advisor? Asked about labelled states, its answers tried out in simulation."""

from __future__ import annotations

import contextlib
import json
import os
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

from varl_common.arguments import Argument, positive_number, whole_number
from varl_common.errors import VarlError
from varl_common.tool import run_tool

from varl_vlm_advisor.backends import backend_class
from varl_vlm_advisor.evaluation import verdicts
from varl_vlm_advisor.evaluation.metrics import score
from varl_vlm_advisor.evaluation.predictions import ask_advisor, baselines
from varl_vlm_advisor.evaluation.report import (
    LEGEND,
    OF_A_PLAN,
    Row,
    picture,
    table,
    unanswered,
    write_html,
    write_png,
)
from varl_vlm_advisor.evaluation.storage import load_or_make
from varl_vlm_advisor.evaluation.worlds import World, make_world
from varl_vlm_advisor.service.config import AdvisorConfig, config_model, load_config

ARGUMENTS = (
    Argument(
        "task",
        "Tasks to judge on, separated by commas: reach, push, lift, or names of Meta-World.",
        "reach,push,lift,drawer-open-v3,pick-place-v3",
    ),
    Argument("advisor", "Who is judged, a backend; empty: as params_file says; none: the baselines alone."),
    Argument(
        "about",
        "What is asked about: advice, or success, whether a task was accomplished (success: {vlm: true}).",
        "advice",
        choices=("advice", "success"),
    ),
    Argument("strategy", "What is asked: direction, point, trajectory or plan; empty: as params_file says."),
    Argument("params_file", "YAML file of the advisor's ROS parameters that override those in config/."),
    Argument(
        "count",
        "Labelled states of each task; about:=success: so many unsolved and so many solved.",
        "24",
        check=whole_number(1),
    ),
    Argument("seed", "Seed of the states.", "0", check=whole_number(0)),
    Argument("states", "Folder of the states, made where it has none yet; empty: states in the folder out."),
    Argument("deadline", "Seconds for each round of questions.", "600", check=positive_number),
    Argument("out", "Folder for the table and the pages.", "runs/advisor-eval"),
)
_STAND_IN_ERRORS = 0.1
_SHOWN = 12
"""Pictures per task on the page."""


def judge(values: dict[str, str]) -> bool:
    """Judge an advisor, by the value of each of :data:`ARGUMENTS`; false where it was asked and answered nothing.

    Raises:
        VarlError: the configuration or the advisor is wrong, with the remedy.
    """
    os.environ.setdefault("MUJOCO_GL", "egl")
    config = _config(values)
    out = Path(values["out"])
    out.mkdir(parents=True, exist_ok=True)
    tasks = list(filter(None, values["task"].split(",")))
    if values["about"] == "success":
        return _judge_verdicts(tasks, config, values, out)
    rows: list[Row] = []
    pictures = []
    for task in tasks:
        print(f"{task}: {values['count']} states", flush=True)
        with contextlib.closing(make_world(task)) as world:
            judged, shown = _judge(world, config, values)
        rows += judged
        pictures += shown
        notes = _notes(rows, config)
        (out / "table.txt").write_text(f"{table(rows)}\n\n{notes}\n", encoding="utf-8")
    figures = [{"task": r.task, "who": r.predictions.name, "states": r.count, **asdict(r.score)} for r in rows]
    (out / "scores.json").write_text(json.dumps(figures, indent=1), encoding="utf-8")
    write_html(out / "page.html", rows, pictures, notes)
    write_png(out / "page.png", pictures)
    print(f"\n{table(rows)}\n\n{notes}\n\n{out}/page.html, page.png, table.txt, scores.json")
    return config.backend == "none" or any(row.predictions.statuses["OK"] for row in rows)


def _notes(rows: list[Row], config: AdvisorConfig) -> str:
    """What is to be said under the table."""
    asked = [row for row in rows if row.predictions.statuses]
    reasons = sum((row.predictions.unanswered for row in asked), Counter[str]())
    of_a_plan = OF_A_PLAN if config.strategy == "plan" and asked else ""
    return "\n\n".join(filter(None, (LEGEND, of_a_plan, unanswered(reasons, sum(row.count for row in asked)))))


def _judge_verdicts(tasks: list[str], config: AdvisorConfig, values: dict[str, str], out: Path) -> bool:
    scores: list[verdicts.VerdictScore] = []
    for task in tasks:
        with contextlib.closing(make_world(task)) as world:
            count, seed, deadline = int(values["count"]), int(values["seed"]), float(values["deadline"])
            scores.append(verdicts.judge(world, config, count, seed, deadline))
        (out / "verdicts.txt").write_text(f"{verdicts.table(scores)}\n", encoding="utf-8")
        (out / "verdicts.json").write_text(json.dumps(verdicts.figures(scores), indent=1), encoding="utf-8")
    asked = sum(one.unsolved + one.solved for one in scores)
    reasons = unanswered(sum((Counter(one.reasons) for one in scores), Counter[str]()), asked)
    print("\n" + "\n\n".join(filter(None, (verdicts.table(scores), reasons, f"{out}/verdicts.txt, verdicts.json"))))
    return any(one.untold < one.unsolved + one.solved for one in scores)


def run() -> None:
    """The console script."""
    run_tool("advisor-eval", "Judge an advisor on labelled states, before it is trusted.", ARGUMENTS, _judge_or_fail)


def _judge_or_fail(values: dict[str, str]) -> None:
    if not judge(values):
        raise VarlError("no question was answered; the reasons stand under the table")


def _config(values: dict[str, str]) -> AdvisorConfig:
    chosen = {"backend": values["advisor"], "strategy": values["strategy"]}
    given: dict[str, Any] = {name: value for name, value in chosen.items() if value}
    if values["params_file"]:
        config = load_config(values["params_file"], **given)
    else:
        config = config_model().from_dict(given, "the arguments")
    backend_class(config.backend)  # an unknown one is told before the states are made
    return config


def _judge(world: World, config: AdvisorConfig, values: dict[str, str]) -> tuple[list[Row], list[Any]]:
    seed = int(values["seed"])
    folder = Path(values["states"] or Path(values["out"]) / "states").expanduser()
    judged = load_or_make(world, int(values["count"]), seed, folder)
    baseline = baselines(world.env, judged, _STAND_IN_ERRORS, seed)
    asked = ask_advisor(config, world.env, judged, float(values["deadline"])) if config.backend != "none" else []
    candidates = baseline + asked
    rows = [Row(world.env.task, one, score(world, judged, one.actions), len(judged)) for one in candidates]
    shown = (asked or baseline[-1:])[0]
    return rows, [picture(world.env, judged[number], shown, number) for number in range(min(len(judged), _SHOWN))]


if __name__ == "__main__":
    run()

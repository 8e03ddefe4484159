"""``advisor_eval``: how good is an advisor? Asked about labelled states, and its answers tried out in simulation."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from varl_common.errors import VarlError

from varl_vlm_advisor.config import AdvisorConfig, load_config
from varl_vlm_advisor.evaluation.metrics import score
from varl_vlm_advisor.evaluation.page import LEGEND, Row, picture, table, write_html, write_png
from varl_vlm_advisor.evaluation.panel import baselines, consult
from varl_vlm_advisor.evaluation.situations import collect
from varl_vlm_advisor.evaluation.worlds import World, make_world

_STAND_IN_ERRORS = 0.1
_SHOWN = 12
"""Pictures per task on the page."""


def main(argv: Sequence[str]) -> int:
    """Run the command with ``argv`` (without the program's name); its exit status.

    Raises:
        VarlError: an argument, the configuration or the advisor is wrong, with the remedy.
    """
    options = _parser().parse_args(argv)
    os.environ.setdefault("MUJOCO_GL", "egl")
    config = load_config(options.config, **({"backend": options.backend} if options.backend else {}))
    out = Path(options.out)
    out.mkdir(parents=True, exist_ok=True)
    rows: list[Row] = []
    pictures = []
    for task in options.tasks:
        print(f"{task}: {options.states} states", flush=True)
        judged, shown = _judge(config, task, options)
        rows += judged
        pictures += shown
        (out / "table.txt").write_text(f"{table(rows)}\n\n{LEGEND}\n", encoding="utf-8")
    figures = [{"task": r.task, "who": r.opinion.name, "states": r.count, **asdict(r.score)} for r in rows]
    (out / "scores.json").write_text(json.dumps(figures, indent=1), encoding="utf-8")
    write_html(out / "page.html", rows, pictures)
    write_png(out / "page.png", pictures)
    print(f"\n{table(rows)}\n\n{LEGEND}\n\n{out}/page.html, page.png, table.txt, scores.json")
    return 0


def run() -> None:
    """The console script."""
    try:
        sys.exit(main(sys.argv[1:]))
    except VarlError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)


def _judge(config: AdvisorConfig, task: str, options: argparse.Namespace) -> tuple[list[Row], list[Any]]:
    with contextlib.closing(make_world(task)) as world:
        return _judge_in(world, config, options)


def _judge_in(world: World, config: AdvisorConfig, options: argparse.Namespace) -> tuple[list[Row], list[Any]]:
    situations = collect(world, options.states, options.seed)
    opinions = baselines(world.env, situations, _STAND_IN_ERRORS, options.seed)
    asked = consult(config, world.env, situations, options.deadline) if config.backend != "none" else []
    rows = [
        Row(world.env.task, opinion, score(world, situations, opinion.actions), len(situations))
        for opinion in opinions + asked
    ]
    shown = (asked or opinions[-1:])[0]
    count = min(len(situations), _SHOWN)
    return rows, [picture(world.env, situations[number], shown, number) for number in range(count)]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="advisor_eval", description=__doc__)
    parser.add_argument("--config", default="config/advisor.yaml", help="the advisor's parameter file")
    parser.add_argument("--backend", default="", help="in place of the configured one; none judges the baselines only")
    parser.add_argument(
        "--tasks",
        nargs="+",
        default=["reach", "push", "lift", "drawer-open-v3", "pick-place-v3"],
        help="reach, push, lift, or tasks of Meta-World",
    )
    parser.add_argument("--states", type=_positive, default=24, help="labelled states per task")
    parser.add_argument("--seed", type=int, default=0, help="of the states")
    parser.add_argument("--deadline", type=float, default=600.0, help="seconds for each round of questions")
    parser.add_argument("--out", default="runs/advisor-eval", help="folder for the table and the pages")
    return parser


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return value


if __name__ == "__main__":
    run()

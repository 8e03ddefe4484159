"""``python -m benchmarks.advice --tasks coffee-button-v3 --methods sac varl --seeds 5 --steps 100000 --out DIR``."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"  # a process a core: threads of their own would fight

from varl_common.errors import VarlError  # noqa: E402

from benchmarks.advice.runner import run  # noqa: E402
from benchmarks.advice.setting import METHODS  # noqa: E402
from benchmarks.advice.tasks import GROUPS  # noqa: E402


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what is missing, then write the report."""
    options = _options(arguments)
    try:
        run(options)
    except VarlError as error:
        sys.exit(f"error: {error}")


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.advice", description=__doc__)
    parser.add_argument(
        "--tasks",
        nargs="+",
        required=True,
        help="Meta-World's names, mazes, reach, push, lift; or tuning, reporting (tasks.py)",
    )
    parser.add_argument("--methods", nargs="+", default=["sac", "varl"], choices=METHODS)
    parser.add_argument("--seeds", type=_whole, default=5, help="seeds 0 .. n-1 after --first-seed")
    parser.add_argument("--first-seed", type=_seed, default=0)
    parser.add_argument("--steps", type=_whole, default=100_000, help="environment steps of a run")
    parser.add_argument(
        "--error-rate",
        nargs="+",
        type=_share,
        default=[0.1],
        help="of the advice: wrong axes, faulty plans; who asks nobody, or is always wrong, runs at the first alone",
    )
    parser.add_argument("--misplaced", type=_length, default=0.02, help="m, standard deviation of what a plan sees")
    parser.add_argument("--advisor-file", default="config/advisor.yaml", help="of varl-vlm: backend, strategy, ...")
    parser.add_argument("--net", type=_whole, default=64, help="units in each of two hidden layers")
    parser.add_argument("--update-every", type=_whole, default=2, help="environment steps to an update")
    parser.add_argument(
        "--set",
        nargs="*",
        type=_pair,
        default=[],
        metavar="NAME=VALUE",
        help="alter a setting of the methods: gate=none",
    )
    parser.add_argument("--processes", type=_whole, default=os.cpu_count(), help="runs at a time")
    parser.add_argument("--ray-address", help="spread the runs over this Ray cluster")
    parser.add_argument("--out", type=Path, required=True, help="folder of evals.csv and report.md")
    options = parser.parse_args(arguments)
    options.tasks = [task for name in options.tasks for task in GROUPS.get(name, (name,))]
    return options


def _whole(text: str) -> int:
    return _counted(text, 1)


def _seed(text: str) -> int:
    return _counted(text, 0)


def _counted(text: str, least: int) -> int:
    if not text.isdecimal() or int(text) < least:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of {least} or more")
    return int(text)


def _share(text: str) -> float:
    return _between(text, 1.0, "a share from 0 to 1")


def _length(text: str) -> float:
    return _between(text, sys.float_info.max, "a length of 0 m or more")


def _between(text: str, most: float, expected: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not 0.0 <= value <= most:
        raise argparse.ArgumentTypeError(f"{text!r} is not {expected}")
    return value


def _pair(text: str) -> tuple[str, Any]:
    """NAME=VALUE, where a value is a number, list or word."""
    name, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE, as in gate=none")
    try:
        return name, json.loads(value)
    except json.JSONDecodeError:
        return name, value


if __name__ == "__main__":
    main()

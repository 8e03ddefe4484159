"""Does advice help? The project's own ``reach``, a few seeds, minutes: VARL must find success sooner than SAC.

Judged by the area under the training success of several seeds together, so that one unlucky seed does not decide.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from benchmarks.advice.__main__ import main as bench
from benchmarks.advice.curves import Curves

METHODS = ("sac", "varl-labels", "varl")
MARGIN = 0.1  # of the area under the curve, by which each must be above SAC


def main(out: Path | None = None, steps: int = 5_000, seeds: int = 3) -> int:
    """Run it; 0 where VARL is above SAC with labels and with plans, else 1."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = out or Path(scratch)
        command = f"--tasks reach --methods {' '.join(METHODS)} --seeds {seeds} --steps {steps} --out {folder}"
        # reach has short episodes and is learned soon: discount as in config/agent.yaml, questions early.
        altered = ["gamma=0.95", "trigger=[500,1000,2000]"]
        bench([*command.split(), "--update-every", "1", "--set", *altered])
        curves = Curves(folder / "evals.csv")
        areas = {}
        for method in curves.methods:
            runs = curves.of(method, "reach")
            areas[method.split("[")[0]] = np.mean([float(row["train_success_rate"]) for rows in runs for row in rows])
    for method, area in areas.items():
        print(f"{method:12s} area under the training success, {seeds} seeds, {steps} steps: {area:.2f}")
    better = all(areas[method] >= areas["sac"] + MARGIN for method in METHODS[1:])
    print("VARL is above SAC" if better else f"VARL is NOT above SAC by {MARGIN}")
    return 0 if better else 1


if __name__ == "__main__":
    raise SystemExit(main())

"""What bfloat16 does to learning: the GPU's update with products in float32 and in bfloat16, on learning curves.

    python -m benchmarks.bf16 --seeds 3 --steps 6000

The arithmetic is that of the GPU (varl_agent.fast.cuda_update without its graph), so a CPU tells as much about learning
as a GPU would; of speed it tells nothing. Task: the project's ``reach``, 2 x 256, plans as advice. Writes
benchmarks/results/bf16.csv, a row for each RECENT episodes' success, and resumes where it was stopped.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import numpy as np
import torch as th
from varl_agent.fast.cuda_update import CudaUpdate
from varl_common.host.progress import progress

from benchmarks.advice.setting import Setting, make_model
from benchmarks.advice.trainer import RECENT, append

RESULTS = Path(__file__).parent / "results" / "bf16.csv"
COLUMNS = ("products", "seed", "step", "train_success_rate", "critic_loss", "entropy")
POINTS = 12
ALTERED = (("gamma", 0.95), ("trigger", (500, 1000, 2000)))  # as in the smoke bench: short episodes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=6000)
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    th.set_num_threads(1)
    runs = [(products, seed) for seed in range(options.seeds) for products in ("float32", "bfloat16")]
    for products, seed in progress(runs, "runs", len(runs)):
        if (products, str(seed)) not in done(options.out):
            append_run(options.out, products, seed, options.steps)


def done(out: Path) -> set[tuple[str, str]]:
    """Runs that are there; each is written as a whole."""
    if not out.exists():
        return set()
    with out.open(newline="") as file:
        return {(row["products"], row["seed"]) for row in csv.DictReader(file)}


def append_run(out: Path, products: str, seed: int, steps: int) -> None:
    """Train one and write its curve."""
    np.random.seed(seed)  # noqa: NPY002 (SB3 samples its replay by the global generator)
    setting = Setting("reach", "varl", seed, steps, 0.1, net=256, update_every=1, altered=ALTERED)
    model = make_model(setting)
    model.bf16 = products == "bfloat16"
    model._update = CudaUpdate(model)
    rows: list[list[object]] = []
    while model.num_timesteps < steps:
        model.learn(steps // POINTS, reset_num_timesteps=False, log_interval=None)  # type: ignore[arg-type]
        recent = list(model.ep_success_buffer or ())[-RECENT:]
        logged = model.logger.name_to_value
        losses = [round(float(logged.get(f"train/{name}", float("nan"))), 4) for name in ("critic_loss", "entropy")]
        rows.append([products, seed, model.num_timesteps, round(float(np.mean(recent)) if recent else 0.0, 3), *losses])
        print(*rows[-1], flush=True)
    append(out, rows, COLUMNS)


if __name__ == "__main__":
    main()

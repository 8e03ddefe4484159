"""Runs that are missing, over all cores or a Ray cluster; finished ones are never repeated."""

from __future__ import annotations

import argparse
import csv
import ctypes
import signal
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from multiprocessing.managers import SyncManager
from pathlib import Path
from queue import Empty

from tqdm import tqdm
from varl_common.errors import VarlError

from benchmarks.advice.environments import make_env
from benchmarks.advice.report import write_report
from benchmarks.advice.setting import Setting, asks_nobody, is_wrong
from benchmarks.advice.trainer import COLUMNS, train

PR_SET_PDEATHSIG = 1  # of prctl(2)


def run(options: argparse.Namespace) -> None:
    """Train the runs that ``--out`` does not hold in full yet, then write the report."""
    try:
        options.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise VarlError(f"{options.out} cannot be made ({error.strerror}); name another --out") from None
    evals = options.out / "evals.csv"
    common = {name: getattr(options, name) for name in ("steps", "misplaced", "net", "update_every", "advisor_file")}
    settings = [
        Setting(task, method, seed, error_rate=rate, altered=tuple(options.set), **common)
        for task in options.tasks
        for method in options.methods
        for rate in options.error_rate[: 1 if is_wrong(method) or asks_nobody(method) else None]
        for seed in range(options.first_seed, options.first_seed + options.seeds)
    ]
    wanted = list({_key(setting): setting for setting in settings}.values())  # a task may be named twice
    done = _keep_finished(evals)
    missing = [setting for setting in wanted if _key(setting) not in done]
    for task in {setting.task for setting in missing}:
        make_env(task, 0).close()  # a name that is not known, or a package that is missing, is told at once
    print(f"{len(wanted) - len(missing)} of {len(wanted)} runs are done; {len(missing)} to go")
    if missing:
        _train_all(missing, evals, options)
    write_report(evals, options.out)
    print(f"report: {options.out / 'report.md'}")


def _train_all(missing: list[Setting], evals: Path, options: argparse.Namespace) -> None:
    with tqdm(total=len(missing) * options.steps, unit="step", smoothing=0.05) as bar:
        if options.ray_address:
            _train_on_ray(missing, evals, options.ray_address, bar)
            return
        context, manager = get_context("spawn"), SyncManager()
        manager.start(_end_with_parent)
        workers = ProcessPoolExecutor(options.processes, context, initializer=_end_with_parent)
        with manager, workers as pool:
            ticks = manager.Queue()
            waiting = {pool.submit(train, setting, evals, ticks.put) for setting in missing}
            while waiting:
                ready = [future for future in waiting if future.done()]
                for future in ready:
                    future.result()
                    waiting.remove(future)
                try:
                    bar.update(ticks.get(timeout=1.0))
                except Empty:
                    continue


def _end_with_parent() -> None:
    """Let this process be ended when its parent dies, however that does; else it would train on (Linux)."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _train_on_ray(missing: list[Setting], evals: Path, address: str, bar: tqdm) -> None:
    try:
        import ray
    except ImportError:
        raise VarlError("--ray-address needs Ray; pip install ray") from None
    ray.init(address=address, ignore_reinit_error=True)
    remote = ray.remote(num_cpus=1)(train)
    for task in [remote.remote(setting, evals, _unheard) for setting in missing]:
        ray.get(task)
        bar.update(missing[0].steps)


def _unheard(steps: int) -> None:
    """Progress within a run does not reach the bar from another machine."""


def _key(setting: Setting) -> tuple[str, ...]:
    return tuple(str(v) for v in (setting.task, setting.label, setting.error_rate, setting.seed, setting.steps))


def _keep_finished(evals: Path) -> set[tuple[str, ...]]:
    """Runs that ``evals`` holds to their last step; the rows of the others, cut off, are taken out.

    Raises:
        VarlError: it is somebody else's file.
    """
    if not evals.exists():
        return set()
    with evals.open(newline="") as file:
        if tuple(next(csv.reader(file), ())) != COLUMNS:
            raise VarlError(f"{evals} has other columns than a bench's; name another --out, or move that file away")
        file.seek(0)
        rows = [row for row in csv.DictReader(file) if row["step"] and None not in row.values()]
    keys = [tuple(row[name] for name in ("task", "method", "error_rate", "seed", "total_steps")) for row in rows]
    done = {key for key, row in zip(keys, rows, strict=True) if int(row["step"]) == int(row["total_steps"])}
    aside = evals.with_suffix(".part")
    with aside.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(row for key, row in zip(keys, rows, strict=True) if key in done)
    aside.replace(evals)
    return done

"""Updates per second of SAC on one core, and the replay store's times: writes benchmarks/results/speed.json.

Stable-Baselines3, SBX (JAX) and VARL's fast update take turns in one process, on the same networks (2 x 256), sizes
(observation 39, action 4) and data, so that whatever else the machine does falls on all of them alike. A figure is the
median over the windows; a ratio is the median of the ratios within each window. Rates are per second of CPU time.
Where there is a GPU, and a torch that sees it, the same on the GPU (benchmarks/gpu.py).

``python benchmarks/speed.py`` makes an environment of its own for this in .ros/bench (2 GB) and runs itself there.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parents[1]
BENCH = REPOSITORY / ".ros" / "bench"
RIVALS = ("sbx-rl==0.28.0", "stable-baselines3==2.9.2", "h5py==3.16.0", "lmdb==3.0.0", "zarr==3.1.6")
OWN = ("numpy", "scipy", "numba", "llvmlite", "threadpoolctl", "pydantic", "pyyaml", "gymnasium", "rich")
OBS, ACT, WIDTH = 39, 4, 256
ROWS = 1_000_000


def enter() -> None:
    """Go on in the benchmark's own environment, made if need be."""
    python, made_of = BENCH / "bin" / "python", BENCH / "made_of"
    pins = [line for line in (REPOSITORY / "requirements" / "python.lock").read_text().splitlines() if "==" in line]
    own = [pin for pin in pins if pin.split("==")[0].lower() in OWN]
    wanted = "\n".join([*RIVALS, *own])
    if not made_of.exists() or made_of.read_text() != wanted:
        subprocess.run([sys.executable, "-m", "venv", "--clear", BENCH], check=True)
        pip: list[str | Path] = [python, "-m", "pip", "install"]
        alone = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}  # ROS's packages are there
        subprocess.run([*pip, "-r", REPOSITORY / "requirements" / "torch.lock"], check=True, env=alone)
        subprocess.run([*pip, *RIVALS, *own], check=True, env=alone)
        made_of.write_text(wanted)
    environment = {
        **os.environ,
        "PYTHONPATH": f"{REPOSITORY / 'src' / 'varl_common'}:{REPOSITORY / 'src' / 'varl_agent'}",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
    }
    os.execve(python, [str(python), *sys.argv, "--inside"], environment)


def own_flops(batch: int) -> float:
    """Floating-point operations in the matrix products of one fast update."""
    actor = OBS * WIDTH + WIDTH * WIDTH + WIDTH * 2 * ACT
    critic = (OBS + ACT) * WIDTH + WIDTH * WIDTH + WIDTH
    forward = 2 * actor + 3 * 2 * critic  # actor on s and s'; target critics, critics on the data and on the new action
    back_critics = 2 * (critic + WIDTH * WIDTH)  # gradients of the weights, and of the first hidden layer
    back_action = WIDTH * WIDTH + WIDTH * ACT  # through one critic per row
    back_actor = actor + WIDTH * WIDTH + WIDTH * 2 * ACT
    return 2.0 * batch * (forward + back_critics + back_action + back_actor)


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """All of it."""
    os.sched_setaffinity(0, {sorted(os.sched_getaffinity(0))[-1]})  # one core, whatever an implementation would like
    import varl_agent.openblas  # noqa: F401, I001 (before numpy)
    import numpy as np
    import torch
    from gpu import measure as measure_gpu
    from learners import Learners
    from varl_agent.processor import identity

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        learners = Learners(Path(folder), OBS, ACT)
        models = learners.of_a_cpu()
        rates, walls = turns(models, arguments.windows, arguments.seconds)
        peak = gemm_peak(arguments.windows)
        gpu = measure_gpu(learners, WIDTH, arguments.windows, arguments.seconds)
        replay = measure_replay(Path(folder) / "big")
        stores = compare_stores(Path(folder))

    def ratio(case: str, a: str, b: str) -> float:
        return float(np.median(np.array(rates[case][a]) / np.array(rates[case][b])))

    fast = float(np.median(rates["batch256_utd20"]["varl"]))
    return {
        "ratio_sb3_utd1": ratio("batch256_utd1", "varl", "sb3"),
        "ratio_sbx_utd1": ratio("batch256_utd1", "varl", "sbx"),
        "ratio_sbx_utd20": ratio("batch256_utd20", "varl", "sbx"),
        "ratio_sb3_batch64": ratio("batch64_utd1", "varl", "sb3"),
        "peak_fraction": fast * own_flops(256) / peak,
        "guidance_cost": ratio("batch256_utd1", "varl", "varl_guided") - 1,
        "guidance_cost_plans": ratio("batch256_utd1", "varl", "varl_planned") - 1,
        "ratio_sb3_layernorm": ratio("batch256_utd1", "varl_layernorm", "sb3_layernorm"),
        "ratio_sb3_shipped": ratio("batch256_utd1", "shipped", "sb3_layernorm"),
        **replay,
        "updates_per_cpu_second": {case: medians(values) for case, values in rates.items()},
        "updates_per_second": {case: medians(values) for case, values in walls.items()},
        "gemm_peak_gflops": peak / 1e9,
        "own_mflop_per_update": own_flops(256) / 1e6,
        "gpu": gpu,
        "replay_stores": stores,
        "windows": arguments.windows,
        "seconds_per_window": arguments.seconds,
        "load_average": os.getloadavg(),
        "versions": {name: version(name) for name in ("torch", "stable-baselines3", "sbx-rl", "jax", "numpy", "numba")},
        "machine": {
            "processor": identity().get("model name", platform.machine()),
            "cpus": os.cpu_count(),
            "python": platform.python_version(),
        },
    }


def turns(models: dict[str, Any], windows: int, seconds: float) -> tuple[dict[str, Any], dict[str, Any]]:
    """Rates per CPU second and per second of each implementation in each window."""
    from varl_common.host.progress import progress

    compared = ("sb3", "sbx", "varl")
    cases = {
        "batch256_utd1": (256, 1, tuple(models)),
        "batch256_utd20": (256, 20, compared),
        "batch64_utd1": (64, 1, compared),
        "batch64_utd20": (64, 20, compared),
    }
    rates: dict[str, Any] = {case: {name: [] for name in names} for case, (_, _, names) in cases.items()}
    walls: dict[str, Any] = {case: {name: [] for name in names} for case, (_, _, names) in cases.items()}
    for case, (batch, utd, names) in cases.items():
        for name in names:
            for _ in range(2):
                models[name](utd, batch)  # compile
        for _ in progress(range(windows), case, windows):
            for name in names:
                cpu, wall, updates = time.process_time(), time.perf_counter(), 0
                while time.process_time() - cpu < seconds:
                    models[name](utd, batch)
                    updates += utd
                rates[case][name].append(updates / (time.process_time() - cpu))
                walls[case][name].append(updates / (time.perf_counter() - wall))
        print(case, {name: round(value, 1) for name, value in medians(rates[case]).items()}, flush=True)
    return rates, walls


def gemm_peak(windows: int) -> float:
    """Floating-point operations per CPU second of the fastest matrix product at hand: either library, any size."""
    import numpy as np
    import torch

    best = 0.0
    for size in (256, 512, 1024, 2048):
        a, b, out = (torch.rand(size, size) for _ in range(3))
        arrays = a.numpy(), b.numpy(), out.numpy()
        products: tuple[Callable[[], Any], ...] = (
            lambda a=a, b=b, out=out: torch.mm(a, b, out=out),  # type: ignore[misc]
            lambda arrays=arrays: np.dot(*arrays),  # type: ignore[misc]
        )
        for product in products:
            times = max(1, 2**29 // size**3)
            rates = []
            for _ in range(windows):
                start = time.thread_time()
                for _ in range(times):
                    product()
                rates.append(times * 2 * size**3 / (time.thread_time() - start))
            best = max(best, float(np.median(rates)))
    return best


def measure_replay(folder: Path) -> dict[str, float]:
    """A store of a million rows: the time of a batch of 256, of a flush of 1,000 rows, of reopening, and its memory."""
    import gymnasium
    import numpy as np
    from varl_agent.replay.buffer import PersistentReplayBuffer

    before = resident()
    spaces = gymnasium.spaces.Box(-9, 9, (OBS,), np.float32), gymnasium.spaces.Box(-1, 1, (ACT,), np.float32)
    buffer = PersistentReplayBuffer(ROWS, *spaces, device="cpu", folder=folder)
    store = buffer.store
    row = np.ones(1, store.layout.row)
    for _ in range(ROWS):
        store.append(row)
    buffer._follow()
    store.flush()
    flushes, samples = [], []
    for _ in range(15):
        for _ in range(1000):
            store.append(row)
        start = time.perf_counter()
        store.flush()
        flushes.append(1e3 * (time.perf_counter() - start))
    for _ in range(50):
        start = time.thread_time()
        for _ in range(20):
            buffer.sample(256)
        samples.append(1e6 * (time.thread_time() - start) / 20)
    memory = resident() - before
    store.close()
    start = time.perf_counter()
    reopened = PersistentReplayBuffer(ROWS, *spaces, device="cpu", folder=folder)
    reopening = time.perf_counter() - start
    assert reopened.full
    return {
        "replay_sample_us": float(np.median(samples)),
        "replay_flush_ms": float(np.median(flushes)),
        "replay_rss_mb": memory,
        "replay_reopen_s": reopening,
    }


def compare_stores(folder: Path) -> dict[str, dict[str, float]]:
    """What others take to append and flush 1,000 rows of this size, and to read 256 random ones of 100,000."""
    import h5py
    import lmdb
    import numpy as np
    import zarr

    count, width = 100_000, 2 * OBS + ACT + 3
    data = np.ones((count, width), np.float32)
    picks = [np.sort(np.random.default_rng(i).choice(count, 256, replace=False)) for i in range(5)]
    hdf = h5py.File(folder / "rows.h5", "w")
    table = hdf.create_dataset("rows", data=data, maxshape=(None, width), chunks=(1000, width))
    array = zarr.create_array(store=folder / "rows.zarr", shape=data.shape, chunks=(1000, width), dtype="float32")
    array[:] = data
    base = lmdb.open(str(folder / "rows.lmdb"), map_size=1 << 30)
    with base.begin(write=True) as transaction:
        for i in range(count):
            transaction.put(i.to_bytes(8, "big"), data[i].tobytes())

    def append_hdf() -> None:
        table.resize(len(table) + 1000, axis=0)
        table[-1000:] = data[:1000]
        hdf.flush()

    def append_zarr() -> None:
        array.append(data[:1000])

    def append_lmdb() -> None:
        with base.begin(write=True) as transaction:
            start = transaction.stat()["entries"]
            for i in range(1000):
                transaction.put((start + i).to_bytes(8, "big"), data[i].tobytes())

    def read_lmdb(rows: Any) -> None:
        with base.begin() as transaction:
            np.stack([np.frombuffer(transaction.get(int(i).to_bytes(8, "big")), np.float32) for i in rows])

    mapped = np.memmap(folder / "rows.memmap", np.float32, "w+", shape=(count + 10_000, width))
    mapped[:count] = data
    mapped.flush()
    end = count

    def append_memmap() -> None:
        nonlocal end
        mapped[end : end + 1000] = data[:1000]
        end += 1000
        mapped.flush()

    operations: dict[str, tuple[Callable[[], Any], Callable[[Any], Any]]] = {
        "hdf5": (append_hdf, lambda rows: table[rows]),
        "zarr": (append_zarr, lambda rows: array.oindex[rows]),
        "lmdb": (append_lmdb, read_lmdb),
        "memmap": (append_memmap, lambda rows: mapped[rows]),  # no counts, no recovery: what any store costs at least
    }
    found = {}
    for name, (append, read) in operations.items():
        reads = [timed(functools.partial(read, rows), 1) for rows in picks]
        found[name] = {"flush_ms": 1e3 * timed(append, 5), "sample_us": 1e6 * sorted(reads)[len(reads) // 2]}
    return found


def timed(function: Callable[[], Any], times: int) -> float:
    """Seconds of a call, median."""
    found = []
    for _ in range(times):
        start = time.perf_counter()
        function()
        found.append(time.perf_counter() - start)
    return sorted(found)[times // 2]


def medians(values: dict[str, list[float]]) -> dict[str, float]:
    """The median of each."""
    return {name: sorted(found)[len(found) // 2] for name, found in values.items()}


def resident() -> float:
    """This process's resident memory in MB."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--windows", type=int, default=21, help="turns of each implementation (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=0.5, help="CPU seconds of a turn (default: %(default)s)")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if not arguments.inside:
        enter()
    results = measure(arguments)
    path = REPOSITORY / "benchmarks" / "results" / "speed.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(results, indent=2) + "\n")
    print({name: round(value, 3) for name, value in results.items() if isinstance(value, float)})
    print(f"wrote {path}")


if __name__ == "__main__":
    main()

"""What a second arm brings: environment steps per second of two env nodes against one; writes results/fleet.json.

Each arm has a simulator and an env node in a namespace of its own, in lock-step;
both are one vectorised environment to a learner. The physics runs in finer steps than usual, so that the simulator,
not the messages, takes the time. One arm and two are measured in turns.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parents[1]
CONFIG = REPOSITORY / "config"
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np  # noqa: E402
import rclpy  # noqa: E402
from ament_index_python.packages import get_package_prefix  # noqa: E402
from varl_agent.vec_env.fleet import Fleet  # noqa: E402
from varl_agent.vec_env.parallel_env import ParallelEnv  # noqa: E402
from varl_common.host.domain import free_domain, one_host  # noqa: E402
from varl_common.host.progress import progress  # noqa: E402
from varl_robot_env.ros.ros_env import RosEnv  # noqa: E402

FINE = 0.00005  # s a physics step: 40 times finer than config/simulator.yaml
ARMS = ("arm_a", "arm_b")


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=100, help="of each arm in a window (default: %(default)s)")
    parser.add_argument("--windows", type=int, default=5, help="of one arm and of two (default: %(default)s)")
    parser.add_argument("--output", type=Path, default=REPOSITORY / "benchmarks" / "results" / "fleet.json")
    arguments = parser.parse_args()
    free = free_cores()
    with free_domain() as domain, tempfile.TemporaryDirectory() as folder:
        os.environ |= one_host(CONFIG / "dds/one_host.xml", os.environ.get("ROS_DISTRO")) | {
            "ROS_DOMAIN_ID": str(domain)
        }
        finer = Path(folder) / "finer.yaml"  # a file: a single -p does not override one
        finer.write_text(f"/**/simulator: {{ros__parameters: {{timestep: {FINE}}}}}\n", encoding="utf-8")
        processes = [process for arm in ARMS for process in start(arm, finer)]
        try:
            rclpy.init()
            node = rclpy.create_node("fleet_benchmark")
            robots: list[Any] = [RosEnv(node, env_name=f"{arm}/env") for arm in ARMS]
            one = ParallelEnv(robots[:1], seed=0)
            two = Fleet(robots, lambda index: robots[index], seed=0, lock_step=True, patience=60.0, say=print)
            rates: dict[int, list[float]] = {1: [], 2: []}
            pids = [os.getpid(), *(process.pid for process in processes)]
            spent = dict.fromkeys(pids, 0.0)
            for _ in progress(range(arguments.windows), "windows", arguments.windows):
                for env in (one, two):
                    before = {pid: cpu_seconds(pid) for pid in pids}
                    rates[env.num_envs].append(steps_per_second(env, arguments.steps))
                    for pid in pids:
                        spent[pid] += cpu_seconds(pid) - before[pid]
        finally:
            for process in processes:
                process.kill()
            rclpy.try_shutdown()
    medians = {arms: statistics.median(values) for arms, values in rates.items()}
    result = {
        "steps_per_second_one": round(medians[1], 1),
        "steps_per_second_two": round(medians[2], 1),
        "ratio": round(medians[2] / medians[1], 3),
        "simulators_share_of_cpu": round(sum(spent[p] for p in pids[1::2]) / sum(spent.values()), 2),
        "windows": rates,
        "physics_step_s": FINE,
        "cores": os.cpu_count(),
        "free_cores": round(free, 2),  # of two: with fewer, two simulators cannot run side by side
    }
    print(json.dumps(result, indent=2))
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


def start(arm: str, finer: Path) -> list[subprocess.Popen[bytes]]:
    """A simulator and an env node in the namespace ``arm``."""
    files = ["-p", f"robot_file:={CONFIG / 'robots/varl_arm.yaml'}", "-p", f"task_file:={CONFIG / 'tasks/reach.yaml'}"]
    simulator = ["--params-file", str(CONFIG / "simulator.yaml"), "--params-file", str(finer)]
    simulator += ["-p", "lock_step:=true"]
    folder = Path(get_package_prefix("varl_robot_env")) / "lib" / "varl_robot_env"
    return [
        subprocess.Popen([str(folder / name), "--ros-args", "-r", f"__ns:=/{arm}", *files, *words])
        for name, words in (("simulator", simulator), ("env", []))
    ]


def free_cores() -> float:
    """How much of two cores two busy processes are given now, beside whatever else runs."""
    began, before = time.perf_counter(), os.times()
    busy = "import time\nend = time.time() + 2\nwhile time.time() < end: pass"
    for process in [subprocess.Popen([sys.executable, "-S", "-c", busy]) for _ in range(2)]:
        process.wait()
    after = os.times()
    return (after.children_user - before.children_user) / (time.perf_counter() - began)


def cpu_seconds(pid: int) -> float:
    """What the process has used so far."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def steps_per_second(env: ParallelEnv, steps: int) -> float:
    """Of all arms together, with random actions; resets are not counted."""
    actions = np.random.default_rng(0).uniform(-1, 1, (steps, env.num_envs, *env.action_space.shape))  # type: ignore[misc]
    env.reset()
    spent = 0.0
    for action in actions:
        began = time.perf_counter()
        _, _, dones, _ = env.step(action.astype(np.float32))
        if not dones.any():
            spent += time.perf_counter() - began
        else:
            steps -= 1
    return steps * env.num_envs / spent


if __name__ == "__main__":
    main()

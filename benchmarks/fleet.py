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
import time
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parents[1]
CONFIG = REPOSITORY / "config"
os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
os.environ["FASTDDS_DEFAULT_PROFILES_FILE"] = str(CONFIG / "dds" / "one_host.xml")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np  # noqa: E402
import rclpy  # noqa: E402
from ament_index_python.packages import get_package_prefix  # noqa: E402
from domain_coordinator import domain_id  # noqa: E402
from varl_agent.parallel_env import ParallelEnv  # noqa: E402
from varl_robot_env.ros_env import RosEnv  # noqa: E402

FINE = 0.0002  # s a physics step: ten times finer than config/simulator.yaml
ARMS = ("arm_a", "arm_b")


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=100, help="of each arm in a window (default: %(default)s)")
    parser.add_argument("--windows", type=int, default=5, help="of one arm and of two (default: %(default)s)")
    parser.add_argument("--output", type=Path, default=REPOSITORY / "benchmarks" / "results" / "fleet.json")
    arguments = parser.parse_args()
    load = os.getloadavg()[0]
    with domain_id() as domain:
        os.environ["ROS_DOMAIN_ID"] = str(domain)
        processes = [process for arm in ARMS for process in start(arm)]
        try:
            rclpy.init()
            node = rclpy.create_node("fleet_benchmark")
            robots: list[Any] = [RosEnv(node, env_name=f"{arm}/env") for arm in ARMS]
            one, two = ParallelEnv(robots[:1], seed=0), ParallelEnv(robots, seed=0)
            rates: dict[int, list[float]] = {1: [], 2: []}
            for _ in range(arguments.windows):
                for env in (one, two):
                    rates[env.num_envs].append(steps_per_second(env, arguments.steps))
        finally:
            for process in processes:
                process.kill()
            rclpy.try_shutdown()
    medians = {arms: statistics.median(values) for arms, values in rates.items()}
    result = {
        "steps_per_second_one": round(medians[1], 1),
        "steps_per_second_two": round(medians[2], 1),
        "ratio": round(medians[2] / medians[1], 3),
        "windows": rates,
        "physics_step_s": FINE,
        "cores": os.cpu_count(),
        "load_before": round(load, 2),
    }
    print(json.dumps(result, indent=2))
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


def start(arm: str) -> list[subprocess.Popen[bytes]]:
    """A simulator and an env node in the namespace ``arm``."""
    robot = ["-p", f"robot_file:={CONFIG / 'robots/varl_arm.yaml'}"]
    simulator = ["--params-file", str(CONFIG / "simulator.yaml"), "-p", "lock_step:=true", "-p", f"timestep:={FINE}"]
    env = ["-p", f"task_file:={CONFIG / 'tasks/reach.yaml'}"]
    folder = Path(get_package_prefix("varl_robot_env")) / "lib" / "varl_robot_env"
    return [
        subprocess.Popen([str(folder / name), "--ros-args", "-r", f"__ns:=/{arm}", *robot, *words])
        for name, words in (("simulator", simulator), ("env", env))
    ]


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

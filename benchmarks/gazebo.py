"""Reach is learned in Gazebo itself: `ros2 launch varl_bringup train_sim backend:=gazebo`, and by the clock.

    VARL_ROS_UNDERLAY=/opt/ros/jazzy/setup.bash python -m benchmarks.gazebo

Writes benchmarks/results/gazebo.json, run by run, and goes on from what is there: the success in 50 episodes of each
seed's policy, in lock-step (`train_sim`) and by the clock (`train_real`); how long a step in lock-step takes; and how
far the joints are apart when the same actions follow the same reset once more.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import rclpy
from numpy.typing import NDArray
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import JointState
from varl_common.host.domain import free_domain
from varl_common.ros.messages import to_ns
from varl_robot_env.config.paths import config_file
from varl_robot_env.config.robot import RobotConfig
from varl_robot_env.ros.ros_env import RosEnv

from benchmarks.advice.trainer import commit
from benchmarks.real.driver import ROOT, UNDERLAY, end, refuse_without_underlay, sources, start

RESULTS = ROOT / "benchmarks/results/gazebo.json"
NEEDED = ("ros_gz_sim", "ros_gz_bridge", "gz_ros2_control", "controller_manager", "ros2launch")
ROBOT = RobotConfig.from_yaml(config_file("robots", "varl_arm"))
PROGRAMS = {"lockstep": "train_sim", "clock": "train_real"}
BRING_UP = 300.0  # s
EPISODES, STEPS = 5, 40  # of the repetition
RESTS = 0.7  # s after a reset: what stands still is told again every half second


def launched(program: str, folder: Path, *words: str) -> subprocess.Popen[bytes]:
    command = ["ros2", "launch", "varl_bringup", f"{program}.launch.py", "backend:=gazebo", *words]
    return start(command, folder / f"{program}.log", varl=True)


def trained(program: str, seed: int, folder: Path, words: list[str]) -> dict[str, Any]:
    """A training as shipped, to its end."""
    run = folder / "run"
    process = launched(program, folder, f"seed:={seed}", f"run_dir:={run}", *words)
    try:
        status = process.wait()
    finally:
        end(process)
    if status:
        raise SystemExit(f"error: the training ended with {status}; look into {folder}")
    summary = json.loads((run / "summary.json").read_text(encoding="utf-8"))
    kept = ("success_rate", "evaluation_episodes", "steps", "first_success_step", "wall_s", "advisor")
    return {"commit": commit()} | {name: summary[name] for name in kept}


class Joints:
    """Hears where the joints are."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._time, self._positions = 0, np.empty(0)
        node.create_subscription(JointState, "joint_states", self._note, qos_profile_sensor_data)

    def _note(self, message: JointState) -> None:
        if (at := to_ns(message.header.stamp)) >= self._time:
            positions = dict(zip(message.name, message.position, strict=True))
            self._time, self._positions = at, np.array([positions[joint] for joint in ROBOT.joints])

    def at(self, time_ns: int) -> NDArray[np.float64]:
        """Positions of the arm's joints at that time of the simulation, rad."""
        while self._time < time_ns:
            rclpy.spin_once(self._node, timeout_sec=1.0)
        return self._positions

    def newest(self) -> int:
        """Time of the state that stands, ns."""
        end = time.monotonic() + RESTS
        while time.monotonic() < end:
            rclpy.spin_once(self._node, timeout_sec=0.01)
        return self._time


def repeated(folder: Path) -> dict[str, float]:
    """Episodes by a seed and its random actions, each once more: the joints' distance, and the time of a step."""
    process = launched("env", folder)
    node = rclpy.create_node("benchmark")
    joints = Joints(node)
    apart, times = [], []
    try:
        env = RosEnv(node, timeout=BRING_UP)
        period = round(env.description.control_period * 1e9)
        for seed in range(EPISODES):
            paths = []
            for _ in range(2):
                rng = np.random.default_rng(seed)
                env.reset(seed=seed)
                began = joints.newest()
                path = [joints.at(began)]
                for step in range(1, STEPS + 1):
                    begin = time.perf_counter()
                    env.step(rng.uniform(-1, 1, env.action_space.shape).astype(np.float32))
                    times.append(time.perf_counter() - begin)
                    path.append(joints.at(began + step * period))
                paths.append(path)
            apart.append(float(np.abs(np.array(paths[1]) - np.array(paths[0])).max()))
        env.close()
    finally:
        node.destroy_node()
        end(process)
    return {"repeat_max_mrad": round(1000 * max(apart), 2), "step_ms": round(1000 * float(np.median(times)), 2)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--modes", nargs="+", choices=PROGRAMS, default=list(PROGRAMS))
    parser.add_argument("--sources", type=Path, default=UNDERLAY.parent / "SOURCES.txt", help="what was built")
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("words", nargs="*", help="launch arguments: advisor:=scripted")
    arguments = parser.parse_args()
    refuse_without_underlay(NEEDED)
    results = json.loads(arguments.out.read_text(encoding="utf-8")) if arguments.out.is_file() else {}
    runs = results.setdefault("runs", {})
    results["sources"] = sources(arguments.sources)

    def write() -> None:
        for mode in PROGRAMS:
            rates = [run["success_rate"] for name, run in runs.items() if name.startswith(mode)]
            if rates:
                results[f"reach_{mode}"] = round(float(np.mean(rates)), 3)
        arguments.out.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")

    jobs = [("", 0)] * ("step_ms" not in results) + [
        (mode, seed) for seed in arguments.seeds for mode in arguments.modes
    ]
    for mode, seed in jobs:
        if f"{mode}_{seed}" in runs:
            continue
        folder = Path(tempfile.mkdtemp(prefix="varl-gazebo-"))
        print(f"logs: {folder}", flush=True)
        with free_domain() as domain:
            os.environ["ROS_DOMAIN_ID"], os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = str(domain), "LOCALHOST"
            if mode:
                runs[f"{mode}_{seed}"] = trained(PROGRAMS[mode], seed, folder, arguments.words)
            else:
                rclpy.init(args=[], domain_id=domain)
                try:
                    results |= repeated(folder)
                finally:
                    rclpy.try_shutdown()
        write()
        print(json.dumps({key: value for key, value in results.items() if key != "sources"}, indent=2), flush=True)


if __name__ == "__main__":
    main()

"""What the ROS 2 graph costs: writes benchmarks/results/graph.json.

Three questions, answered on one machine in one run, with ``reach`` and the defaults of config/:

- step_overhead_*_ms: how much longer a Step takes over the graph (lock-step) than the same step in process;
- lockstep_ratio: training steps per second over the graph against in process, SAC learning at one update a step;
- period_error_*_ms: how far the control period is from nominal in real time, with the learner learning as fast as it
  can in the acting process.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parents[1]
CONFIG = REPOSITORY / "config"
os.environ.setdefault("OMP_NUM_THREADS", "1")

import gymnasium  # noqa: E402
import numpy as np  # noqa: E402
import rclpy  # noqa: E402
from ament_index_python.packages import get_package_prefix  # noqa: E402
from varl_agent.training.control import TrainingControl  # noqa: E402
from varl_agent.training.run_folder import RunFolder  # noqa: E402
from varl_agent.training.settings import LearnerSettings, make_learning, make_model  # noqa: E402
from varl_agent.training.training import Schedule, Training, identity_of  # noqa: E402
from varl_agent.vec_env.parallel_env import ParallelEnv  # noqa: E402
from varl_common.host.domain import free_domain, one_host  # noqa: E402
from varl_common.host.progress import progress  # noqa: E402
from varl_common.yaml_file import load_yaml  # noqa: E402
from varl_robot_env.env.arm_env import ArmEnv  # noqa: E402
from varl_robot_env.ros.ros_env import RosEnv  # noqa: E402

BUSY = 8.0  # updates per step: at 20 Hz more than a core makes, so the learner never rests within an episode


class Timed(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Notes when each step was done; NaN at a reset, across which there is no period."""

    def __init__(self, env: Any) -> None:
        super().__init__(env)
        self.description = env.description
        self.times: list[float] = []

    def reset(self, **arguments: Any) -> Any:
        self.times.append(float("nan"))
        return super().reset(**arguments)

    def step(self, action: Any) -> Any:
        result = super().step(action)
        self.times.append(time.monotonic())
        return result


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=2000, help="paired steps of the overhead (default: %(default)s)")
    parser.add_argument(
        "--training-steps", type=int, default=1500, help="steps of each training (default: %(default)s)"
    )
    parser.add_argument("--seconds", type=float, default=60.0, help="of real time (default: %(default)s)")
    parser.add_argument("--output", type=Path, default=REPOSITORY / "benchmarks" / "results" / "graph.json")
    arguments = parser.parse_args()
    load = os.getloadavg()[0]  # of others, before this begins: a busy machine measures its business
    with free_domain() as domain:
        os.environ |= one_host(CONFIG / "dds/one_host.xml", os.environ.get("ROS_DISTRO")) | {
            "ROS_DOMAIN_ID": str(domain)
        }
        rclpy.init(domain_id=domain)
        results: dict[str, Any] = {"cpus": len(os.sched_getaffinity(0)), "load_before": round(load, 2)}
        with graph(lock_step=True) as env:
            results |= overhead(env, arguments.steps)
            results |= ratio(env, arguments.training_steps)
        with graph(lock_step=False) as env:
            results |= pacing(env, arguments.seconds)
        rclpy.try_shutdown()
    results |= {"machine": platform.processor() or platform.machine(), "python": platform.python_version()}
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text(json.dumps(results, indent=2) + "\n")
    print(json.dumps(results, indent=2))


def overhead(env: RosEnv, steps: int) -> dict[str, Any]:
    """The same steps in turn over the graph and in process; the overhead is the difference of each pair."""
    here = ArmEnv("reach")
    rng = np.random.default_rng(0)
    times = np.empty((steps, 2))
    ended = True
    for step in progress(range(steps), "paired steps", steps):
        if ended:
            env.reset(seed=step)
            here.reset(seed=step)
        action = rng.uniform(-1, 1, env.action_space.shape or ()).astype(np.float32)
        begin = time.perf_counter()
        over_graph = env.step(action)
        between = time.perf_counter()
        in_process = here.step(action)
        times[step] = between - begin, time.perf_counter() - between
        if not np.array_equal(over_graph[0], in_process[0]):
            raise RuntimeError(f"the graph and the process disagree at step {step}")
        ended = over_graph[2] or over_graph[3]
    over_graph_ms, in_process_ms = 1000 * times.T
    p50, p99 = np.percentile(over_graph_ms - in_process_ms, [50, 99])
    return {
        "step_overhead_p50_ms": round(p50, 3),
        "step_overhead_p99_ms": round(p99, 3),
        "step_graph_p50_ms": round(float(np.median(over_graph_ms)), 3),
        "step_in_process_p50_ms": round(float(np.median(in_process_ms)), 3),
    }


def ratio(env: RosEnv, steps: int) -> dict[str, Any]:
    """Twice each, in turn, so that a change of the machine's mood hits both."""
    speeds: dict[str, list[float]] = {"graph": [], "in_process": []}
    for _ in range(2):
        for name, one in (("graph", env), ("in_process", ArmEnv("reach"))):
            timed = Timed(one)
            settings = learner(steps)
            train(timed, settings, lock_step=True)
            learned = np.array(timed.times)
            learned = learned[np.isfinite(learned)][settings.sac.learning_starts :]
            speeds[name].append((len(learned) - 1) / (learned[-1] - learned[0]))
    graph_speed, here_speed = (float(np.mean(speeds[name])) for name in ("graph", "in_process"))
    return {
        "lockstep_ratio": round(graph_speed / here_speed, 3),
        "steps_per_s_graph": round(graph_speed, 1),
        "steps_per_s_in_process": round(here_speed, 1),
    }


def pacing(env: RosEnv, seconds: float) -> dict[str, Any]:
    """Real time, acting and learning in this process."""
    period = env.description.control_period
    timed = Timed(env)
    settings = learner(int(seconds / period), utd=BUSY)
    updates = train(timed, settings, lock_step=False)
    times = np.array(timed.times)
    periods = np.diff(times)
    learning = np.arange(len(periods)) > settings.sac.learning_starts
    errors = 1000 * np.abs(periods[learning & np.isfinite(periods)] - period)
    p50, p99 = np.percentile(errors, [50, 99])
    return {
        "period_error_p50_ms": round(p50, 3),
        "period_error_p99_ms": round(p99, 3),
        "period_error_max_ms": round(float(errors.max()), 3),
        "periods": len(errors),
        "updates_per_s_beside": round(updates / float(np.nanmax(times) - np.nanmin(times)), 1),
    }


def learner(steps: int, **sac: Any) -> LearnerSettings:
    """The learner's defaults, without a pause for evaluations and checkpoints."""
    values = load_yaml(CONFIG / "agent.yaml")["/**/learner"]["ros__parameters"]
    values |= {"run_dir": "", "steps": steps, "evaluate_every": 0, "checkpoint_every": 10 * steps}
    values["sac"] |= {"learning_starts": 100} | sac
    return LearnerSettings.from_dict(values, "benchmark")


def train(env: Timed, settings: LearnerSettings, lock_step: bool) -> int:
    """A training as the learner node's; returns the number of updates made."""
    vector, control = ParallelEnv([env], settings.seed), TrainingControl()
    with tempfile.TemporaryDirectory() as folder:
        run = RunFolder(Path(folder) / "run")
        run.create()
        model = make_model(settings, vector, None, lock_step, run.replay)
        learning = make_learning(settings, model, control.stopping.is_set, lock_step)
        keep = (settings.checkpoint_every, settings.keep_checkpoints)
        schedule = Schedule(settings.steps, settings.evaluate_every, settings.evaluation_episodes, *keep, lock_step)
        Training(model, vector, run, identity_of(env.description), schedule, learning, control).run()
    return int(model._n_updates)


@contextmanager
def graph(lock_step: bool) -> Iterator[RosEnv]:
    """The simulator and the env node as processes, and a client of them."""
    robot, task = CONFIG / "robots" / "varl_arm.yaml", CONFIG / "tasks" / "reach.yaml"
    processes = [
        start("simulator", f"robot_file:={robot}", f"task_file:={task}", f"lock_step:={str(lock_step).lower()}"),
        start("env", f"robot_file:={robot}", f"task_file:={task}"),
    ]
    node = rclpy.create_node("benchmark")
    try:
        env = RosEnv(node)
        yield env
        env.close()
    finally:
        node.destroy_node()
        for process in processes:
            process.send_signal(signal.SIGINT)
        for process in processes:
            process.wait(10)


def start(name: str, *parameters: str) -> subprocess.Popen[bytes]:
    """A node of varl_robot_env."""
    executable = Path(get_package_prefix("varl_robot_env")) / "lib" / "varl_robot_env" / name
    files = ["--params-file", str(CONFIG / "simulator.yaml")] if name == "simulator" else []
    words = [word for parameter in parameters for word in ("-p", parameter)]
    return subprocess.Popen([sys.executable, str(executable), "--ros-args", *files, *words])


if __name__ == "__main__":
    main()

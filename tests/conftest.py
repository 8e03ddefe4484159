"""The graph's nodes as processes, for tests of all of it."""

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import pytest
import yaml

CONFIG = Path(__file__).parents[1] / "config"
# Small networks and few episodes: what these tests look at does not depend on how well anything is learned.
QUICK = {
    "sac.net_arch": [32, 32],
    "sac.batch_size": 32,
    "sac.learning_starts": 60,
    "advice.trigger": [80, 130],
    "advice.states_per_query": 16,
    "advice.delay": 10,
    "evaluate_every": 150,
    "evaluation_episodes": 2,
    "final_episodes": 2,
    "filmed_episodes": 1,
    "checkpoint_every": 50,
}


class Processes:
    """Starts nodes; kills those that are left at the end. Their output is in ``<folder>/<name>.log``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._running: list[tuple[subprocess.Popen[bytes], IO[bytes]]] = []

    def node(self, package: str, executable: str, files: tuple[str, ...] = (), **parameters: Any) -> "Process":
        """Start a node with parameter files of config/ and parameters."""
        words = ["--ros-args"]
        for file in files:
            words += ["--params-file", str(CONFIG / file)]
        for name, value in parameters.items():
            words += ["-p", f"{name}:={str(value).lower() if isinstance(value, bool) else value}"]
        return self.command(package, executable, *words)

    def command(self, package: str, executable: str, *words: str) -> "Process":
        """Start what ``ros2 run <package> <executable> <words>`` would."""
        from ament_index_python.packages import get_package_prefix

        path = Path(get_package_prefix(package)) / "lib" / package / executable
        log = (self.folder / f"{executable}.log").open("ab")
        process = subprocess.Popen([str(path), *words], stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
        self._running.append((process, log))
        return Process(process, Path(log.name))

    def robot(self, task: str | Path = "reach") -> tuple["Process", "Process"]:
        """A simulator in lock-step and its env node. ``task``: a name, or a file."""
        robot_file = CONFIG / "robots/varl_arm.yaml"
        task_file = task if isinstance(task, Path) else CONFIG / f"tasks/{task}.yaml"
        files: Any = {"robot_file": robot_file, "task_file": task_file}
        simulator = self.node("varl_robot_env", "simulator", ("simulator.yaml",), **files, lock_step=True)
        return simulator, self.node("varl_robot_env", "env", **files)

    def advisor(self) -> "Process":
        """The scripted advisor."""
        return self.node("varl_vlm_advisor", "advisor", ("advisor.yaml",), backend="scripted")

    def learner(self, run_dir: Path, steps: int, **parameters: Any) -> "Process":
        """A learner of small networks."""
        given = {**QUICK, "run_dir": run_dir, "steps": steps, **parameters}
        return self.node("varl_agent", "learner", ("agent.yaml",), **given)

    def end(self) -> None:
        """Kill what still runs."""
        for process, log in self._running:
            if process.poll() is None:
                process.kill()
            process.wait()
            log.close()


class Process:
    """A node that runs."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.process = process
        self.log = log

    @property
    def output(self) -> str:
        """What it has said so far, and those of its name before it."""
        return self.log.read_text(errors="replace")

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.process.pid, number)

    def wait(self, seconds: float) -> int:
        """Its exit status; fails with its output where it does not end in time."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            pytest.fail(f"still running after {seconds} s: {self.output[-2000:]}")


@pytest.fixture
def processes(domain: int, tmp_path: Path) -> Iterator[Processes]:
    """Processes in a domain of their own."""
    started = Processes(tmp_path)
    yield started
    started.end()


def patient(values: Any, seconds: float) -> Any:
    """A robot's file in which no silence counts that is shorter: a test machine is busy with something else."""
    if isinstance(values, list):
        return [patient(value, seconds) for value in values]
    if not isinstance(values, dict):
        return values
    made = {key: patient(value, seconds) for key, value in values.items()}
    return made | {key: max(value, seconds) for key, value in made.items() if key == "stale_after" and value}


@pytest.fixture
def robot_values() -> dict[str, Any]:
    """UR5e's file, patient."""
    from varl_common.yaml_file import load_yaml

    values = load_yaml(CONFIG / "robots/ur5e.yaml")
    values["safety"] |= {"joint_effort": [150.0] * 6}
    values["driver"]["speed_scaling"]["stale_after"] = 0.2  # its default, of which the file says nothing
    return dict(patient(values, 0.6))


@pytest.fixture
def arm(processes: Any, robot_values: dict[str, Any], tmp_path: Path) -> Iterator[tuple[Any, Any]]:
    """A stand-in UR5e as processes: its client, a RosEnv, and a Watcher."""
    rclpy = pytest.importorskip("rclpy")
    from varl_robot_env.ros.ros_env import RosEnv

    from .arm_watcher import ROBOT_FILE, URDF, Watcher

    robot_file = tmp_path / "ur5e.yaml"
    robot_file.write_text(yaml.safe_dump(robot_values))
    processes.node("varl_robot_env", "standin_driver", robot_file=ROBOT_FILE, urdf_file=URDF, rate=250.0)
    task_file = CONFIG / "tasks/reach.yaml"
    env_node = processes.node("varl_robot_env", "env", robot_file=robot_file, task_file=task_file, backend="real")
    rclpy.init()
    client = rclpy.create_node("client")
    try:
        env = RosEnv(client, timeout=40.0)
    except Exception as error:
        pytest.fail(f"{error}: {env_node.output[-3000:]}")
    yield env, Watcher()
    rclpy.try_shutdown()


@pytest.fixture
def hand(ros: int) -> Iterator[Any]:
    """A person at a gamepad."""
    from .hand import Hand

    hand = Hand()
    yield hand
    hand.close()

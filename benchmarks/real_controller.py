"""How VARL drives ros2_control's own controllers: `ros2 launch` trains on them, measured at the wire.

    VARL_ROS_UNDERLAY=/opt/ros/jazzy/setup.bash nice -n -10 python -m benchmarks.real_controller --robots ur5e

Writes benchmarks/results/real_controller.json, a row an arm: the beat of a training to its end, beside a bare timer;
the acceleration of the joints over 50 ms, as a share of their bound; and how long after a stop, and after agent or env
were killed, the joints moved. The hardware is ros2_control's mock: it is where it is told to be a cycle later.
Times are those at which messages were sent and states were measured, by their own stamps. Robots that are not named
keep their rows.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import rclpy
from rclpy.executors import SingleThreadedExecutor
from std_srvs.srv import Trigger
from varl_common.host.domain import free_domain
from varl_common.ros.qos import LATCHED
from varl_robot_env.config.paths import config_file
from varl_robot_env.config.robot import RobotConfig

from benchmarks.real.driver import ROOT, UNDERLAY, Driver, end, processes_of, refuse_without_underlay, sources, start
from benchmarks.real.trace import Recorder, Trace
from benchmarks.real_time import beats_and_pauses
from varl_interfaces.msg import EnvStatus

RESULTS = ROOT / "benchmarks/results/real_controller.json"
ROBOTS = ("varl_arm", "ur5e")
WINDOW = 0.05  # s over which acceleration is taken
REST = 0.1  # s beside what braking takes, within which the arm has to rest
STOPS = 5
FAST = 0.3  # of a joint's bound of speed: a stop is worth measuring from there on
BRING_UP, SETTLED, RESUMED = 120.0, 1.5, 30.0  # s
OLDER = 3600  # s that a run may take longer than its steps: ways home, evaluations


class Rig:
    """A driver, a recorder, and `ros2 launch varl_bringup train_real` on them; one domain for all."""

    def __init__(self, robot: RobotConfig, folder: Path, words: list[str]) -> None:
        self.robot, self._folder, self._words = robot, folder, words
        self.driver = Driver(robot, folder)
        self._hears, self._asks = rclpy.create_node("recorder"), rclpy.create_node("benchmark")
        self.results: list[tuple[float, bool]] = []  # when the env told of a step or reset, and whether it was a step
        self.stops: list[tuple[float, str]] = []
        self._asks.create_subscription(EnvStatus, "env/status", self._on_status, LATCHED)
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self._asks)
        self.recorder = Recorder(self._hears, robot)
        self.training: subprocess.Popen[bytes] | None = None

    def _on_status(self, message: EnvStatus, information: dict[str, Any]) -> None:
        at = information["source_timestamp"] * 1e-9
        if message.stopped:
            self.stops.append((at, message.reason))
        else:
            self.results.append((at, len(message.action) > 0))

    def train(self, steps: int) -> subprocess.Popen[bytes]:
        """Begin a training; its output goes to a file of the folder."""
        number = len(list(self._folder.glob("train-*.log")))
        run = [f"steps:={steps}", f"run_dir:={self._folder / f'run-{number}'}", *self._words]
        command = ["ros2", "launch", "varl_bringup", "train_real.launch.py", f"robot:={self.robot.name}", *run]
        self.training = start(command, self._folder / f"train-{number}.log", varl=True)
        return self.training

    def spin(self, seconds: float, until: Callable[[], Any] = lambda: False) -> bool:
        deadline = time.monotonic() + seconds
        while not until():
            if time.monotonic() > deadline:
                return False
            self._executor.spin_once(timeout_sec=0.01)
        return True

    def moves(self) -> None:
        """Wait until it is commanded."""
        count = self.recorder.count
        if not self.spin(BRING_UP, lambda: self.recorder.count > count + 40):
            raise SystemExit(f"error: nothing was commanded in {BRING_UP:g} s; look into {self._folder}")

    def is_fast(self) -> None:
        """Wait until a joint is fast."""
        bound = np.array(self.robot.safety.joint_speed)

        def fast() -> bool:
            trace = self.recorder.last(0.05)
            return len(trace.times) > 5 and bool((np.abs(trace.speeds(trace.times[-1])) > FAST * bound).any())

        self.spin(RESUMED, fast)

    def call(self, service: str) -> bool:
        client = self._asks.create_client(Trigger, service)
        client.wait_for_service(10.0)
        future = client.call_async(Trigger.Request())
        self.spin(10.0, future.done)
        self._asks.destroy_client(client)
        return bool(future.result() and future.result().success)

    def kill(self, node: str) -> None:
        assert self.training
        for number, command in processes_of(self.training.pid).items():
            if f"/{node} --ros-args" in command:
                os.kill(number, signal.SIGKILL)
                return
        raise SystemExit(f"error: no node {node} runs; look into {self._folder}")

    def end(self) -> None:
        if self.training:
            end(self.training)
        self.driver.end()
        for node in (self._hears, self._asks):
            node.destroy_node()


def trained(rig: Rig, steps: int, folder: Path) -> tuple[dict[str, Any], Trace]:
    """A training to its end, with a bare timer beside it."""
    period = rig.robot.control_period
    file = folder / "timer.npy"
    training = rig.train(steps)
    rig.moves()
    timer = subprocess.Popen([sys.executable, "-m", "benchmarks.real.bare_timer", str(period), str(file)], cwd=ROOT)
    begin = time.time()
    rig.spin(steps * period + OLDER, lambda: training.poll() is not None)
    last = time.time()
    timer.terminate()
    timer.wait()
    if training.poll() != 0:
        raise SystemExit(f"error: the training ended with {training.poll()}; look into {folder}")
    trace = rig.recorder.trace().between(begin, last)
    wire = SimpleNamespace(commands=trace.sent.tolist(), results=rig.results)
    beats, pauses = beats_and_pauses(wire, [(begin, last)])  # type: ignore[arg-type]
    errors = 1000 * np.abs(beats - period)
    bare = np.diff(np.load(file))
    shares = trace.acceleration_shares(np.array(rig.robot.safety.joint_acceleration), WINDOW)
    gaps = np.diff(trace.times)
    row = {
        "minutes": round((last - begin) / 60, 2),
        "steps": steps,
        "commands": len(trace.sent),
        "missed": int((beats >= 1.5 * period).sum()),
        "missed_bare": int((bare >= 1.5 * period).sum()),
        "period_error_p50_ms": round(float(np.percentile(errors, 50)), 2),
        "period_error_p99_ms": round(float(np.percentile(errors, 99)), 2),
        "period_error_max_ms": round(float(errors.max()), 2),
        "bare_error_p99_ms": round(1000 * float(np.percentile(np.abs(bare - period), 99)), 2),
        "pauses": len(pauses),
        "acceleration_share_p50": round(float(np.percentile(shares, 50)), 3),
        "acceleration_share_p99": round(float(np.percentile(shares, 99)), 3),
        "acceleration_share_p999": round(float(np.percentile(shares, 99.9)), 3),
        "acceleration_share_max": round(float(shares.max()), 3),
        "controller_cycle_max_ms": round(1000 * float(gaps.max()), 1),
        "stops_not_injected": [reason for _, reason in rig.stops],
    }
    return row, trace


def rests(rig: Rig, at: float, speeds: np.ndarray) -> tuple[float, float]:
    """How long the arm moved after ``at``, s of the wall clock, and how long it may have."""
    rig.spin(SETTLED)
    braking = float((np.abs(speeds) / np.array(rig.robot.safety.joint_acceleration)).max())
    return rig.recorder.last(SETTLED + 1.0).rest_after(at), REST + braking


def stopped(rig: Rig) -> tuple[float, float]:
    """Of some stops in mid-course the one that took longest for what it may: how long, and what it may, s."""
    found = []
    for _ in range(STOPS):
        rig.is_fast()
        speeds = rig.recorder.last(0.05).speeds(time.time() - 0.01)
        at = time.time()
        rig.call("env/stop")
        found.append(rests(rig, at, speeds))
        if not rig.call("env/rearm"):
            raise SystemExit("error: the env does not rearm")
        rig.moves()
    return max(found, key=lambda one: one[0] - one[1])


def left_alone(rig: Rig, node: str) -> tuple[float, float]:
    """The same where a node is killed."""
    rig.is_fast()
    speeds = rig.recorder.last(0.05).speeds(time.time() - 0.01)
    at = time.time()
    rig.kill(node)
    found = rests(rig, at, speeds)
    assert rig.training
    end(rig.training)
    return found


def measured(robot: RobotConfig, steps: int, folder: Path, words: list[str], traced: Path | None) -> dict[str, Any]:
    """All of an arm's row."""
    rig = Rig(robot, folder, words)
    try:
        row, trace = trained(rig, steps, folder)
        if traced:
            save(trace, traced)
        print(json.dumps(row), flush=True)
        rig.train(100 * steps)
        rig.moves()
        of_stop = stopped(rig)
        of_agent = left_alone(rig, "learner")
        rig.train(100 * steps)
        rig.moves()
        of_env = left_alone(rig, "env")
    finally:
        rig.end()
    gone = max(of_agent, of_env, key=lambda one: one[0] - one[1])
    worst = max(of_stop, gone, key=lambda one: one[0] - one[1])
    milliseconds = {
        "rest_after_stop_ms": of_stop[0],
        "rest_after_stop_bound_ms": of_stop[1],
        "rest_after_agent_gone_ms": of_agent[0],
        "rest_after_env_gone_ms": of_env[0],
        "rest_after_gone_bound_ms": gone[1],
        "rest_bound_ms": worst[1],
    }
    return row | {name: round(1000 * value, 1) for name, value in milliseconds.items()}


def save(trace: Trace, path: Path) -> None:
    """The two seconds of the trace in which the joints' acceleration was greatest, and what was commanded then."""
    change = np.abs(np.diff(trace.joints, 2, axis=0)).max(axis=1)
    middle = trace.times[1 + int(change.argmax())]
    part = trace.between(middle - 1.0, middle + 1.0)
    points = max(len(motion.times) for motion in part.motions)
    times = np.full((len(part.motions), points), np.nan)
    positions = np.full((*times.shape, part.joints.shape[1]), np.nan)
    for row, motion in enumerate(part.motions):
        times[row, : len(motion.times)], positions[row, : len(motion.times)] = motion.times, motion.positions
    np.savez_compressed(
        path, time=part.times - middle, joints=part.joints, sent=part.sent - middle, times=times, positions=positions
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--robots", nargs="+", choices=ROBOTS, default=list(ROBOTS))
    parser.add_argument("--minutes", type=float, default=10.0, help="of the training, at the control period")
    parser.add_argument("--sources", type=Path, default=UNDERLAY.parent.parent / "SOURCES.txt", help="what was built")
    parser.add_argument("--trace", type=Path, help="also write the hardest two seconds of the last robot to this .npz")
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("words", nargs="*", help="launch arguments of train_real: seed:=1")
    arguments = parser.parse_args()
    refuse_without_underlay()
    commits = sources(arguments.sources)
    rows = json.loads(arguments.out.read_text(encoding="utf-8")) if arguments.out.is_file() else {}
    for name in arguments.robots:
        robot = RobotConfig.from_yaml(config_file("robots", name))
        steps = round(60 * arguments.minutes / robot.control_period)
        folder = Path(tempfile.mkdtemp(prefix=f"varl-real-{name}-"))
        print(f"logs of {name}: {folder}", flush=True)
        with free_domain() as domain:
            os.environ["ROS_DOMAIN_ID"], os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = str(domain), "LOCALHOST"
            rclpy.init(args=[], domain_id=domain)
            try:
                row = measured(robot, steps, folder, arguments.words, arguments.trace)
            finally:
                rclpy.try_shutdown()
        host = {"processors": os.cpu_count(), "nice": os.nice(0), "load_average": round(os.getloadavg()[0], 1)}
        rows[name] = row | host | {"sources": commits}
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        arguments.out.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")
        print(json.dumps({key: value for key, value in rows[name].items() if key != "sources"}, indent=2), flush=True)


if __name__ == "__main__":
    main()

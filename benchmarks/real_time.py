"""How a real arm would be driven: train_real against the stand-in driver, with faults, measured at the wire.

    python benchmarks/real_time.py --minutes 10 --fault-every 20

Writes benchmarks/results/real_time.json: how evenly commands come, how long a fault takes to a halted command, whether
anything moved while stopped, whether training went on after each rearm. Times are of receipt in this process, so its
own delays count against the stack.

With ``--pictures`` the policy learns from two stand-in cameras' pictures, encoder included, and a bare timer runs
beside it: how many beats either missed goes to benchmarks/results/pixels.json as well.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import rclpy
import yaml
from rcl_interfaces.srv import SetParameters
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import JointState
from std_msgs.msg import Bool
from std_srvs.srv import Trigger
from trajectory_msgs.msg import JointTrajectory
from varl_common.ros.qos import COMMAND, LATCHED
from varl_robot_env.config.robot import RobotConfig

from varl_interfaces.msg import EnvStatus, TrainingStatus

ROOT = Path(__file__).parents[1]
ROBOT_FILE = ROOT / "config/robots/ur5e.yaml"
RESULTS = ROOT / "benchmarks/results/real_time.json"
PIXELS = ROOT / "benchmarks/results/pixels.json"
CAMERAS = ("camera", "side_camera")
CAMERA_RATE, SIDE = 20.0, 128  # Hz: a new picture for each step; pixels of what is seen of it
PASSING = ("lost_commands",)  # it stops nothing; the leash and the next command cope
FAULTS = ("protective_stop", "program_stopped", "speed_zero", "silent", "contact", "estop", "late_commands", *PASSING)
PASSING_FOR = 3.0  # s
EPISODES = 50  # of the final evaluation
STOP_LIMIT, LOOK = 3.0, 1.0  # s: given to a stop to happen; looked at the arm that stands


class Wire:
    """What goes over the wire, with the monotonic time of its receipt."""

    def __init__(self) -> None:
        self.node = rclpy.create_node("real_time_benchmark")
        self.robot = RobotConfig.from_yaml(ROBOT_FILE)
        self.commands: list[float] = []
        self.results: list[tuple[float, bool]] = []  # of the env's steps and resets: when, and whether it was a step
        self.joints: np.ndarray | None = None
        self.env: EnvStatus | None = None
        self.training: TrainingStatus | None = None
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self.node)
        subscribe = self.node.create_subscription
        subscribe(JointTrajectory, self.robot.arm_command, lambda _: self.commands.append(time.monotonic()), COMMAND)
        subscribe(JointState, "joint_states", self._on_joints, qos_profile_sensor_data)
        subscribe(EnvStatus, "env/status", self._on_env, LATCHED)
        subscribe(TrainingStatus, "learner/status", self._on_training, LATCHED)
        self._estop = self.node.create_publisher(Bool, "env/estop", LATCHED)

    def _on_joints(self, message: JointState) -> None:
        if len(message.name) == len(self.robot.joints):
            self.joints = np.array(message.position)

    def _on_env(self, message: EnvStatus) -> None:
        self.env = message
        if not message.stopped:
            self.results.append((time.monotonic(), len(message.action) > 0))

    def _on_training(self, message: TrainingStatus) -> None:
        self.training = message

    @property
    def stopped(self) -> bool:
        return self.env is not None and self.env.stopped

    def spin(self, seconds: float, until: Any = lambda: False) -> bool:
        deadline = time.monotonic() + seconds
        while not until():
            if time.monotonic() > deadline:
                return False
            self._executor.spin_once(timeout_sec=0.005)
        return True

    def inject(self, fault: str) -> None:
        if fault == "estop":
            self._estop.publish(Bool(data=True))
            return
        request = SetParameters.Request(parameters=[Parameter("fault", value=fault).to_parameter_msg()])
        self._call(SetParameters, "standin_driver/set_parameters", request)

    def clear(self) -> None:
        self._estop.publish(Bool(data=False))
        self.inject("none")
        self._call(Trigger, "standin_driver/unlock_protective_stop", Trigger.Request())
        self._call(Trigger, "io_and_status_controller/resend_robot_program", Trigger.Request())

    def rearm(self) -> bool:
        return bool(self._call(Trigger, "env/rearm", Trigger.Request()).success)

    def _call(self, kind: Any, service: str, request: Any) -> Any:
        client = self.node.create_client(kind, service)
        try:
            if not client.wait_for_service(10.0):
                raise SystemExit(f"error: {service} does not answer")
            future = client.call_async(request)
            self.spin(10.0, future.done)
            return future.result()
        finally:
            self.node.destroy_client(client)


def beats_and_pauses(wire: Wire, quiet: list[tuple[float, float]]) -> tuple[np.ndarray, np.ndarray]:
    """Seconds between commands in these spans: within an episode or a way home, and from one of them to the other.

    After a step's result the next command may be the next step's, or the first of a way home: the result that follows
    it tells. After a reset's result the arm stands until the agent begins the episode.
    """
    times = np.array([at for at, _ in wire.results])
    beats, pauses = [], []
    for first, last in quiet:
        commands = [at for at in wire.commands if first + 1 < at < last]
        for before, after in itertools.pairwise(commands):
            i = int(np.searchsorted(times, after))
            come = i > 0 and times[i - 1] > before  # a result came between the two
            begun = come and not wire.results[i - 1][1]
            homing = come and (i == len(times) or not wire.results[i][1])
            (pauses if begun or homing else beats).append(after - before)
    return np.array(beats), np.array(pauses)


def one_fault(wire: Wire, fault: str) -> dict[str, Any]:
    """Let a fault happen, look, clear it as a person would, rearm, and see training go on."""
    if fault in PASSING:
        wire.inject(fault)
        wire.spin(PASSING_FOR)
        stopped = wire.stopped
        wire.inject("none")
        return {"fault": fault, "stopped": stopped}
    begin = time.monotonic()
    wire.inject(fault)
    came = wire.spin(STOP_LIMIT, lambda: wire.stopped)
    wire.spin(0.3)
    halted = max((at for at in wire.commands if at > begin), default=begin) - begin
    count, before, moved = len(wire.commands), wire.joints, 0.0
    reason = wire.env.reason if wire.env else ""
    deadline = time.monotonic() + LOOK
    while time.monotonic() < deadline:
        wire.spin(0.02)
        if before is not None and wire.joints is not None:
            moved = max(moved, float(np.abs(wire.joints - before).max()))
    commanded = len(wire.commands) - count
    wire.clear()
    wire.spin(0.5)
    rearmed = wire.rearm()
    count = len(wire.commands)
    resumed = wire.spin(10.0, lambda: len(wire.commands) > count + 20)
    return {
        "fault": fault,
        "stopped": came,
        "reason": reason,
        "halt_ms": round(1000 * halted, 1),
        "moved_rad": round(moved, 5),
        "commands_while_stopped": commanded,
        "rearmed": rearmed,
        "resumed": resumed,
    }


def measure(wire: Wire, minutes: float, fault_every: float) -> dict[str, Any]:
    if not wire.spin(90.0, lambda: len(wire.commands) > 50):
        raise SystemExit("error: no commands came in 90 s; look at the log that was named above")
    wire.commands.clear()
    begin, faults, others, names = time.monotonic(), [], [], itertools.cycle(FAULTS)
    quiet: list[tuple[float, float]] = []  # spans without a fault
    since = begin
    while time.monotonic() < begin + 60 * minutes:
        wire.spin(fault_every or 1.0, lambda: wire.stopped)
        if wire.stopped and wire.env:  # nothing was injected: a stop of the stack's own, as on a starved machine
            others.append(wire.env.reason)
            quiet.append((since, time.monotonic()))
            wire.rearm()
            wire.spin(10.0, lambda: not wire.stopped)
            since = time.monotonic()
        elif fault_every:
            quiet.append((since, time.monotonic()))
            faults.append(one_fault(wire, next(names)))
            print(f"{(time.monotonic() - begin) / 60:.1f} min", faults[-1], flush=True)
            since = time.monotonic()
    quiet.append((since, time.monotonic()))
    period = wire.robot.control_period
    beats, pauses = beats_and_pauses(wire, quiet)
    errors = 1000 * np.abs(beats - period)
    halts = [fault["halt_ms"] for fault in faults if "halt_ms" in fault]
    return {
        "minutes": minutes,
        "robot": wire.robot.name,
        "control_period_ms": 1000 * period,
        "commands": len(wire.commands),
        "period_error_p50_ms": round(float(np.percentile(errors, 50)), 2),
        "period_error_p99_ms": round(float(np.percentile(errors, 99)), 2),
        "period_error_max_ms": round(float(errors.max()), 2),
        "missed": int((beats >= 1.5 * period).sum()),  # a beat without a command
        "pauses": len(pauses),  # from an episode to the way home, and from there to the next episode
        "pause_p50_ms": round(1000 * float(np.median(pauses)), 1) if len(pauses) else None,
        "pause_max_ms": round(1000 * float(pauses.max()), 1) if len(pauses) else None,
        "faults": len(faults),
        "stops_not_injected": others,
        "halt_p50_ms": round(float(np.median(halts)), 1) if halts else None,
        "halt_max_ms": max(halts, default=None),
        "moved_while_stopped_rad": max((fault["moved_rad"] for fault in faults if "moved_rad" in fault), default=None),
        "commands_while_stopped": sum(fault.get("commands_while_stopped", 0) for fault in faults),
        "all_stopped_rearmed_resumed": all(
            fault["stopped"] and fault["rearmed"] and fault["resumed"] for fault in faults if "halt_ms" in fault
        ),
        "steps": wire.training.step if wire.training else None,
        "success_rate": round(wire.training.success_rate, 3) if wire.training else None,
        "load_average": os.getloadavg()[0],
        "each": faults,
    }


def evaluated(run: Path) -> dict[str, Any]:
    """How often the trained policy succeeds, with no faults any more."""
    subprocess.run(["varl", "evaluate", f"run:={run}", f"episodes:={EPISODES}"], check=True)
    return dict(json.loads((run / "evaluation.json").read_text(encoding="utf-8")))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--fault-every", type=float, default=20.0, help="seconds; 0: none")
    parser.add_argument("--rate", type=float, default=500.0, help="joint states a second")
    parser.add_argument("--pictures", action="store_true", help="the policy learns from pictures")
    parser.add_argument("launch", nargs="*", help="launch arguments of train_real: seed:=1")
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="varl-real-time-"))
    robot, words = ROBOT_FILE, arguments.launch
    if arguments.pictures:
        robot, words = _with_cameras(folder), [*words, "observation:=pixels"]
    with ExitStack() as processes:

        def start(command: Sequence[str], **how: Any) -> subprocess.Popen[bytes]:
            return processes.enter_context(_Running(command, **how)).process

        urdf = ROOT / "src/varl_robot_env/urdf/standin_ur5e.urdf"
        start(_standin("driver", robot_file=robot, rate=arguments.rate, urdf_file=urdf))
        for camera in CAMERAS if arguments.pictures else ():
            start(_standin("camera", camera=f"{camera}/{camera}", rate=CAMERA_RATE))
        print(f"log of the training: {folder / 'log'}", flush=True)
        steps = int(60 * arguments.minutes * 20 * 2)  # more than there is time for
        train = ["varl", "train_real", f"robot:={robot}", f"steps:={steps}", f"run_dir:={folder / 'run'}", *words]
        training = start(train, stdout=(folder / "log").open("w"), stderr=subprocess.STDOUT)
        rclpy.init()
        processes.callback(rclpy.try_shutdown)
        wire = Wire()
        woke = folder / "woke.npy"
        period = str(wire.robot.control_period)
        timer = start([sys.executable, "-m", "benchmarks.real.bare_timer", period, str(woke)], cwd=ROOT)
        result = measure(wire, arguments.minutes, arguments.fault_every)
        timer.terminate()
        timer.wait(60)
        result["missed_by_a_bare_timer"] = int((np.diff(np.load(woke)) >= 1.5 * wire.robot.control_period).sum())
        if arguments.pictures:
            beats = {"missed_beats": result["missed"], "missed_by_a_bare_timer": result["missed_by_a_bare_timer"]}
            beats["missed_beats_minutes"] = arguments.minutes
            figures = json.loads(PIXELS.read_text(encoding="utf-8")) | beats
            PIXELS.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
        wire.clear()
        training.send_signal(signal.SIGINT)
        training.wait(60)
        result["evaluated"] = evaluated(folder / "run")
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(json.dumps({key: value for key, value in result.items() if key != "each"}, indent=2))


class _Running:
    """A process, ended as by Ctrl-C at the end."""

    def __init__(self, command: Sequence[str], **how: Any) -> None:
        self.process = subprocess.Popen(command, **how)

    def __enter__(self) -> _Running:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            self.process.wait(60)


def _standin(name: str, **parameters: Any) -> list[str]:
    told = [word for key, value in parameters.items() for word in ("-p", f"{key}:={value}")]
    return ["python", "-c", f"from varl_robot_env.standin.{name}_node import main; main()", "--ros-args", *told]


def _with_cameras(folder: Path) -> Path:
    """The robot's file with two cameras, without depth."""
    robot = yaml.safe_load(ROBOT_FILE.read_text(encoding="utf-8"))
    topics = {"image_topic": "image_raw", "info_topic": "camera_info"}
    robot["cameras"] = [
        {"name": name, "stale_after": 0.2, "view": {"side": SIDE}}
        | {key: f"{name}/{name}/color/{topic}" for key, topic in topics.items()}
        for name in CAMERAS
    ]
    file = folder / ROBOT_FILE.name
    file.write_text(yaml.safe_dump(robot, sort_keys=False), encoding="utf-8")
    return file


if __name__ == "__main__":
    main()

"""ros2_control itself on mock hardware, from the ROS 2 that VARL_ROS_UNDERLAY names, as an arm's driver starts it."""

from __future__ import annotations

import os
import signal
import subprocess
import time
import xml.etree.ElementTree as xml
from collections.abc import Sequence
from pathlib import Path

import yaml
from ament_index_python.packages import get_package_prefix
from varl_robot_env.config.robot import RobotConfig

ROOT = Path(__file__).parents[2]
UNDERLAY = Path(os.environ.get("VARL_ROS_UNDERLAY", ""))
_PREFIXES = ("AMENT_PREFIX_PATH", "CMAKE_PREFIX_PATH", "COLCON_PREFIX_PATH", "FASTRTPS_DEFAULT_PROFILES_FILE")
_RUN = 'set +u; . "$0"; [ -z "$1" ] || . "$1"; shift; exec "$@"'
# What a UR's pendant says, and mock hardware cannot: the External Control program runs, the safety is NORMAL.
_PENDANT = (
    ("/io_and_status_controller/robot_program_running", "std_msgs/msg/Bool", "{data: true}"),
    ("/io_and_status_controller/safety_mode", "ur_dashboard_msgs/msg/SafetyMode", "{mode: 1}"),
)
_NEEDED = ("controller_manager", "joint_trajectory_controller", "ros2launch", "robot_state_publisher")
_LATCHED = ("--qos-durability", "transient_local", "--qos-reliability", "reliable")
_PATIENCE = 60.0  # s for controllers to be active


def refuse_without_underlay(packages: Sequence[str] = _NEEDED) -> None:
    """End in a sentence where there is no ROS 2 with these packages to start from."""
    if not UNDERLAY.is_file():
        raise SystemExit(f"error: VARL_ROS_UNDERLAY names no setup.bash; set it to a ROS 2 with {', '.join(packages)}")
    for package in packages:
        found = start(["ros2", "pkg", "prefix", package], Path(os.devnull)).wait()
        if found:
            raise SystemExit(f"error: {UNDERLAY} has no {package}; install it there, or name another ROS 2")


def sources(path: Path) -> dict[str, str]:
    """Commits by repository, of a file with a repository, a reference and a commit a line."""
    if not path.is_file():
        raise SystemExit(
            f"error: {path} is not there; write what was built into it, a line each: repository reference commit"
        )
    lines = [line.split() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    return {line[0]: f"{line[2][:10]} ({line[1]})" for line in lines}


def start(command: list[str], log: Path, varl: bool = False) -> subprocess.Popen[bytes]:
    """Run a command of the underlay, and of VARL's workspace on top of it where ``varl``, in a session of its own."""
    workspace = Path(get_package_prefix("varl_bringup")).parent / "local_setup.bash" if varl else ""
    environment = {key: value for key, value in os.environ.items() if key not in _PREFIXES}
    words = ["bash", "-c", _RUN, str(UNDERLAY), str(workspace), *command]
    with log.open("ab") as output:
        return subprocess.Popen(words, env=environment, stdout=output, stderr=output, start_new_session=True)


def processes_of(session: int) -> dict[int, str]:
    """Command lines by process id of a session."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if int((folder / "stat").read_text().rpartition(")")[2].split()[3]) == session:
                found[int(folder.name)] = (folder / "cmdline").read_text().replace("\0", " ")
        except (OSError, IndexError):
            continue
    return found


class Driver:
    """controller_manager with mock hardware, robot_state_publisher, and the controllers that the arm's driver loads."""

    def __init__(self, robot: RobotConfig, folder: Path) -> None:
        """Start it, and wait until its controllers are active. ``folder``: for logs and files.

        Raises:
            SystemExit: they did not become active.
        """
        self._folder, self._log = folder, folder / "driver.log"
        ur = robot.arm_controller.startswith("scaled_")
        self.description = _ur_description(robot, folder) if ur else _own_description(robot)
        published = folder / "description.yaml"
        published.write_text(yaml.safe_dump(_parameters("robot_state_publisher", robot_description=self.description)))
        controllers, active, inactive = _ur_controllers() if ur else _own_controllers(robot)
        file = folder / "controllers.yaml"
        file.write_text(controllers)
        self._processes = [
            start(["ros2", "run", "robot_state_publisher", "robot_state_publisher", *_file(published)], self._log),
            start(["ros2", "run", "controller_manager", "ros2_control_node", *_file(file)], self._log),
        ]
        if ur:
            self._processes += [start(["ros2", "topic", "pub", *_LATCHED, *words], self._log) for words in _PENDANT]
        for names, flags in ((active, []), (inactive, ["--inactive"])):
            if not names:
                continue
            spawner = start(["ros2", "run", "controller_manager", "spawner", *names, *flags], self._log)
            try:
                failed = bool(spawner.wait(_PATIENCE))
            except subprocess.TimeoutExpired:
                end(spawner)
                failed = True
            if failed:
                self.end()
                raise SystemExit(f"error: the controllers {names} did not start; look at {self._log}")

    def end(self) -> None:
        """End its processes."""
        for process in self._processes:
            end(process)


def end(process: subprocess.Popen[bytes], patience: float = 30.0) -> int | None:
    """Ctrl-C, as a terminal has it; what is left after ``patience`` s is killed."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGINT)
    deadline = time.monotonic() + patience
    while processes_of(process.pid) and time.monotonic() < deadline:
        process.poll()
        time.sleep(0.1)
    for number in processes_of(process.pid):
        os.kill(number, signal.SIGKILL)
    return process.wait()


def _file(path: Path) -> list[str]:
    return ["--ros-args", "--params-file", str(path)]


def _parameters(node: str, **values: object) -> dict[str, object]:
    return {node: {"ros__parameters": values}}


def _own_description(robot: RobotConfig) -> str:
    """The project's URDF with mock hardware for its joints, which start at home."""
    root = xml.fromstring(robot.urdf_text())
    for other in root.findall("ros2_control"):  # Gazebo's
        root.remove(other)
    control = xml.SubElement(root, "ros2_control", name="mock", type="system")
    hardware = xml.SubElement(control, "hardware")
    xml.SubElement(hardware, "plugin").text = "mock_components/GenericSystem"
    xml.SubElement(hardware, "param", name="calculate_dynamics").text = "true"
    places = dict(zip(robot.joints, robot.home, strict=True))
    if robot.gripper:
        places[robot.gripper.joint] = robot.gripper.open
    for joint, place in places.items():
        element = xml.SubElement(control, "joint", name=joint)
        xml.SubElement(element, "command_interface", name="position")
        _initial(xml.SubElement(element, "state_interface", name="position"), place)
        _initial(xml.SubElement(element, "state_interface", name="velocity"), 0.0)
    return xml.tostring(root, encoding="unicode")


def _ur_description(robot: RobotConfig, folder: Path) -> str:
    """The driver's own, with the arm at home and no force at its tool: the mock's is not a number."""
    initial, text = folder / "initial_positions.yaml", folder / "description.urdf"
    initial.write_text(yaml.safe_dump(dict(zip(robot.joints, robot.home, strict=True))))
    file = _share("ur_robot_driver") / "urdf/ur.urdf.xacro"
    arguments = [f"ur_type:={robot.name}", "name:=ur", "use_mock_hardware:=true", f"initial_positions_file:={initial}"]
    if start(["ros2", "run", "xacro", "xacro", str(file), *arguments, "-o", str(text)], folder / "xacro.log").wait():
        raise SystemExit(f"error: {file} does not expand; look at {folder / 'xacro.log'}")
    root = xml.fromstring(text.read_text())
    for kind in ("gpio", "sensor"):
        for interface in root.iterfind(f"ros2_control/{kind}/state_interface"):
            if interface.find("param") is None:
                _initial(interface, 0.0)
    return xml.tostring(root, encoding="unicode")


def _initial(interface: xml.Element, value: float) -> None:
    xml.SubElement(interface, "param", name="initial_value").text = str(value)


def _own_controllers(robot: RobotConfig) -> tuple[str, list[str], list[str]]:
    """Parameters, and the names of the controllers that are active and of those that are only loaded."""
    text = (ROOT / "config/gazebo/controllers.yaml").read_text(encoding="utf-8")
    gripper = [robot.gripper.controller] if robot.gripper else []
    return text, ["joint_state_broadcaster", robot.arm_controller, *gripper], []


def _ur_controllers() -> tuple[str, list[str], list[str]]:
    """Those that ur_control.launch.py has, as far as VARL hears of them, and both that carry out trajectories.

    io_and_status_controller is not among them: on mock hardware no program ever runs.
    """
    folder = _share("ur_robot_driver") / "config"
    text = (folder / "ur_controllers.yaml").read_text(encoding="utf-8").replace("$(var tf_prefix)", "")
    values = yaml.safe_load(text)
    values["controller_manager"]["ros__parameters"]["update_rate"] = 500  # ur5e_update_rate.yaml
    broadcasters = ["joint_state_broadcaster", "speed_scaling_state_broadcaster", "force_torque_sensor_broadcaster"]
    active = [*broadcasters, "scaled_joint_trajectory_controller"]
    return yaml.safe_dump(values), active, ["joint_trajectory_controller"]


def _share(package: str) -> Path:
    words = ["bash", "-c", _RUN, str(UNDERLAY), "", "ros2", "pkg", "prefix", "--share", package]
    found = subprocess.run(words, capture_output=True, text=True, check=False)
    if found.returncode:
        raise SystemExit(f"error: {UNDERLAY} has no {package}; install it there, or leave that arm out")
    return Path(found.stdout.strip())

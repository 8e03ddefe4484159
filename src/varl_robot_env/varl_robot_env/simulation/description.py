"""A robot's description for a simulator: found, expanded, and fit to be simulated from the real arm's own file."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping
from pathlib import Path

from varl_common.errors import VarlError

from varl_robot_env.config.driver import FORCE_TOPIC, JOINT_STATES, DriverConfig, WrenchConfig
from varl_robot_env.config.paths import package_around, resolve
from varl_robot_env.config.robot import RobotConfig
from varl_robot_env.simulation.stand_in_gripper import with_gripper

log = logging.getLogger(__name__)

_TOPIC = "topic://"
_GRIPPER = {"interface": "joint_trajectory", "command": "", "joint_states": JOINT_STATES}
# Bounds on a simulated sensor: what no gripper's task needs.
_FORCE, _TORQUE = 100.0, 20.0  # N, N m
_XACRO = "import sys, xacro; xacro.main()"


def for_simulation(robot: RobotConfig, feels: bool = False) -> RobotConfig:
    """``robot`` as a simulator has it: with its description in place, and without what only its driver has.

    Where a task ``feels`` the force on the tool, what a simulator has in the place of a sensor is named.

    For a gripper that the description lacks another stands in, with a word.

    Raises:
        VarlError: there is no description, or it cannot be expanded.
    """
    file, arguments = _named(robot)
    if file is None:
        urdf = robot.urdf
    elif file.suffix == ".xacro":
        urdf = expanded(file, arguments)
    else:
        urdf = file.read_text(encoding="utf-8")
    changes: dict[str, object] = {"urdf": urdf, "urdf_file": file, "driver": _interfaces(robot.driver, feels)}
    if robot.gripper is not None:
        changes["gripper"] = robot.gripper.model_copy(update=_GRIPPER)
        if not _has_joint(urdf, robot.gripper.joint):
            log.warning(
                "the description of %s has no joint %r: two plain fingers stand for it; for its own, name "
                "a description with it in simulation: of the robot's file",
                robot.name,
                robot.gripper.joint,
            )
            changes["urdf"] = with_gripper(robot.model_copy(update={"urdf": urdf}).urdf_text(), robot)
            changes |= {"tool_parent": ""}  # the tool's frame is in it now
    return robot.model_copy(update=changes)


def expanded(file: Path, arguments: Mapping[str, str]) -> str:
    """What xacro makes of ``file``; packages that it finds are those of the ament index, or the one around the file.

    Raises:
        VarlError: xacro is not there, or the file is wrong.
    """
    with tempfile.TemporaryDirectory() as prefix:
        environment = dict(os.environ)
        if around := package_around(file):
            name, folder = around
            index = Path(prefix) / "share" / "ament_index" / "resource_index" / "packages"
            index.mkdir(parents=True)
            (index / name).touch()
            (Path(prefix) / "share" / name).symlink_to(folder)
            paths = [os.environ.get("AMENT_PREFIX_PATH", ""), prefix]
            environment["AMENT_PREFIX_PATH"] = os.pathsep.join(filter(None, paths))
        words = [str(file), *(f"{name}:={value}" for name, value in arguments.items())]
        done = subprocess.run(
            [sys.executable, "-c", _XACRO, *words], capture_output=True, text=True, check=False, env=environment
        )
        text = done.stdout.replace(str(Path(prefix) / "share" / name), str(folder)) if around else done.stdout
    if done.returncode == 0:
        return text
    said = [line for line in done.stderr.splitlines() if line.strip()]
    if said and "No module named 'xacro'" in said[-1]:
        raise VarlError(f"{file} is a xacro file, and xacro is not installed; pip install xacro, or expand it yourself")
    why = next((line for line in said if "rror" in line), said[-1] if said else "it said nothing")
    raise VarlError(f"xacro cannot expand {file}: {why.strip()}; give what it lacks in simulation: arguments")


def _named(robot: RobotConfig) -> tuple[Path | None, Mapping[str, str]]:
    """The file that a simulator builds the arm from; None where the description is there already."""
    if robot.urdf.startswith("<"):
        return None, {}
    if not robot.urdf.startswith(_TOPIC):
        return resolve(robot.urdf, robot.source), {}
    if robot.simulation is None:
        raise VarlError(
            f"{robot.source}: the arm's description comes from its driver ({robot.urdf}), which a simulator has not; "
            "name a file, simulation: {urdf: my_arm.urdf}, or a .xacro with its arguments"
        )
    try:
        return resolve(robot.simulation.urdf, robot.source), robot.simulation.arguments
    except VarlError as error:
        package = robot.simulation.urdf.removeprefix("package://").partition("/")[0]
        apt = f"ros-{os.environ.get('ROS_DISTRO', 'jazzy')}-{package.replace('_', '-')}"
        raise VarlError(
            f"{error}; install that package (apt install {apt} where it is released, else its source in your "
            "workspace), or name a file in simulation: of the robot's file"
        ) from None


def _interfaces(driver: DriverConfig, feels: bool) -> DriverConfig:
    """Those of a simulator, which has no vendor's topics, but a force on the tool."""
    wrench = driver.wrench
    if feels and wrench is None:
        wrench = WrenchConfig(topic=FORCE_TOPIC, force=_FORCE, torque=_TORQUE)
    return DriverConfig(observation_lead=driver.observation_lead, stamped=driver.stamped, wrench=wrench)


def _has_joint(urdf: str, name: str) -> bool:
    try:
        return any(joint.get("name") == name for joint in ElementTree.fromstring(urdf).findall("joint"))
    except ElementTree.ParseError:
        return True  # whoever reads the description says what is wrong with it

"""The nodes that make up ``backend:=gazebo``."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from xml.etree import ElementTree

from varl_common.errors import VarlError
from varl_robot_env.config.paths import config_folder, resolve

from varl_bringup.graph.node import Node
from varl_bringup.graph.packages import find_program, is_installed, prefix
from varl_bringup.graph.parameter_files import ParameterFiles
from varl_bringup.graph.robot_file import RobotFile

_NEEDS = (
    *("ros_gz_sim", "ros_gz_bridge", "ros_gz_interfaces", "gz_ros2_control", "controller_manager"),
    *("controller_manager_msgs", "joint_trajectory_controller", "joint_state_broadcaster"),
    *("robot_state_publisher", "xacro"),
)
_FOLDER = "package://varl_robot_env/gazebo"
# World control (pause, step) and the poses of things, as services of ROS.
_SERVICES = {"control": "ControlWorld", "set_pose": "SetEntityPose"}
_HURRIED = 1000  # times real time, which no machine reaches
_PLUGIN_PATH = "GZ_SIM_SYSTEM_PLUGIN_PATH"


def gazebo_nodes(robot_file: Path, lock_step: bool, namespace: str, files: ParameterFiles) -> list[Node]:
    """Gazebo's server, what brings the arm and its controllers into it, the bridge, and our node on its world control.

    Raises:
        VarlError: a package is not installed, or the arm is not the one that there is a world for.
    """
    robot = RobotFile.read(robot_file)
    if robot.name != "varl_arm":
        raise VarlError(f"backend:=gazebo has a world for varl_arm alone, not for {robot.name}; use backend:=mujoco")
    if namespace:
        raise VarlError("backend:=gazebo has one world with one arm; leave out the namespace")
    if missing := [package for package in _NEEDS if not is_installed(package)]:
        distro = os.environ.get("ROS_DISTRO", "jazzy")
        packages = " ".join(f"ros-{distro}-{name}" for name in ("ros-gz", "gz-ros2-control", "ros2-controllers"))
        raise VarlError(
            f"backend:=gazebo needs ROS 2 packages that are not installed ({', '.join(missing)}): "
            f"sudo apt install {packages} ros-{distro}-robot-state-publisher ros-{distro}-xacro, or use backend:=mujoco"
        )
    world_file = resolve(f"{_FOLDER}/varl_world.sdf", robot_file)
    description = _expanded(resolve(f"{_FOLDER}/varl_arm.urdf.xacro", robot_file))
    world, step = _world(world_file)
    services = (f"/world/{world}/{name}@ros_gz_interfaces/srv/{kind}" for name, kind in _SERVICES.items())
    return [
        _server(world_file),
        *([_hurry(world, step)] if lock_step else []),
        Node("robot_state_publisher", "robot_state_publisher", parameters={"robot_description": description}),
        Node("ros_gz_sim", "create", arguments=("-topic", "robot_description", "-name", robot.name), essential=False),
        Node(
            "ros_gz_bridge",
            "parameter_bridge",
            parameters={"config_file": str(config_folder() / "gazebo/bridge.yaml")},
            arguments=tuple(services),
        ),
        Node(
            "controller_manager", "spawner", arguments=("joint_state_broadcaster", *robot.controllers), essential=False
        ),
        Node(
            "varl_robot_env",
            "gazebo",
            files.of("gazebo"),
            {"robot_file": str(robot_file), "world_file": str(world_file), "lock_step": lock_step},
        ),
    ]


def _server(world_file: Path) -> Node:
    """``gz sim`` itself, not ros_gz_sim's ``gzserver``.

    A ROS node's arguments hold for every node of its process, so ``__node:=gzserver`` would rename controller_manager
    as well; and gzserver cannot be told to render without a display. gz_ros2_control is found by a search path alone.
    """
    path = os.pathsep.join(filter(None, (str(prefix("gz_ros2_control") / "lib"), os.environ.get(_PLUGIN_PATH))))
    words = ("sim", "-s", "-r", "--headless-rendering", str(world_file))
    return Node("", "gz", arguments=words, environment={_PLUGIN_PATH: path})


def _hurry(world: str, step: str) -> Node:
    """Tells the server, once it is there, not to wait for the clock: in lock-step nobody looks at it.

    That is no setting of the world's file, which is the same by the clock, and ros_gz has no service for it.
    """
    request = f"max_step_size: {step}, real_time_factor: {_HURRIED}"
    types = ("--reqtype", "gz.msgs.Physics", "--reptype", "gz.msgs.Boolean", "--timeout", "60000")
    service = ("service", "-s", f"/world/{world}/set_physics", *types, "--req", request)
    return Node("", "gz", arguments=service, essential=False)


def _expanded(xacro_file: Path) -> str:
    """The arm's URDF with the controllers' file in it."""
    words = [str(find_program("xacro")), str(xacro_file), f"controllers:={config_folder() / 'gazebo/controllers.yaml'}"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        raise VarlError(f"xacro cannot expand {xacro_file}: {done.stderr.strip().splitlines()[-1:]}; correct that file")
    return done.stdout


def _world(world_file: Path) -> tuple[str, str]:
    """Its name, and its physics step in s as the file has it."""
    world = ElementTree.parse(world_file).getroot().find("world")
    if world is None:
        raise VarlError(f"{world_file} has no <world>; name a world's SDF file")
    return world.get("name", ""), world.findtext(".//max_step_size", "")

"""The nodes that make up ``backend:=gazebo``. Never run by us: no Gazebo could be had."""

from __future__ import annotations

import os
from pathlib import Path

from varl_common.errors import VarlError
from varl_robot_env.config.paths import config_folder, resolve
from varl_robot_env.config.robot import RobotConfig
from varl_robot_env.simulation.gazebo import World

from varl_bringup.installed import is_installed
from varl_bringup.node import Node
from varl_bringup.parameter_files import ParameterFiles

_NEEDS = (
    *("ros_gz_sim", "ros_gz_bridge", "ros_gz_interfaces", "gz_ros2_control"),
    *("controller_manager", "joint_trajectory_controller", "joint_state_broadcaster", "robot_state_publisher", "xacro"),
)
_FOLDER = "package://varl_robot_env/gazebo"
# World control (pause, step) and the poses of things, as services of ROS.
_SERVICES = {"control": "ControlWorld", "set_pose": "SetEntityPose"}


def gazebo_nodes(robot_file: Path, lock_step: bool, namespace: str, files: ParameterFiles) -> list[Node]:
    """Gazebo's server, what brings the arm and its controllers into it, the bridge, and our node on its world control.

    Raises:
        VarlError: a package is not installed, or the arm is not the one that there is a world for.
    """
    robot = RobotConfig.from_yaml(robot_file)
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
    import xacro

    world_file = resolve(f"{_FOLDER}/varl_world.sdf", robot_file)
    arm = resolve(f"{_FOLDER}/varl_arm.urdf.xacro", robot_file)
    controllers = config_folder() / "gazebo/controllers.yaml"
    description = xacro.process_file(str(arm), mappings={"controllers": str(controllers)}).toxml()
    world = World.from_sdf(world_file).name
    services = (f"/world/{world}/{name}@ros_gz_interfaces/srv/{kind}" for name, kind in _SERVICES.items())
    spawned = [robot.arm_controller, *([robot.gripper.controller] if robot.gripper else [])]
    return [
        Node("ros_gz_sim", "gzserver", parameters={"world_sdf_file": str(world_file)}),
        Node("robot_state_publisher", "robot_state_publisher", parameters={"robot_description": description}),
        Node("ros_gz_sim", "create", arguments=("-topic", "robot_description", "-name", robot.name), essential=False),
        Node(
            "ros_gz_bridge",
            "parameter_bridge",
            parameters={"config_file": str(config_folder() / "gazebo/bridge.yaml")},
            arguments=tuple(services),
        ),
        Node("controller_manager", "spawner", arguments=("joint_state_broadcaster", *spawned), essential=False),
        Node(
            "varl_robot_env",
            "gazebo",
            files.of("gazebo"),
            {"robot_file": str(robot_file), "world_file": str(world_file), "lock_step": lock_step},
        ),
    ]

"""Nodes that only look on: RViz, the Rerun viewer, the recorder."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

from varl_common.errors import VarlError
from varl_robot_env.config.paths import config_file, config_folder, resolve

from varl_bringup.graph.node import Node
from varl_bringup.graph.packages import is_installed
from varl_bringup.graph.parameter_files import ParameterFiles
from varl_bringup.graph.robot_file import RobotFile

TIME = "%Y%m%d-%H%M%S"


def watchers(values: Mapping[str, str], run_dir: Path, files: ParameterFiles) -> list[Node]:
    """Those that ``values`` ask for; what they leave is in ``run_dir``.

    Raises:
        VarlError: one is not installed.
    """
    nodes: list[Node] = []
    if values["rviz"] == "true":
        for package in ("rviz2", "robot_state_publisher"):
            if not is_installed(package):
                raise VarlError(f"rviz:=true needs the ROS 2 package {package}, which is not installed; leave rviz out")
        robot_file = config_file("robots", values["robot"]).absolute()
        robot = RobotFile.read(robot_file)
        view = ("-d", str(config_folder() / "rviz/varl.rviz"), "-f", robot.base_frame)
        nodes += [
            *(_robot_model(robot, robot_file) if values["backend"] != "gazebo" else []),
            Node("varl_robot_env", "markers", files.of("markers"), {"robot_file": str(robot_file)}),
            Node("rviz2", "rviz2", arguments=view, essential=False),
        ]
    if values["viewer"] != "none":
        sinks = {"rerun": "window", "rerun-web": "web"}
        shown = sinks.get(values["viewer"]) or str(run_dir / f"run-{time.strftime(TIME)}.rrd")
        robot_file = config_file("robots", values["robot"]).absolute()
        nodes.append(
            Node(
                "varl_robot_env",
                "viewer",
                files.of("viewer"),
                {"robot_file": str(robot_file), "sink": shown},
                essential=False,
            )
        )
    if values["record"] == "true":
        bag = run_dir / f"bag-{time.strftime(TIME)}"  # each part of a run that was resumed has its own
        nodes.append(Node("varl_bringup", "recorder", files.of("recorder"), {"bag": str(bag)}))
    return nodes


def _robot_model(robot: RobotFile, robot_file: Path) -> list[Node]:
    """What publishes the robot's model and frames, unless its own driver does."""
    if robot.urdf.startswith("topic:"):
        return []
    description = resolve(robot.urdf, robot_file).read_text(encoding="utf-8")
    return [Node("robot_state_publisher", "robot_state_publisher", (), {"robot_description": description})]

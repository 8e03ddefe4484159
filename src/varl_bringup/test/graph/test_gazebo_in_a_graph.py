"""Gazebo in the place of the simulator: what is started, and with which arguments."""

import shutil
from pathlib import Path

import pytest
from varl_bringup.graph import command_line as command_line_module
from varl_bringup.graph import gazebo as gazebo_module
from varl_bringup.graph import programs as graph_module
from varl_bringup.graph import watchers as watchers_module
from varl_bringup.graph.command_line import command
from varl_common.errors import VarlError

from .described import describe, names, parameters


def test_gazebo_that_is_not_installed_is_one_line_that_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gazebo_module, "is_installed", lambda package: package != "ros_gz_bridge")
    with pytest.raises(VarlError, match=r"\(ros_gz_bridge\): sudo apt install ros-\w+-ros-gz .*backend:=mujoco$"):
        describe("train_sim", "backend:=gazebo")
    monkeypatch.setattr(gazebo_module, "is_installed", lambda package: True)
    for word, message in (("robot:=ur5e", "for varl_arm alone"), ("namespace:=r1", "leave out the namespace")):
        with pytest.raises(VarlError, match=message):
            describe("train_sim", "backend:=gazebo", word)


def gazebo_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    if shutil.which("xacro") is None:
        pytest.skip("the command xacro is not installed")
    monkeypatch.setattr(gazebo_module, "is_installed", lambda package: True)
    monkeypatch.setattr(gazebo_module, "prefix", lambda package: Path("/opt/ros") / package)


def test_gazebos_server_keeps_the_names_of_its_nodes_finds_their_plugin_and_needs_no_display(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gazebo_is_installed(monkeypatch)
    monkeypatch.setenv("GZ_SIM_SYSTEM_PLUGIN_PATH", "/mine")
    monkeypatch.setattr(command_line_module, "find_program", lambda name: Path("/bin") / name)
    graph = describe("train_sim", "backend:=gazebo")
    server = graph.nodes[0]
    program, *words = command(graph, server)
    assert program == "/bin/gz"
    assert words[:-1] == ["sim", "-s", "-r", "--headless-rendering"]
    assert Path(words[-1]).name == "varl_world.sdf"
    assert server.environment == {"GZ_SIM_SYSTEM_PLUGIN_PATH": "/opt/ros/gz_ros2_control/lib:/mine"}


@pytest.mark.parametrize(("program", "lock_step"), [("train_sim", True), ("train_real", False), ("teleop", False)])
def test_gazebo_takes_the_simulators_place(monkeypatch: pytest.MonkeyPatch, program: str, lock_step: bool) -> None:
    gazebo_is_installed(monkeypatch)
    monkeypatch.setattr(graph_module, "is_installed", lambda package: package != "joy")
    monkeypatch.setattr(watchers_module, "is_installed", lambda package: True)
    graph = describe(program, "backend:=gazebo", "rviz:=true")
    hurry = ["gz"] if lock_step else []  # Gazebo is told not to wait for the clock
    there = ["gz", *hurry, "robot_state_publisher", "create", "parameter_bridge", "spawner", "gazebo", "env"]
    assert names(graph)[: len(there)] == there
    assert names(graph).count("robot_state_publisher") == 1
    assert [node.name for node in graph.nodes if not node.essential] == [*hurry, "create", "spawner", "rviz2"]
    assert parameters(graph, "gazebo")["lock_step"] is lock_step
    assert parameters(graph, "env")["backend"] == "gazebo"
    assert "gz_ros2_control" in parameters(graph, "robot_state_publisher")["robot_description"]
    bridge = next(node for node in graph.nodes if node.name == "parameter_bridge")
    assert bridge.arguments[0] == "/world/varl/control@ros_gz_interfaces/srv/ControlWorld"
    assert all(Path(value).is_file() for value in bridge.parameters.values())

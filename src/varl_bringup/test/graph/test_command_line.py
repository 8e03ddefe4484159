"""A node's parameters reach it as they were given, whichever of `ros2 launch` and `varl` starts it."""

from pathlib import Path

import pytest
from varl_bringup.graph.command_line import ros_arguments
from varl_bringup.graph.graph import Graph
from varl_bringup.graph.node import Node, ParameterValue

TEXTS = [
    *("827312071616", "0815", "0715", "0x10", "0b11", "0x1p3", "1e5", "1.", "+5", "1_000", "nan", ".inf", "infinity"),
    *("y", "yes", "off", "true", "null", "~", "", " ", "2024-01-01", "12:30:00", "=", "a: b", "[1]", "{a: 1}", "#x"),
    *("'q'", '"q"', "${HOME}", "$(pwd)", "back\\slash", "two\nlines", "tab\there", "\u00e9", "\U0001f600", "-p", "*x"),
]


def test_every_parameter_arrives_as_it_was_given(ros: int) -> None:
    import rclpy

    given: dict[str, ParameterValue] = {f"text_{index}": text for index, text in enumerate(TEXTS)}
    given |= {"truth": True, "whole": 827312071616, "number": 0.1, "tiny": 1e-12}
    node = Node("package", "listener", parameters=given)
    graph = Graph("train_sim", {}, node, (), "", "info", True, Path("/run"))
    words = ["--ros-args", *ros_arguments(graph, node)]
    context = rclpy.Context()
    rclpy.init(args=words, context=context)
    listener = rclpy.create_node("listener", context=context, automatically_declare_parameters_from_overrides=True)
    for name, value in given.items():
        arrived = listener.get_parameter(name).value
        assert (arrived, type(arrived)) == (value, type(value)), name
    listener.destroy_node()
    rclpy.shutdown(context=context)


def test_the_level_is_that_of_the_nodes_own_logger() -> None:
    node = Node("package", "env")
    graph = Graph("train_sim", {}, node, (), "cell/robot1", "debug", True, Path("/run"))
    assert ros_arguments(graph, node) == ["--log-level", "cell.robot1.env:=debug"]


@pytest.fixture(autouse=True)
def _ros_is_there() -> None:
    pytest.importorskip("rclpy")

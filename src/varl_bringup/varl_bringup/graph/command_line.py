"""A node of the graph as the command line of a process."""

from __future__ import annotations

import json

from varl_bringup.graph.graph import Graph
from varl_bringup.graph.node import Node
from varl_bringup.graph.packages import find_executable, find_program


def command(graph: Graph, node: Node) -> list[str]:
    """What ``ros2 run`` would start.

    Raises:
        VarlError: its executable is not installed.
    """
    if not node.package:
        return [str(find_program(node.executable)), *node.arguments]
    words = [str(find_executable(node.package, node.executable)), *node.arguments, "--ros-args"]
    words += ["--remap", f"__node:={node.name}", "--remap", f"__ns:=/{graph.namespace}"]
    return words + ros_arguments(graph, node)


def ros_arguments(graph: Graph, node: Node) -> list[str]:
    """Log level and parameters, as ``--ros-args`` takes them.

    The level is that of the node's own logger; ROS's inner ones are left alone. A parameter's value is written as JSON,
    which is YAML in which a text is always in quotes: without them, ``0815`` and ``1e5`` are numbers to ROS.
    """
    logger = ".".join([*filter(None, graph.namespace.split("/")), node.name])
    words = ["--log-level", f"{logger}:={graph.log_level}"]
    for file in node.parameter_files:
        words += ["--params-file", str(file)]
    for name, value in node.parameters.items():
        words += ["--param", f"{name}:={json.dumps(value, ensure_ascii=False)}"]
    return words

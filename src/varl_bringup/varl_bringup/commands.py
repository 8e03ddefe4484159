"""A node of the graph as the command line of a process."""

from __future__ import annotations

import json

from varl_bringup.graph import Graph
from varl_bringup.installed import find_executable
from varl_bringup.node import Node


def command(graph: Graph, node: Node) -> list[str]:
    """What ``ros2 run`` would start.

    Raises:
        VarlError: its executable is not installed.
    """
    words = [str(find_executable(node.package, node.executable)), *node.arguments, "--ros-args"]
    words += ["--remap", f"__node:={node.name}", "--remap", f"__ns:=/{graph.namespace}"]
    words += log_level(graph, node)
    for file in node.parameter_files:
        words += ["--params-file", str(file)]
    for name, value in node.parameters.items():
        words += ["--param", f"{name}:={json.dumps(value)}"]  # JSON is YAML, with the type beyond doubt
    return words


def log_level(graph: Graph, node: Node) -> list[str]:
    """The option that sets the level of the node's own logger, and leaves ROS's inner ones alone."""
    logger = ".".join([*filter(None, graph.namespace.split("/")), node.name])
    return ["--log-level", f"{logger}:={graph.log_level}"]

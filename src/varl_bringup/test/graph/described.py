"""What the tests of the graph's description ask it."""

from varl_bringup.graph.graph import Graph
from varl_bringup.graph.programs import PROGRAMS
from varl_common.arguments import parse


def describe(program: str, *words: str) -> Graph:
    return PROGRAMS[program].graph(parse(words))


def names(graph: Graph) -> list[str]:
    return [node.name for node in graph.nodes]


def parameters(graph: Graph, name: str) -> dict:
    return dict(next(node for node in graph.nodes if node.name == name).parameters)

"""The graph as a ``launch`` description: what the launch files share."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from typing import Any

from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity
from launch.actions import (
    DeclareLaunchArgument,
    ExecuteProcess,
    OpaqueFunction,
    RegisterEventHandler,
    SetEnvironmentVariable,
    Shutdown,
    TimerAction,
)
from launch.event_handlers import OnProcessExit, OnProcessStart
from launch.events.process import ProcessExited, ProcessStarted
from launch_ros.actions import Node as LaunchNode

from varl_bringup.graph.command_line import command, ros_arguments
from varl_bringup.graph.graph import Graph
from varl_bringup.graph.launch_record import remove_unless_begun, way_on, write_launch
from varl_bringup.graph.node import Node
from varl_bringup.graph.programs import PROGRAMS, Program
from varl_bringup.runner.orphan_guard import OrphanGuard

# Seconds that a node gets to save what it has, on a busy machine too, before launch goes from SIGINT to SIGTERM.
_SAVING = "15"
# s from a node's end by Ctrl-C to launch's own notice of it, where launch is busy with what its nodes print.
_CTRL_C = 2.0


def describe(name: str) -> LaunchDescription:
    """The launch description of a program of the graph: ``train_sim``, ``teleop``, ..."""
    program = PROGRAMS[name]
    declared = [
        DeclareLaunchArgument(
            argument.name,
            default_value=argument.default,
            description=argument.description,
            choices=[*argument.choices, argument.default] if argument.choices else None,
        )
        for argument in program.arguments
    ]
    return LaunchDescription([*declared, OpaqueFunction(function=_bring_up, args=[program])])


def _bring_up(context: LaunchContext, program: Program) -> list[LaunchDescriptionEntity]:
    known = [argument.name for argument in program.arguments]
    given = context.launch_configurations
    _check_spelling(list(given), known, program)
    graph = program.graph({name: given[name] for name in known})
    variables = [SetEnvironmentVariable(*pair) for pair in graph.environment(context.environment).items()]
    guard = OrphanGuard()  # launch itself leaves its nodes behind where it is told to end by SIGTERM

    def rest() -> list[LaunchDescriptionEntity]:
        if graph.starts_run:
            write_launch(graph.run_dir, graph.program, graph.values)
        return [action for node in graph.nodes for action in _actions(graph, node, guard)]

    return [*variables, *(rest() if graph.first is None else _first(graph, graph.first, guard, rest))]


def _first(
    graph: Graph, node: Node, guard: OrphanGuard, rest: Callable[[], list[LaunchDescriptionEntity]]
) -> list[LaunchDescriptionEntity]:
    """The node that runs alone, and ``rest`` once it has ended well."""
    action = _process(graph, node)

    def started(event: ProcessStarted, context: LaunchContext) -> None:
        guard.watch(event.pid)

    def ended(event: ProcessExited, context: LaunchContext) -> list[LaunchDescriptionEntity] | None:
        guard.forget(event.pid)
        if context.is_shutdown:
            return None
        if event.returncode:
            raise RuntimeError(f"{node.name} ended (status {event.returncode}): nothing else is started")
        return rest()

    return [
        RegisterEventHandler(OnProcessStart(target_action=action, on_start=started)),
        RegisterEventHandler(OnProcessExit(target_action=action, on_exit=ended)),
        action,
    ]


def _actions(graph: Graph, node: Node, guard: OrphanGuard) -> list[LaunchDescriptionEntity]:
    """The node, and what its start and end mean for the launch."""
    action = _process(graph, node)

    def started(event: ProcessStarted, context: LaunchContext) -> None:
        guard.watch(event.pid)

    def ended(event: ProcessExited, context: LaunchContext) -> LaunchDescriptionEntity | None:
        guard.forget(event.pid)
        if node is graph.main and graph.starts_run:
            remove_unless_begun(graph.run_dir)
        if context.is_shutdown or not node.essential:
            return None
        if node is graph.main and event.returncode == 0:
            return Shutdown(reason=f"{node.name} has finished")

        def fail(*_: object) -> None:
            # What is raised here ends the launch with a non-zero status; there is no other way to.
            killed = graph.trains and node is graph.main and event.returncode < 0
            words = f"; {way_on(graph.run_dir, graph.program)}" if killed else ""
            raise RuntimeError(f"{node.name} ended (status {event.returncode}): stopping{words}")

        if event.returncode == 0:  # as it was told to: by a Ctrl-C that launch itself may hear of a moment later
            return TimerAction(period=_CTRL_C, actions=[OpaqueFunction(function=fail)])
        fail()
        return None

    return [
        RegisterEventHandler(OnProcessStart(target_action=action, on_start=started)),
        RegisterEventHandler(OnProcessExit(target_action=action, on_exit=ended)),
        action,
    ]


def _process(graph: Graph, node: Node) -> ExecuteProcess:
    shared: dict[str, Any] = {
        "additional_env": dict(node.environment),
        "output": "screen",
        "emulate_tty": False,
        "sigterm_timeout": _SAVING,
    }
    if not node.package:
        return ExecuteProcess(cmd=command(graph, node), name=node.name, **shared)
    return LaunchNode(
        package=node.package,
        executable=node.executable,
        name=node.name,
        namespace=graph.namespace,
        arguments=list(node.arguments),
        ros_arguments=ros_arguments(graph, node),
        **shared,
    )


def _check_spelling(given: list[str], known: list[str], program: Program) -> None:
    """``launch`` takes any argument; refuse one that looks like a misspelt one of ours.

    Others may belong to a launch file that includes this one.
    """
    for name in set(given) - set(known):
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.7)
        if near:
            raise RuntimeError(f"{program.name} has no argument {name!r}; did you mean {near[0]!r}?")

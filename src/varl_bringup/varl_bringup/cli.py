"""The ``varl`` command: brings up the graph with the same arguments as ``ros2 launch varl_bringup``."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from importlib.metadata import version

from varl_common.arguments import parse, show
from varl_common.errors import VarlError, did_you_mean
from varl_common.host.domain import free_domain
from varl_common.host.terminal import colours

from varl_bringup.completion import SCRIPT, arguments_of, candidates
from varl_bringup.graph.command_line import command
from varl_bringup.graph.graph import Graph
from varl_bringup.graph.launch_record import remove_unless_begun, way_on, write_launch
from varl_bringup.graph.packages import find_executable
from varl_bringup.graph.programs import PROGRAMS, Program
from varl_bringup.runner.display import Display
from varl_bringup.runner.runner import Process, Runner, on_terminal

TOOLS = {
    "doctor": ("varl_bringup", "doctor", "What this machine has for VARL, and what it lacks."),
    "dataset": ("varl_agent", "dataset", "Write a run's, teleop's or a bag's episodes as a LeRobot dataset."),
    "export": ("varl_agent", "export", "Write a run's policy as a file that needs no VARL (torch.export, ONNX)."),
    "train-classifier": (
        "varl_robot_env",
        "train_classifier",
        "Teach a classifier of success from pictures, by moments that were labelled.",
    ),
    "advisor-eval": (
        "varl_vlm_advisor",
        "advisor_eval",
        "Judge an advisor on labelled states, before it is trusted with an arm.",
    ),
    "advisor-train": (
        "varl_vlm_advisor",
        "advisor_train",
        "Teach a vision-language model to advise on your scenes, and tell what that brought.",
    ),
}
"""Commands that bring up no graph: package, executable and what it is for. They take the same form of arguments."""

_OWN = {
    "completion": 'Complete words in bash and zsh: eval "$(varl completion)".',
}


def main(words: list[str] | None = None) -> int:
    """Run the command; its exit status: that of the run, or 2 after an error of use."""
    try:
        return _main(sys.argv[1:] if words is None else words)
    except VarlError as error:
        print(f"varl: error: {error}", file=sys.stderr)
        return 2


def _main(words: list[str]) -> int:
    if not words or words[0] in ("-h", "--help", "help"):
        print(_help())
        return 0
    if words[0] in ("-V", "--version"):
        print(f"varl {version('varl_common')}")
        return 0
    if words[0] == "completion":
        line = words[2] if words[1:2] == ["--"] and len(words) > 2 else None
        known = {name: program.arguments for name, program in PROGRAMS.items()}
        known |= {executable: arguments_of(executable) for _, executable, _ in TOOLS.values() if line is not None}
        found = [] if line is None else candidates(line, [*PROGRAMS, *TOOLS, *_OWN], known)
        print(SCRIPT if line is None else "\n".join(found), end="" if line is None else "\n")
        return 0
    if words[0] in TOOLS:
        package, executable, _ = TOOLS[words[0]]
        path = str(find_executable(package, executable))
        os.execv(path, [path, *words[1:]])
    program = PROGRAMS.get(words[0].replace("-", "_"))
    if program is None:
        raise VarlError(f"unknown command {words[0]!r}; {did_you_mean(words[0], [*PROGRAMS, *TOOLS, *_OWN])}")
    if {"-h", "--help", "-s", "--show-args"} & set(words):
        print(show(f"varl {program.name}: {program.description} Arguments (name:=value):", program.arguments))
        return 0
    return _run(program, words[1:])


def _help() -> str:
    described = {program.name: program.description for program in PROGRAMS.values()}
    described |= {name: purpose for name, (_, _, purpose) in TOOLS.items()} | _OWN
    widest = max(map(len, described))
    commands = "\n".join(f"  {name:<{widest}} {purpose}" for name, purpose in described.items())
    return (
        "Usage: varl <command> [name:=value ...]\n\n"
        f"Commands:\n{commands}\n\n"
        "varl <command> --show-args lists the arguments.\n"
        "Example: varl train_sim task:=reach steps:=20000"
    )


def _run(program: Program, words: list[str]) -> int:
    graph = program.graph(parse(words))
    commands = {node.name: command(graph, node) for node in (*graph.nodes, *filter(None, [graph.first]))}
    bar = on_terminal()
    display = Display(list(commands), colour=bar and colours(sys.stdout), behind_bar=bar)
    with _environment(graph, display) as environment:
        if graph.first is not None:
            first = Process(graph.first.name, commands[graph.first.name], terminal=bar)
            if status := Runner(first, [], environment, display).run():
                return status
        if graph.starts_run:
            write_launch(graph.run_dir, graph.program, graph.values)
        others = [
            Process(node.name, commands[node.name], environment=node.environment, essential=node.essential)
            for node in graph.others
        ]
        main_process = Process(graph.main.name, commands[graph.main.name], terminal=bar)
        runner = Runner(main_process, others, environment, display)
        try:
            status = runner.run()
        finally:
            if graph.starts_run:
                remove_unless_begun(graph.run_dir)
        if graph.trains and runner.main_was_killed:
            display.say(way_on(graph.run_dir, graph.program))
        return status


@contextlib.contextmanager
def _environment(graph: Graph, display: Display) -> Iterator[dict[str, str]]:
    """The environment of the nodes: the user's, completed; in a simulation with a DDS domain of its own."""
    output = {"PYTHONUNBUFFERED": "1", "RCUTILS_CONSOLE_OUTPUT_FORMAT": "[{severity}] {message}"}
    environment = output | graph.environment(os.environ) | os.environ
    with contextlib.ExitStack() as stack:
        if graph.simulated and "ROS_DOMAIN_ID" not in environment:
            domain = str(stack.enter_context(free_domain()))
            environment["ROS_DOMAIN_ID"] = domain
            display.say(f"on ROS_DOMAIN_ID={domain}; export that in another terminal to look at this run")
        yield environment


if __name__ == "__main__":
    sys.exit(main())

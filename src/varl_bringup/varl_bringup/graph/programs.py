"""What a user starts by name: its launch arguments, and from their values the nodes that make up its graph.

``ros2 launch`` and the ``varl`` runner both bring up what this module describes; adding a node is a change here.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from varl_common.arguments import Argument, complete, namespace
from varl_common.errors import VarlError
from varl_common.files import real_path
from varl_robot_env.config.paths import config_file

from varl_bringup.graph.advisor import advisor_node, judge
from varl_bringup.graph.arguments import (
    CALIBRATE_ARGUMENTS,
    CHECK_ARGUMENTS,
    COLLECT_ARGUMENTS,
    DEPLOY_ARGUMENTS,
    ENV_ARGUMENTS,
    EVALUATE_ARGUMENTS,
    FIND_LIMITS_ARGUMENTS,
    TELEOP_ARGUMENTS,
    training_arguments,
)
from varl_bringup.graph.gazebo import gazebo_nodes
from varl_bringup.graph.graph import Graph
from varl_bringup.graph.launch_record import find_run, read_launch
from varl_bringup.graph.node import Node, ParameterValue
from varl_bringup.graph.packages import is_installed
from varl_bringup.graph.parameter_files import ParameterFiles
from varl_bringup.graph.robot_file import RobotFile
from varl_bringup.graph.watchers import TIME, watchers

# Who publishes a joystick's sensor_msgs/Joy: package and executable.
_JOYSTICKS = {"gamepad": ("joy", "game_controller_node"), "spacemouse": ("spacenav", "spacenav_node")}


@dataclass(frozen=True)
class Program:
    """Something a user starts by name: its arguments, and the graph that their values describe."""

    name: str
    description: str
    arguments: tuple[Argument, ...]
    build: Callable[[dict[str, str]], Graph]

    def graph(self, given: Mapping[str, str]) -> Graph:
        """The graph for the arguments ``given``.

        Raises:
            VarlError: an argument or a file that it names is wrong, or something it needs is not installed.
        """
        return self.build(complete(self.arguments, given))


def _train_sim(values: dict[str, str]) -> Graph:
    return _training("train_sim", values)


def _train_real(values: dict[str, str]) -> Graph:
    return _training("train_real", values)


def _training(program: str, values: dict[str, str]) -> Graph:
    if values["resume"] == "true":
        if not values["run_dir"]:
            raise VarlError("resume:=true needs the run's folder; add run_dir:=runs/latest")
        values = _resumed(program, values)
    elif values["start_from"]:
        values["start_from"] = str(find_run(values["start_from"]))  # latest is about to be another
        read_launch(Path(values["start_from"]))
    judges = dict(values)  # who judges, where the task asks: even where nobody advises
    if values["recipe"] == "sac":
        values["advisor"] = "none"
    run_dir = real_path(values["run_dir"] or _new_run_dir(values))
    values["run_dir"] = str(run_dir)
    files = ParameterFiles(values["params_file"])
    learner: dict[str, ParameterValue] = {
        "run_dir": str(run_dir),
        "seed": int(values["seed"]),
        "resume": values["resume"] == "true",
        "advisor": values["advisor"],
        "recipe": values["recipe"],
    }
    if values["steps"]:
        learner["steps"] = int(values["steps"])
    if values["start_from"]:
        learner["start_from"] = values["start_from"]
    if values["demonstrations"]:
        learner["demonstrations"] = str(Path(values["demonstrations"]).expanduser().absolute())
    nodes = _robot(program, values, files)
    nodes += [advisor_node(values, run_dir, files)] if values["advisor"] != "none" else judge(judges, run_dir, files)
    nodes += watchers(values, run_dir, files)
    main = Node("varl_agent", "learner", files.of("learner", "agent"), learner)
    first = _checks(values, files) if values["backend"] == "real" else None
    return _graph(program, values, main, nodes, run_dir, first)


def _evaluate(values: dict[str, str]) -> Graph:
    run_dir, program, values = _as_trained(values | {"joystick": "none"})
    files = ParameterFiles(values["params_file"])
    evaluate: dict[str, ParameterValue] = {
        "run_dir": str(run_dir),
        "episodes": int(values["episodes"]),
        "seed": int(values["seed"]),
    }
    nodes = [*_robot(program, values, files), *judge(values, run_dir, files)]
    return _graph("evaluate", values, Node("varl_agent", "evaluate", files.of("evaluate"), evaluate), nodes, run_dir)


def _deploy(values: dict[str, str]) -> Graph:
    run_dir, program, values = _as_trained(values)
    files = ParameterFiles(values["params_file"])
    deploy: dict[str, ParameterValue] = {
        "run_dir": str(run_dir),
        "episodes": int(values["episodes"]),
        "seconds": float(values["seconds"] or 0),
        "start": values["start"],
        "seed": int(values["seed"]),
    }
    if values["backend"] == "real":
        program = "train_real"  # by the clock
    nodes = [*_robot(program, values, files), *judge(values, run_dir, files), *watchers(values, run_dir, files)]
    main = Node("varl_agent", "deploy", files.of("deploy"), deploy)
    first = _checks(values, files) if values["backend"] == "real" else None
    return _graph("deploy", values, main, nodes, run_dir, first)


def _as_trained(values: dict[str, str]) -> tuple[Path, str, dict[str, str]]:
    """The folder of the run that is named, what it was trained by, and its arguments below those of ``values``."""
    run_dir = find_run(values["run"])
    program, recorded = read_launch(run_dir)
    trained = {argument.name: argument.default for argument in PROGRAMS[program].arguments} | recorded
    return run_dir, program, values | trained | {name: value for name, value in values.items() if value}


def _teleop(values: dict[str, str]) -> Graph:
    name = f"runs/{Path(values['task']).stem}-demonstrations-{time.strftime(TIME)}"
    run_dir = real_path(values["run_dir"] or name)
    files = ParameterFiles(values["params_file"])
    teleop: dict[str, ParameterValue] = {
        "run_dir": str(run_dir),
        "episodes": int(values["episodes"]),
        "seed": int(values["seed"]),
    }
    if values["joystick"] == "none":
        raise VarlError("teleop is by joystick; use joystick:=gamepad or joystick:=spacemouse")
    nodes = [*_robot("teleop", values, files), *judge(values, run_dir, files), *watchers(values, run_dir, files)]
    return _graph("teleop", values, Node("varl_agent", "teleop", files.of("teleop"), teleop), nodes, run_dir)


def _collect(values: dict[str, str]) -> Graph:
    values["moments"] = str(Path(values["moments"] or f"moments/{Path(values['task']).stem}").expanduser().absolute())
    by_person = values["joystick"] != "none"
    if values["backend"] == "real" and not by_person:
        raise VarlError("on a real arm a person acts while moments are collected; use joystick:=gamepad or spacemouse")
    files = ParameterFiles(values["params_file"])
    collect: dict[str, ParameterValue] = {
        "run_dir": values["moments"],
        "episodes": int(values["episodes"]),
        "seed": int(values["seed"]),
        "by_person": by_person,
    }
    nodes = [
        *_robot("collect" if by_person else "train_sim", values, files),
        *judge(values, Path(values["moments"]), files),
        *watchers(values, Path(values["moments"]), files),
    ]
    main = Node("varl_agent", "collect", files.of("collect"), collect)
    return _graph("collect", values, main, nodes, Path(values["moments"]))


def _env(values: dict[str, str]) -> Graph:
    files = ParameterFiles(values["params_file"])
    program = "train_real" if values["backend"] == "real" else "train_sim"
    *others, env = _robot(program, values, files)
    others += judge(values, Path("runs"), files)
    lookers = watchers(values | {"record": "false"}, Path(), files)
    return _graph("env", values, env, [*others, *lookers], Path())


def _calibrate(values: dict[str, str]) -> Graph:
    if not values["marker_size"]:
        raise VarlError("calibrate needs the marker's size: marker_size:=<edge of the black square on the print, m>")
    file = Path(values["calibration_file"]).expanduser().absolute()
    files = ParameterFiles(values["params_file"])
    calibrate: dict[str, ParameterValue] = {
        "robot_file": str(_existing("robot", config_file("robots", values["robot"]))),
        "calibration_file": str(file),
        "camera": values["camera"],
        "mount": values["mount"],
        "marker_id": int(values["marker_id"]),
        "marker_size": float(values["marker_size"]),
    }
    camera = [Node("varl_robot_env", "realsense", files.of("realsense"))] if values["realsense"] == "true" else []
    main = Node("varl_robot_env", "calibrate", files.of("calibrate"), calibrate)
    return _graph("calibrate", values, main, camera, file.parent)


def _check(values: dict[str, str]) -> Graph:
    return _graph("check", values, _checks(values, ParameterFiles(values["params_file"])), [], Path.cwd())


def _checks(values: Mapping[str, str], files: ParameterFiles) -> Node:
    """What looks whether a real arm is ready for the task."""
    given: dict[str, ParameterValue] = {
        f"{what}_file": str(_existing(what, config_file(f"{what}s", values[what]))) for what in ("robot", "task")
    }
    return Node("varl_robot_env", "check", files.of("check"), given)


def _find_limits(values: dict[str, str]) -> Graph:
    robot_file = _existing("robot", config_file("robots", values["robot"]))
    if not values["out"] and not values["robot"].endswith(".yaml"):
        raise VarlError(
            f"{robot_file} ships with VARL; name a file of your own to write: out:=my_{values['robot']}.yaml"
        )
    out = Path(values["out"]).expanduser().absolute() if values["out"] else robot_file
    files = ParameterFiles(values["params_file"])
    given: dict[str, ParameterValue] = {"robot_file": str(robot_file), "out": str(out)}
    others: list[Node] = []
    joystick = f"joystick/{values['joystick']}" if values["joystick"] != "none" else ""
    if joystick:
        others = _robot("find_limits", values | {"task": "find-limits", "backend": "real"}, files)
    main = Node("varl_robot_env", "find_limits", files.of("find_limits", joystick), given)
    return _graph("find_limits", values, main, others, out.parent)


def _robot(program: str, values: Mapping[str, str], files: ParameterFiles) -> list[Node]:
    """The env node, the simulator that it drives unless the arm is real, and what a person takes the arm over with."""
    robot_file = _existing("robot", config_file("robots", values["robot"]))
    task_file = _existing("task", config_file("tasks", values["task"]))
    backend = values["backend"]
    if program == "train_sim" and backend == "real":
        raise VarlError("train_sim trains in a simulator; for backend:=real use train_real")
    nodes = []
    lock_step = program == "train_sim"  # a simulator under train_real runs by the wall clock, as an arm does
    if backend == "gazebo":
        nodes += gazebo_nodes(robot_file, lock_step, values["namespace"], files)
    if backend == "mujoco":
        simulator: dict[str, ParameterValue] = {
            "robot_file": str(robot_file),
            "task_file": str(task_file),
            "lock_step": lock_step,
        }
        nodes.append(Node("varl_robot_env", "simulator", files.of("simulator"), simulator))
    env: dict[str, ParameterValue] = {"robot_file": str(robot_file), "task_file": str(task_file), "backend": backend}
    if backend != "real" and not lock_step:
        env["lock_step"] = False
    if "observation" in values:
        env["observation"] = values["observation"]
    if values.get("moments"):
        env["moments"] = str(Path(values["moments"]).expanduser().absolute())
    if "held" in values:
        env["held"] = int(values["held"])
    if "beyond" in values:
        env |= {"beyond": float(values["beyond"]), "joystick.success": -1}  # its button means a corner there
    if "episode_steps" in values:
        env["max_episode_steps"] = int(values["episode_steps"])
    if backend == "real" and RobotFile.read(robot_file).calibrated and is_installed("tf2_msgs"):
        nodes.append(
            Node("varl_robot_env", "camera_frames", files.of("camera_frames"), {"robot_file": str(robot_file)})
        )
    driver = _JOYSTICKS.get(values["joystick"])
    if driver and is_installed(driver[0]):
        nodes.append(Node(*driver, essential=False))
    return [*nodes, Node("varl_robot_env", "env", files.of("env", f"joystick/{values['joystick']}"), env)]


def _graph(
    program: str,
    values: dict[str, str],
    main: Node,
    others: Sequence[Node],
    run_dir: Path,
    first: Node | None = None,
) -> Graph:
    return Graph(
        program=program,
        values=values,
        main=main,
        others=tuple(others),
        namespace=namespace(values["namespace"]) if values["namespace"] else "",
        log_level=values["log_level"],
        simulated=values.get("backend", "real") != "real",
        run_dir=run_dir,
        first=first,
    )


def _resumed(program: str, values: dict[str, str]) -> dict[str, str]:
    """The arguments that the run was started with, overridden by those that are not left at their defaults."""
    run_dir = find_run(values["run_dir"])  # once: latest may be another in a moment
    recorded_program, recorded = read_launch(run_dir)
    if recorded_program != program:
        raise VarlError(f"{run_dir} was started by {recorded_program}; resume it with that")
    defaults = {argument.name: argument.default for argument in PROGRAMS[program].arguments}
    values = values | {name: value for name, value in recorded.items() if values[name] == defaults[name]}
    return values | {"run_dir": str(run_dir)}


def _new_run_dir(values: Mapping[str, str]) -> str:
    unadvised = "-unadvised" if values["advisor"] == "none" and values["recipe"] != "sac" else ""
    task = Path(values["task"]).stem
    return f"runs/{task}-{values['recipe']}{unadvised}-s{values['seed']}-{time.strftime(TIME)}"


def _existing(what: str, path: Path) -> Path:
    if not path.is_file():
        raise VarlError(f"{what} file {path} does not exist; name one of config/{what}s or a YAML file that there is")
    return path.expanduser().absolute()


PROGRAMS = {
    program.name: program
    for program in (
        Program(
            "train_sim", "Train an arm in simulation, in lock-step.", training_arguments("mujoco", "sight"), _train_sim
        ),
        Program("train_real", "Train an arm in real time.", training_arguments("real", "scripted"), _train_real),
        Program("evaluate", "Replay a run's policy and report its success.", EVALUATE_ARGUMENTS, _evaluate),
        Program("deploy", "Act with a run's policy, for as long as wanted.", DEPLOY_ARGUMENTS, _deploy),
        Program("teleop", "Record demonstrations by joystick.", TELEOP_ARGUMENTS, _teleop),
        Program("collect", "Label moments of success and failure for a classifier.", COLLECT_ARGUMENTS, _collect),
        Program("env", "The robot alone, as an environment for an algorithm of yours.", ENV_ARGUMENTS, _env),
        Program("check", "Is this arm ready for this task? Moves nothing.", CHECK_ARGUMENTS, _check),
        Program("find_limits", "Show an arm its workspace by its corners.", FIND_LIMITS_ARGUMENTS, _find_limits),
        Program("calibrate", "Find out where a camera is.", CALIBRATE_ARGUMENTS, _calibrate),
    )
}

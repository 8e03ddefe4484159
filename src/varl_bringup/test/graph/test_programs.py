"""The description of the graph: what each argument leads to, and what is refused with which words."""

from pathlib import Path

import pytest
from varl_bringup.graph import programs as graph_module
from varl_bringup.graph.command_line import command
from varl_bringup.graph.programs import PROGRAMS
from varl_common.arguments import parse
from varl_common.errors import VarlError

from .described import describe, names, parameters


def test_training_in_simulation_by_default() -> None:
    graph = describe("train_sim")
    assert names(graph) == ["simulator", "env", "advisor", "learner"]
    assert graph.main.name == "learner"
    assert parameters(graph, "simulator")["lock_step"] is True
    assert parameters(graph, "advisor") == {"backend": "sight", "run_dir": parameters(graph, "learner")["run_dir"]}
    assert parameters(graph, "env")["backend"] == "mujoco"
    assert Path(parameters(graph, "env")["robot_file"]).name == "varl_arm.yaml"
    assert Path(parameters(graph, "env")["task_file"]).name == "reach.yaml"
    learner = parameters(graph, "learner")
    assert (learner["seed"], learner["resume"], learner["advisor"]) == (0, False, "sight")
    assert "steps" not in learner  # config/agent.yaml says
    assert Path(learner["run_dir"]).parent == Path.cwd() / "runs"
    assert Path(learner["run_dir"]).name.startswith("reach-varl-s0-")


def test_without_an_advisor_it_is_plain_sac() -> None:
    graph = describe("train_sim", "advisor:=none", "task:=push", "seed:=7", "steps:=20000")
    assert names(graph) == ["simulator", "env", "learner"]
    assert parameters(graph, "learner")["advisor"] == "none"
    assert parameters(graph, "learner")["steps"] == 20000
    assert graph.run_dir.name.startswith("push-varl-unadvised-s7-")


def test_an_advisor_that_judges_is_there_whoever_advises(tmp_path: Path) -> None:
    task = tmp_path / "mine.yaml"
    task.write_text("success: {all: [{vlm: true}, {height: block, at_least: 0.1}]}")
    for words in (["advisor:=none"], ["recipe:=sac", "advisor:=scripted"]):
        graph = describe("train_sim", f"task:={task}", *words)
        assert names(graph) == ["simulator", "env", "advisor", "learner"]
        assert parameters(graph, "learner")["advisor"] == "none"
        asked = parameters(graph, "advisor").get("backend", "")
        assert asked == ("scripted" if "recipe:=sac" in words else ""), "else as advisor.yaml says"
    assert names(describe("env", f"task:={task}"))[-2:] == ["advisor", "env"]
    assert "advisor" not in names(describe("env", "task:=push"))


def test_a_simulator_under_train_real_runs_by_the_clock() -> None:
    graph = describe("train_real", "backend:=mujoco")
    assert parameters(graph, "simulator")["lock_step"] is False


def test_a_real_arm_has_no_simulator_and_keeps_the_network_as_it_is() -> None:
    graph = describe("train_real")
    assert "simulator" not in names(graph)
    assert parameters(graph, "advisor")["backend"] == "scripted"  # a model of simulated pictures is no use here
    assert parameters(graph, "env")["backend"] == "real"
    assert set(graph.environment({})) == {"OMP_NUM_THREADS"}


def test_a_real_arm_is_checked_before_anything_else_is_started(tmp_path: Path) -> None:
    first = describe("train_real", "task:=push", "robot:=ur5e").first
    assert first is not None
    assert first.name == "check"
    assert Path(str(first.parameters["task_file"])).name == "push.yaml"
    assert describe("train_real", "backend:=mujoco").first is None
    assert describe("check", "robot:=ur5e").main.parameters == describe("train_real", "robot:=ur5e").first.parameters


def test_limits_are_not_written_into_what_ships(tmp_path: Path) -> None:
    with pytest.raises(VarlError, match=r"ships with VARL; name a file of your own to write: out:=my_ur5e\.yaml"):
        describe("find_limits", "robot:=ur5e")
    assert parameters(describe("find_limits", "robot:=ur5e", "out:=/tmp/x.yaml"), "find_limits")["out"] == "/tmp/x.yaml"


def test_limits_are_shown_by_hand_or_by_joystick_in_a_wider_box() -> None:
    by_hand = describe("find_limits", "robot:=ur5e", "out:=/tmp/x.yaml")
    assert names(by_hand) == ["find_limits"]
    assert not by_hand.main.parameter_files
    graph = describe("find_limits", "robot:=ur5e", "out:=/tmp/x.yaml", "joystick:=spacemouse")
    assert [name for name in names(graph) if name != "spacenav_node"] == ["env", "find_limits"]
    assert [file.name for file in graph.main.parameter_files] == ["spacemouse.yaml"]
    env = parameters(graph, "env")
    assert (env["backend"], env["beyond"], Path(env["task_file"]).name) == ("real", 0.15, "find-limits.yaml")
    assert env["joystick.success"] == -1, "its button marks a corner, and ends no episode"
    assert not graph.simulated


@pytest.mark.parametrize(
    ("distro", "variable"),
    [("jazzy", "FASTRTPS_DEFAULT_PROFILES_FILE"), ("kilted", "FASTDDS_DEFAULT_PROFILES_FILE")],
)
def test_a_simulation_stays_on_its_host(distro: str, variable: str) -> None:
    environment = describe("train_sim").environment({"OMP_NUM_THREADS": "4", "ROS_DISTRO": distro})
    assert set(environment) == {"ROS_AUTOMATIC_DISCOVERY_RANGE", variable}
    assert environment["ROS_AUTOMATIC_DISCOVERY_RANGE"] == "LOCALHOST"
    assert Path(environment[variable]).is_file()
    assert variable not in describe("train_sim").environment({"ROS_DISTRO": distro, variable: "mine.xml"})


@pytest.mark.parametrize("given", ["robot1", "/robot1"])
def test_a_namespace_moves_the_whole_graph(given: str) -> None:
    graph = describe("train_sim", f"namespace:={given}", "log_level:=debug")
    for node in graph.nodes:
        words = command(graph, node)
        assert "__ns:=/robot1" in words
        assert f"robot1.{node.name}:=debug" in words


def test_parameters_reach_the_command_line_with_their_types() -> None:
    graph = describe("train_sim", "run_dir:=/tmp/42")
    words = command(graph, graph.main)
    assert 'run_dir:="/tmp/42"' in words
    assert "seed:=0" in words
    assert "resume:=false" in words


def test_the_users_parameters_come_after_those_of_the_project(tmp_path: Path) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text("/**/learner:\n  ros__parameters:\n    batch_size: 64\n")
    files = describe("train_sim", f"params_file:={mine}").main.parameter_files
    assert [file.name for file in files] == ["agent.yaml", "mine.yaml"]


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("tsak:=reach", "unknown argument 'tsak'; did you mean 'task'?"),
        ("task:=raech", "unknown task 'raech'; did you mean 'reach'?"),
        ("robot:=varlarm", "unknown robot 'varlarm'; did you mean 'varl_arm'?"),
        ("robot:=/nowhere/arm.yaml", "robot file /nowhere/arm.yaml does not exist"),
        ("backend:=mujco", "unknown backend 'mujco'; did you mean 'mujoco'?"),
        ("backend:=real", "use train_real"),
        ("advisor:=gpt", "unknown advisor 'gpt'; known: none, openai, replay, scripted, sight, transformers"),
        ("log_level:=loud", "unknown log_level 'loud'"),
        ("record:=yes", "unknown record 'yes'"),
        ("seed:=-1", "argument seed:=-1: expected a whole number, 0 or more"),
        ("steps:=0", "argument steps:=0: expected a whole number, 1 or more"),
        ("steps:=2e4", "expected a whole number"),
        ("namespace:=1st", "expected names of letters"),
        ("task=reach", "write name:=value"),
        ("params_file:=/nowhere.yaml", "/nowhere.yaml does not exist"),
        ("resume:=true", "resume:=true needs the run's folder"),
    ],
)
def test_bad_arguments_are_refused_in_one_line(word: str, message: str) -> None:
    with pytest.raises(VarlError) as error:
        describe("train_sim", word)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("/**/learnr:\n  ros__parameters: {}\n", "did you mean 'learner'?"),
        ("learner:\n  batch_size: 64\n", "ros__parameters"),
        ("- 1\n", "expected a mapping"),
        ("a: [\n", "not valid YAML"),
    ],
)
def test_a_parameter_file_that_no_node_would_read_is_refused(tmp_path: Path, text: str, message: str) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text(text)
    with pytest.raises(VarlError) as error:
        describe("train_sim", f"params_file:={mine}")
    assert message in str(error.value)
    assert str(mine) in str(error.value)


def test_an_argument_given_twice_is_refused() -> None:
    with pytest.raises(VarlError, match="given twice"):
        parse(["seed:=1", "seed:=2"])


def test_a_person_takes_over_with_the_joystick_that_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graph_module, "is_installed", lambda package: package == "spacenav")
    graph = describe("train_real", "joystick:=spacemouse", "demonstrations:=runs/shown/dataset")
    assert [(node.package, node.name, node.essential) for node in graph.nodes if not node.essential] == [
        ("spacenav", "spacenav_node", False)
    ]
    env = next(node for node in graph.nodes if node.name == "env")
    assert [file.name for file in env.parameter_files] == ["spacemouse.yaml"]
    assert parameters(graph, "learner")["demonstrations"] == str(Path.cwd() / "runs/shown/dataset")
    gamepad = describe("train_real", "joystick:=gamepad")
    assert all(node.essential for node in gamepad.nodes), "its driver is not installed: it may run elsewhere"
    env = next(node for node in describe("train_real").nodes if node.name == "env")
    assert not env.parameter_files


def test_teleoperation_is_by_the_clock_and_leaves_time_for_a_person() -> None:
    graph = describe("teleop", "task:=push", "episodes:=3")
    assert names(graph) == ["simulator", "env", "teleop"]
    assert parameters(graph, "simulator")["lock_step"] is False
    assert parameters(graph, "env")["max_episode_steps"] == 400
    assert parameters(graph, "teleop")["episodes"] == 3
    assert Path(parameters(graph, "teleop")["run_dir"]).name.startswith("push-demonstrations-")
    assert not graph.starts_run
    assert names(describe("teleop", "backend:=real")) == ["env", "teleop"]
    with pytest.raises(VarlError, match="joystick:=gamepad"):
        describe("teleop", "joystick:=none")


def test_calibration_needs_a_measured_marker_and_moves_nothing() -> None:
    with pytest.raises(VarlError, match="marker_size:="):
        describe("calibrate", "robot:=fr3")
    with pytest.raises(VarlError, match="greater than 0"):
        describe("calibrate", "marker_size:=0")
    graph = describe("calibrate", "robot:=fr3", "marker_size:=0.1", "realsense:=true")
    assert names(graph) == ["realsense", "calibrate"]
    assert parameters(graph, "calibrate")["calibration_file"] == str(Path.cwd() / "calibrations/camera.yaml")
    assert not graph.simulated
    assert not graph.starts_run


def test_every_program_can_be_started_from_a_launch_file_of_its_name() -> None:
    folder = Path(__file__).parents[4] / "launch"
    assert {path.name.removesuffix(".launch.py") for path in folder.glob("*.launch.py")} == set(PROGRAMS)


@pytest.mark.parametrize("program", PROGRAMS.values(), ids=list(PROGRAMS))
def test_every_argument_is_described(program: graph_module.Program) -> None:
    for argument in program.arguments:
        assert argument.description.endswith(".")
        argument.validate(argument.default)

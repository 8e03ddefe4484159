"""Every key of every file in config/, with values that cannot be: refused in a sentence, never a traceback."""

import copy
import math
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from varl_agent.training.settings import LearnerSettings
from varl_common.errors import VarlError
from varl_common.yaml_file import load_yaml
from varl_robot_env.config.robot import RobotConfig
from varl_robot_env.kinematics.kinematics import Kinematics
from varl_robot_env.perception.calibration import Calibration
from varl_robot_env.safety.safety_filter import SafetyFilter
from varl_robot_env.simulation.world import SimulatorConfig
from varl_robot_env.tasks.fit import check_fits
from varl_robot_env.tasks.task import load_task
from varl_vlm_advisor.service.advisor import Advisor
from varl_vlm_advisor.service.config import config_model

CONFIG = Path(__file__).parents[1] / "config"
CALIBRATION: dict[str, Any] = {"camera": "camera", "mount": "base", "pose": [0.1, 0, 0.1, 0, 0, 0, 1]}
CALIBRATION |= {"residual_mm": 1.0, "residual_deg": 0.1, "samples": 9}
WRONG = [
    None,
    math.nan,
    math.inf,
    -1.0,
    0.0,
    1e9,
    True,
    "",
    "a b",
    "1/é",
    "\0",
    "a" * 300,
    [],
    {},
    [math.nan],
    [True],
    {"a": 1},
]


def parameters(file: str) -> dict[str, Any]:
    values = load_yaml(CONFIG / file)
    while "ros__parameters" not in values:
        values = next(iter(values.values()))
    return dict(values["ros__parameters"])


def robot(values: dict[str, Any]) -> None:
    made = RobotConfig.from_dict(values | {"source": CONFIG / "robots/varl_arm.yaml"}, "robot.yaml")
    kinematics = Kinematics(made.urdf_text(), made.joints, made.base_frame, made.tool_frame)
    SafetyFilter(made, kinematics, ["dx", "dy", "dz", "gripper"])


def task(name: str) -> Callable[[dict[str, Any]], None]:
    arm = RobotConfig.from_yaml(CONFIG / "robots/varl_arm.yaml")

    def load(values: dict[str, Any]) -> None:
        folder = Path(task.folder) / "config"  # type: ignore[attr-defined]
        if not folder.exists():
            shutil.copytree(CONFIG, folder)
        file = folder / f"tasks/{name}.yaml"
        file.write_text(yaml.safe_dump(values))
        check_fits(load_task(file), arm, "mujoco")

    return load


def joystick(values: dict[str, Any]) -> None:
    pytest.importorskip("rclpy")
    from varl_robot_env.ros.joystick import JoystickConfig

    JoystickConfig.from_dict(values["joystick"], "gamepad.yaml")


def perception(values: dict[str, Any]) -> None:
    pytest.importorskip("rclpy")
    from varl_robot_env.nodes.perception import PerceptionConfig

    PerceptionConfig.from_dict(values, "perception.yaml")


ADVISOR = config_model()


def advisor(values: dict[str, Any]) -> None:
    Advisor(ADVISOR.from_dict(values, "advisor.yaml")).close()


def asking(backend: str, **settings: Any) -> Callable[[], dict[str, Any]]:
    """The advisor's file where it asks another than the scripted one."""

    def read() -> dict[str, Any]:
        values = parameters("advisor.yaml")
        return values | {"backend": backend, "run_dir": "runs/x", backend: values[backend] | settings}

    return read


FILES: dict[str, tuple[Callable[[], dict[str, Any]], Callable[[dict[str, Any]], object]]] = {
    "robots/varl_arm": (lambda: load_yaml(CONFIG / "robots/varl_arm.yaml"), robot),
    "robots/ur5e": (
        lambda: load_yaml(CONFIG / "robots/ur5e.yaml"),
        lambda values: RobotConfig.from_dict(values | {"source": CONFIG / "robots/ur5e.yaml"}, "ur5e.yaml"),
    ),
    "simulator": (
        lambda: parameters("simulator.yaml"),
        lambda values: SimulatorConfig.from_dict(values, "simulator.yaml"),
    ),
    "agent": (
        lambda: parameters("agent.yaml") | {"run_dir": "runs/x"},
        lambda values: LearnerSettings.from_dict(values, "agent.yaml"),
    ),
    "advisor": (asking("scripted"), advisor),
    "advisor of openai": (asking("openai", model="m", base_url="http://localhost:1/v1"), advisor),
    "advisor of replay": (asking("replay", folder=str(CONFIG)), advisor),
    "perception": (lambda: load_yaml(CONFIG / "perception.yaml"), perception),
    "joystick/gamepad": (lambda: parameters("joystick/gamepad.yaml"), joystick),
    "calibration": (lambda: dict(CALIBRATION), lambda values: Calibration.from_dict(values, "camera.yaml")),
    **{
        f"tasks/{name}": ((lambda name=name: load_yaml(CONFIG / f"tasks/{name}.yaml")), task(name))  # type: ignore[misc]
        for name in ("reach", "pick-place", "drawer")
    },
}


def places(values: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where there is a value, of lists and mappings too."""
    if path:
        yield path
    keys = values if isinstance(values, dict) else range(len(values)) if isinstance(values, list) else ()
    for key in keys:
        yield from places(values[key], (*path, key))


def changed(values: dict[str, Any], path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    values = copy.deepcopy(values)
    holder: Any = values
    for key in path[:-1]:
        holder = holder[key]
    holder[path[-1]] = value
    return values


@pytest.mark.parametrize("name", FILES)
def test_no_value_ends_in_a_traceback_and_no_number_is_one_that_is_none(name: str, tmp_path: Path) -> None:
    task.folder = tmp_path  # type: ignore[attr-defined]
    read, check = FILES[name]
    values = read()
    check(copy.deepcopy(values))
    for path in places(values):
        was: Any = values
        for key in path:
            was = was[key]
        for value in WRONG:
            number = isinstance(was, int | float) and not isinstance(was, bool) and "good" not in path
            none = isinstance(value, str | dict | list | bool) or (
                isinstance(value, float) and not math.isfinite(value)
            )
            try:
                check(changed(values, path, value))
            except VarlError:
                continue
            assert not (number and none), (path, value)


IMPOSSIBLE: list[tuple[str, tuple[Any, ...], Any, str]] = [
    ("robots/ur5e", ("driver", "faults", 0, "meaning"), " ", "words"),
    ("robots/ur5e", ("driver", "faults", 0, "type"), "std_msgs/Bool", "package/msg/Name"),
    ("robots/ur5e", ("driver", "faults", 1, "topic"), "io_and_status_controller/robot_program_running", "named twice"),
    ("robots/ur5e", ("driver", "wrench", "topic"), "joint_states", "joint_states is named twice"),
    ("robots/ur5e", ("driver", "estops"), [{"topic": "panel"}, {"topic": "panel"}], "panel is named twice"),
    ("robots/ur5e", ("driver", "deadman"), {"topic": "a b", "stale_after": 0.5}, "ROS name"),
    ("robots/ur5e", ("cameras", 0, "info_topic"), "camera/camera/color/image_raw", "named twice"),
    ("robots/ur5e", ("gripper", "command"), "scaled_joint_trajectory_controller/joint_trajectory", "both commanded"),
    ("robots/ur5e", ("tool_frame",), "base_link", "both base_link"),
    ("robots/ur5e", ("tool_parent",), "fingertips", "both fingertips"),
    ("robots/varl_arm", ("control_period",), 0, "greater than 0"),
    ("robots/varl_arm", ("safety", "joint_speed", 0), True, "expected a number"),
    ("simulator", ("camera_fov",), 180, "less than 180"),
    ("simulator", ("camera_look_at",), [1.2, -0.75, 0.72], "the same place"),
    ("simulator", ("camera_rate",), -5, "greater than 0"),
    ("agent", ("envs",), ["env", "env"], "named twice"),
    ("advisor", ("strategy",), "plans", "'plan'"),
    ("advisor", ("run_dir",), "a" * 300, "cannot be read: File name too long"),
    ("advisor of openai", ("openai", "base_url"), "http://localhost:99999/v1", "expected a URL"),
    ("advisor of openai", ("openai", "extra"), '{"top_p": 1e400}', "JSON object"),
    ("advisor of openai", ("openai", "temperature"), -0.5, "or -1, which leaves it"),
    ("advisor of openai", ("openai", "api_key_env"), "NOT_SET", "names no environment variable that is set"),
    ("advisor of openai", ("openai", "api_key_file"), "a\0b", "without a zero byte"),
    ("advisor of replay", ("replay", "folder"), "a" * 300, "is no folder"),
    ("perception", ("things", 0, "marker", "id"), 10_000, "has the markers 0 to"),
    ("perception", ("depth_lag",), -0.1, "greater than 0"),
    ("joystick/gamepad", ("joystick", "axes"), [0, 0, 1], "axis 0 has two meanings"),
    ("calibration", ("samples",), 0, "greater than 0"),
    ("tasks/reach", ("success",), {"distance": ["tool", "target"], "at_least": 0}, "says nothing"),
    ("tasks/reach", ("success",), {"distance": ["tool", "tool"], "at_most": 0.1}, "with itself"),
    ("tasks/reach", ("success",), {"distance": ["tool", "target"], "at_most": 0.1, "at_least": 0.2}, "never holds"),
    ("tasks/reach", ("success",), {"all": []}, "at least 1 item"),
    ("tasks/reach", ("success",), {"distance": ["tool", "target"], "at_most": 0.1, "held": 900}, "900 periods"),
    ("tasks/reach", ("instruction",), " ", "empty"),
]


@pytest.mark.parametrize(("name", "path", "value", "words"), IMPOSSIBLE)
def test_what_cannot_be_is_refused_with_these_words(
    name: str, path: tuple[Any, ...], value: Any, words: str, tmp_path: Path
) -> None:
    task.folder = tmp_path  # type: ignore[attr-defined]
    read, check = FILES[name]
    with pytest.raises(VarlError, match=words):
        check(changed(read(), path, value))

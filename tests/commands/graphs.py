"""The graphs that commands look at, talk to or need an arm of; each is what its page has its reader start before."""

from __future__ import annotations

from pathlib import Path

import yaml
from varl_common.yaml_file import load_yaml

from ..conftest import patient
from .pages import ROOT

LEARNER = {
    "sac.net_arch": [32, 32],
    "sac.batch_size": 32,
    "sac.learning_starts": 30,
    "advice.trigger": [40],
    "advice.states_per_query": 4,
    "advice.delay": 2,
    "evaluation_episodes": 1,
    "final_episodes": 1,
    "filmed_episodes": 0,
}
"""A learner with small networks, one question, one episode an evaluation and no film."""

_URDF = {"ur5e": "standin_ur5e.urdf", "varl_arm": "varl_arm.urdf"}


def _driver(robot: str, file: str) -> str:
    urdf = f"src/varl_robot_env/urdf/{_URDF[robot]}"
    return f"varl_robot_env standin_driver --ros-args -p robot_file:={file} -p urdf_file:={urdf} -p rate:=250.0"


_ARM = (f"ros2 run {_driver('ur5e', 'my_arm.yaml')}",)
_CAMERA = "ros2 run varl_robot_env standin_camera"
_MARKERS = "ros2 run varl_robot_env markers --ros-args -p robot_file:=my_varl_arm.yaml"
_WATCHED = "varl train_real backend:=mujoco robot:=my_varl_arm.yaml run_dir:=runs/watched steps:=100000 " + (
    "params_file:=watched.yaml"
)
GRAPHS: dict[str, tuple[str, ...]] = {
    "a training": (_WATCHED, _MARKERS),
    "an arm": _ARM,
    "an arm like ours": (f"ros2 run {_driver('varl_arm', 'my_varl_arm.yaml')}",),
    "find_limits": (*_ARM, "varl find-limits robot:=my_arm.yaml out:=found.yaml"),
    "calibrate": (*_ARM, _CAMERA, "varl calibrate robot:=my_arm.yaml mount:=base marker_size:=0.10"),
    "teleop": ("varl teleop joystick:=gamepad",),
    "deploy": ("varl deploy run:=runs/reach-demonstrations start:=goal",),
}


def own_arm(file: Path, robot: str) -> None:
    """A user's copy of a robot's file, for an arm on a busy machine; simulated from the stand-in's description."""
    values = patient(load_yaml(ROOT / f"config/robots/{robot}.yaml"), 10.0)
    values["simulation"] = {"urdf": str(ROOT / "src/varl_robot_env/urdf" / _URDF[robot])}
    file.write_text(yaml.safe_dump(values))

"""Every robot of config/robots with a description, for tests without the vendors' packages."""

from pathlib import Path

import numpy as np
import yaml
from varl_robot_env.config.paths import config_folder
from varl_robot_env.config.robot import RobotConfig
from varl_robot_env.kinematics.kinematics import Kinematics

HERE = Path(__file__).parent
ROBOTS = sorted(path.stem for path in (config_folder() / "robots").glob("*.yaml"))


def robot(name: str) -> RobotConfig:
    """The robot with the description that its driver publishes, or that which stands in for it."""
    config = RobotConfig.from_yaml(config_folder() / "robots" / f"{name}.yaml")
    if not config.urdf.startswith("topic:"):
        return config
    standin = HERE.parents[1] / "urdf" / f"standin_{name}.urdf"
    return config.model_copy(update={"urdf": standin.read_text() if standin.exists() else chain(config)})


def chain(config: RobotConfig) -> str:
    """A URDF of bare frames from chains.yaml."""
    end = config.tool_parent or config.tool_frame
    links, joints, parent = f'<link name="{config.base_frame}"/>', "", config.base_frame
    for name, values in yaml.safe_load((HERE / "chains.yaml").read_text())[config.name].items():
        child = end if name == "tool" else f"after_{name}"
        x, y, z, roll, pitch, yaw, *limits = values
        kind, limit = "fixed", ""
        if limits:
            kind = "revolute" if np.isfinite(limits[0]) else "continuous"
            bounds = f'lower="{limits[0]}" upper="{limits[1]}"' if kind == "revolute" else ""
            limit = f'<axis xyz="0 0 1"/><limit {bounds} velocity="{limits[2]}" effort="1"/>'
        links += f'<link name="{child}"/>'
        joints += (
            f'<joint name="{name}" type="{kind}"><parent link="{parent}"/><child link="{child}"/>'
            f'<origin xyz="{x} {y} {z}" rpy="{roll} {pitch} {yaw}"/>{limit}</joint>'
        )
        parent = child
    return f'<robot name="{config.name}">{links}{joints}</robot>'


def kinematics(config: RobotConfig) -> Kinematics:
    return Kinematics(config.urdf_text(), config.joints, config.base_frame, config.tool_frame)

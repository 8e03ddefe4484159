"""What ``evaluate`` and ``teleop`` share: the first robot of a graph does whole episodes, and Ctrl-C ends them."""

from __future__ import annotations

from pydantic import Field, NonNegativeInt
from rclpy.node import Node
from varl_common.config import Config
from varl_robot_env.ros.ros_env import RosEnv


class EpisodeSettings(Config):
    """Parameters that both nodes have; each adds its own defaults."""

    run_dir: str = Field(description="folder that is read or written, absolute")
    seed: NonNegativeInt = Field(0, description="of the scenes")
    envs: list[str] = Field(["env"], description="name of the env node; the first one is used", min_length=1)
    patience: float = Field(60.0, description="seconds to wait for the env node", gt=0)


def first_robot(node: Node, settings: EpisodeSettings) -> RosEnv:
    """A client of the first env node, once that is there; it says every few seconds what it waits for.

    Raises:
        VarlError: it did not come within ``settings.patience`` seconds.
    """
    return RosEnv(node, env_name=settings.envs[0], timeout=settings.patience)

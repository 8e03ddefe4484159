"""Reach a target and come to rest there: how fast the tool is, no rule of a task's file says."""

import numpy as np
from varl_common.config import Config
from varl_robot_env.tasks.situation import Situation
from varl_robot_env.tasks.task import Task, TaskConfig


class Settings(Config):
    """``settings`` of the task's file."""

    at_rest: float
    """Speed of the tool below which it rests, m/s."""


class StopAt(Task):
    """Solved where the file's own rule says so, and the tool rests."""

    def __init__(self, config: TaskConfig) -> None:
        super().__init__(config)
        self._settings = Settings.from_dict(config.settings, f"task {config.task}: settings")

    def is_success(self, situation: Situation) -> bool:
        there = super().is_success(situation)  # always asked: it counts periods
        return there and float(np.linalg.norm(situation.velocity)) <= self._settings.at_rest

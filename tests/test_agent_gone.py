"""An agent that is killed while the arm is on its way home: the arm does not go on for nobody."""

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from varl_robot_env.ros.ros_env import RosEnv

from .arm_watcher import ROBOT, Watcher

# Far from home, then back; it says so as the way home begins.
AGENT = """
import rclpy
from varl_robot_env.ros.ros_env import RosEnv
rclpy.init()
env = RosEnv(rclpy.create_node("agent"), timeout=40.0)
env.reset(seed=1)
for _ in range(22):
    env.step([1.0, 1.0, 1.0])
print("home", flush=True)
env.reset()
"""


def test_an_agent_that_is_killed_in_a_reset_leaves_the_arm_at_rest_where_it_is(arm: tuple[RosEnv, Watcher]) -> None:
    env, watcher = arm
    home = np.array(ROBOT.home)

    def still() -> Any:
        lately = np.array([joints for _, joints in watcher.states[-60:]])
        return len(lately) == 60 and np.ptp(lately, axis=0).max() < 1e-3

    agent = subprocess.Popen([sys.executable, "-c", AGENT], stdout=subprocess.PIPE)
    try:
        assert agent.stdout
        assert agent.stdout.readline() == b"home\n"
    finally:
        agent.kill()
        agent.wait()
    watcher.states.clear()
    watcher.spin(20.0, still)
    assert still()
    assert np.abs(watcher.states[-1][1] - home).max() > 0.1, "it went on to its home"
    assert not (watcher.status and watcher.status.stopped), "whoever comes next may go on"
    env.reset()
    assert np.abs(watcher.states[-1][1] - home).max() > 0.1
    watcher.states.clear()
    watcher.spin(5.0, lambda: watcher.states)
    assert np.abs(watcher.states[-1][1] - home).max() < 0.05


pytestmark = pytest.mark.timeout(180)

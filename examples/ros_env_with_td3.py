#!/usr/bin/env python3
"""Another algorithm on the robot that the graph brings up: Stable-Baselines3's TD3 on reach, over DDS.

``varl env`` brings up the env node and the simulator that it drives, or with backend:=real your arm, and no learner.
RosEnv is its client, a Gymnasium environment like any other.
"""

import os
import signal
import subprocess
import sys

import rclpy
from stable_baselines3 import TD3
from varl_robot_env.ros.ros_env import RosEnv

STEPS = int(sys.argv[1]) if len(sys.argv) > 1 else 2_000
os.environ.setdefault("ROS_DOMAIN_ID", "77")  # this example and what it starts hear each other alone

robot = subprocess.Popen(["varl", "env", "task:=reach"])
rclpy.init()
try:
    env = RosEnv(rclpy.create_node("td3"))
    model = TD3("MlpPolicy", env, policy_kwargs={"net_arch": [64, 64]}, seed=0)
    model.learn(STEPS, log_interval=10)
    print(f"TD3 took {model.num_timesteps} steps on {env.description.robot} and made {model._n_updates} updates")
    env.close()
finally:
    rclpy.try_shutdown()
    robot.send_signal(signal.SIGINT)
    robot.wait()

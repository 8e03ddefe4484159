"""The recorder: what is published ends up in a bag that rosbag2 can read."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("rclpy")

import rclpy
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rosbags.rosbag2 import Reader
from std_msgs.msg import String
from varl_bringup.graph.packages import find_executable
from varl_common.ros.qos import LATCHED

from varl_interfaces.msg import Entities


def test_topics_of_any_qos_are_recorded(ros: int, tmp_path: Path) -> None:
    bag = tmp_path / "run/bag"
    command = [sys.executable, str(find_executable("varl_bringup", "recorder")), "--ros-args", "-p", f"bag:={bag}"]
    recorder = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    node = rclpy.create_node("speaker", namespace="robot1")
    latched = node.create_publisher(Entities, "entities", LATCHED)
    latched.publish(Entities(names=["block"]))
    best_effort = node.create_publisher(String, "words", QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT))
    deadline = time.monotonic() + 60
    while not (best_effort.get_subscription_count() and latched.get_subscription_count()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    for number in range(5):
        best_effort.publish(String(data=str(number)))
        time.sleep(0.05)
    time.sleep(0.5)
    recorder.send_signal(signal.SIGINT)
    output, _ = recorder.communicate(timeout=60)
    node.destroy_node()
    assert recorder.returncode == 0, output
    with Reader(bag) as reader:
        counts = {topic: info.msgcount for topic, info in reader.topics.items()}
    assert counts["/robot1/entities"] == 1
    assert counts["/robot1/words"] >= 4  # best effort


def test_a_bag_is_never_overwritten(ros: int, tmp_path: Path) -> None:
    command = [sys.executable, str(find_executable("varl_bringup", "recorder")), "--ros-args", "-p", f"bag:={tmp_path}"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert result.returncode == 2
    assert "exists already" in result.stderr

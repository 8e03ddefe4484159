"""The robot's URDF as its driver publishes it, with the factory calibration that no file has."""

from __future__ import annotations

import time

import rclpy
from rclpy.node import Node
from std_msgs.msg import String
from varl_common.errors import VarlError
from varl_common.ros.qos import LATCHED

from varl_robot_env.config.robot import RobotConfig

_TOPIC = "topic://"
_REPORT_EVERY = 5.0  # s
_TIMEOUT = 60.0  # s


def with_description(node: Node, robot: RobotConfig, timeout: float = _TIMEOUT) -> RobotConfig:
    """The robot, its URDF in place of the topic that carries it.

    Waits on a node of its own, so that nothing of ``node`` is executed meanwhile.

    Raises:
        VarlError: no description came within ``timeout`` seconds.
    """
    if not robot.urdf.startswith(_TOPIC):
        return robot
    topic = robot.urdf.removeprefix(_TOPIC)
    waiter = rclpy.create_node(
        f"{node.get_name()}_description",
        namespace=node.get_namespace(),
        context=node.context,
        use_global_arguments=False,
        start_parameter_services=False,
    )
    topic = waiter.resolve_topic_name(topic)
    got: list[String] = []
    waiter.create_subscription(String, topic, got.append, LATCHED)
    begin = report = time.monotonic()
    try:
        while not got:
            now = time.monotonic()
            if now - begin > timeout:
                raise VarlError(f"no robot description came on {topic} for {timeout:g} s; start the robot's driver")
            if now - report > _REPORT_EVERY:
                report = now
                node.get_logger().warning(f"waiting for the robot's description on {topic}; start its driver")
            rclpy.spin_once(waiter, timeout_sec=0.1)
    finally:
        waiter.destroy_node()
    return robot.model_copy(update={"urdf": got[0].data})

"""What of the ``ros2`` command the documentation uses, where the machine has none of its own. The rule:

- ``ros2 launch varl_bringup NAME.launch.py`` is ``varl NAME``, which brings up the same graph from the same description
  (tests/launch holds the real ``ros2 launch`` to it),
- ``ros2 run PACKAGE EXECUTABLE`` is that executable of the installed workspace,
- ``ros2 service``, ``topic``, ``param`` and ``action`` are the same calls by rclpy.
  ``topic hz`` ends after ten messages.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from importlib import import_module
from typing import Any

PATIENCE = 60.0  # s, for whoever offers what is asked for


def main(words: list[str]) -> None:
    match words:
        case ["launch", "varl_bringup", file, *given] if file.endswith(".launch.py"):
            os.execvp("varl", ["varl", file.removesuffix(".launch.py"), *given])
        case ["run", package, executable, *given]:
            from varl_bringup.graph.packages import find_executable

            os.execv(find_executable(package, executable), [executable, *given])
        case ["service", "call", name, kind]:
            _with_node(lambda node: _call(node, name, kind))
        case ["topic", "echo", name, "--once"]:
            _with_node(lambda node: print(_messages(node, name, 1)[-1]))
        case ["topic", "hz", name]:
            _with_node(lambda node: _rate(node, name))
        case ["topic", "pub", "--once", name, kind, said]:
            _with_node(lambda node: _publish(node, name, kind, said))
        case ["param", "set", node_name, name, value]:
            _with_node(lambda node: _set(node, node_name, name, value))
        case ["action", "send_goal", "--feedback", name, kind, goal]:
            _with_node(lambda node: _goal(node, name, kind, goal))
        case _:
            sys.exit(f"ros2 {' '.join(words)}: the documentation uses no such command yet; see {__file__}")


def _with_node(what: Callable[[Any], None]) -> None:
    import rclpy

    rclpy.init()
    what(rclpy.create_node("from_the_documentation"))
    rclpy.try_shutdown()


def _kind(name: str) -> Any:
    package, room, kind = name.split("/")
    return getattr(import_module(f"{package}.{room}"), kind)


def _filled(message: Any, values: str) -> Any:
    import yaml

    for name, value in yaml.safe_load(values).items():
        setattr(message, name, value)
    return message


def _waited(node: Any, future: Any) -> Any:
    import rclpy

    rclpy.spin_until_future_complete(node, future, timeout_sec=PATIENCE)
    if not future.done():
        sys.exit("no answer")
    return future.result()


def _call(node: Any, name: str, kind: str) -> None:
    service = _kind(kind)
    client = node.create_client(service, name)
    if not client.wait_for_service(PATIENCE):
        sys.exit(f"nobody offers {name}")
    print(_waited(node, client.call_async(service.Request())))


def _messages(node: Any, name: str, count: int) -> list[Any]:
    import rclpy
    from rclpy.qos import qos_profile_sensor_data

    got: list[Any] = []
    end = time.monotonic() + PATIENCE
    while not (kinds := dict(node.get_topic_names_and_types()).get(name)) and time.monotonic() < end:
        time.sleep(0.1)
    if not kinds:
        sys.exit(f"nobody publishes {name}")
    node.create_subscription(_kind(kinds[0]), name, got.append, qos_profile_sensor_data)
    while len(got) < count:
        if time.monotonic() > end:
            sys.exit(f"{name} is silent")
        rclpy.spin_once(node, timeout_sec=0.5)
    return got


def _rate(node: Any, name: str) -> None:
    _messages(node, name, 1)
    begin = time.monotonic()
    _messages(node, name, 10)
    print(f"average rate: {10 / (time.monotonic() - begin):.1f}")


def _publish(node: Any, name: str, kind: str, values: str) -> None:
    message = _kind(kind)
    publisher = node.create_publisher(message, name, 10)
    end = time.monotonic() + PATIENCE
    while not publisher.get_subscription_count():
        if time.monotonic() > end:
            sys.exit(f"nobody listens to {name}")
        time.sleep(0.1)
    publisher.publish(_filled(message(), values))
    time.sleep(0.5)


def _set(node: Any, of: str, name: str, value: str) -> None:
    from rcl_interfaces.srv import SetParameters
    from rclpy.parameter import Parameter

    client = node.create_client(SetParameters, f"{of}/set_parameters")
    if not client.wait_for_service(PATIENCE):
        sys.exit(f"there is no node {of}")
    request = SetParameters.Request(parameters=[Parameter(name, value=value).to_parameter_msg()])
    (result,) = _waited(node, client.call_async(request)).results
    print("Set parameter successful" if result.successful else sys.exit(result.reason))


def _goal(node: Any, name: str, kind: str, values: str) -> None:
    from rclpy.action import ActionClient

    action = _kind(kind)
    client = ActionClient(node, action, name)
    if not client.wait_for_server(PATIENCE):
        sys.exit(f"nobody offers {name}")
    handle = _waited(node, client.send_goal_async(_filled(action.Goal(), values), feedback_callback=print))
    if not handle.accepted:
        sys.exit("the goal was rejected")
    print(_waited(node, handle.get_result_async()).result)


if __name__ == "__main__":
    main(sys.argv[1:])

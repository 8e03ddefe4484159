"""A real arm as far as its wires: env node and client against the stand-in driver, as processes."""

import contextlib
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import rclpy
import yaml
from geometry_msgs.msg import PoseStamped, Twist, TwistStamped
from rclpy.executors import SingleThreadedExecutor
from std_msgs.msg import Bool, Float64MultiArray
from trajectory_msgs.msg import JointTrajectory
from varl_common.errors import VarlError
from varl_robot_env.config.robot import RobotConfig
from varl_robot_env.ros.ros_env import RosEnv

from .arm_watcher import PERIOD, ROBOT_FILE, ROOT, URDF, Watcher, play


def test_steps_take_a_period_and_move_the_arm_within_its_bounds(arm: tuple[RosEnv, Watcher]) -> None:
    env, watcher = arm
    description = env.description
    assert (description.robot, description.backend, description.lock_step) == ("ur5e", "real", False)
    state, _ = env.reset(seed=1)
    np.testing.assert_allclose(state[:3], [0.45, 0.0, 0.18], atol=0.005)
    begin = time.monotonic()
    for number in range(30):
        sign = 1.0 if number // 5 % 2 == 0 else -1.0
        state, _, terminated, truncated, info = env.step(np.array([0.0, 0.0, 0.5 * sign], dtype=np.float32))
        assert "stopped" not in info
        if terminated or truncated:
            break
    took = time.monotonic() - begin
    assert took > 0.9 * (number + 1) * PERIOD, "never faster than the beat"
    watcher.spin(2.0, lambda: watcher.status)
    assert watcher.status
    assert not watcher.status.stopped


SLOW = [
    pytest.param(fault, marks=pytest.mark.slow)
    for fault in (
        "program_stopped",
        "speed_zero",
        "contact",
        "nan_force",
        "no_force",
        "short_positions",
        "one_joint_silent",
        "nan_effort",
    )
]
FAULTS = ["protective_stop", "silent", "nan_velocity", "no_program", *SLOW]


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_stops_the_arm_at_once_and_only_a_rearm_lets_it_go_on(arm: tuple[RosEnv, Watcher], fault: str) -> None:
    env, watcher = arm
    env.reset(seed=1)
    assert not play(env, watcher, 5)[3]
    watcher.fault(fault)
    answer = play(env, watcher, 20)
    assert answer[3], "the episode is over"
    assert not answer[2], "and not for the task's reason"
    assert answer[4]["stopped"]
    np.testing.assert_array_equal(answer[4]["executed_action"], 0.0)
    watcher.spin(0.5, lambda: watcher.status and watcher.status.stopped)
    assert watcher.status
    assert watcher.status.stopped
    watcher.spin(0.8)  # longer than this robot's patience: an arm that is not heard has stopped by not following
    watcher.commands.clear()
    assert play(env, watcher, 3)[4]["stopped"], "steps are refused"
    assert not watcher.call("env/rearm").success, "while the cause is there"
    watcher.clear()
    watcher.spin(0.5)
    assert not watcher.commands, "nothing is commanded while stopped, whatever is asked"
    watcher.rearm()
    state, _ = env.reset()
    np.testing.assert_allclose(state[:3], [0.45, 0.0, 0.18], atol=0.005)
    assert "stopped" not in play(env, watcher, 3)[4]


def test_an_emergency_stop_by_anybody_holds_until_it_is_released_and_rearmed(arm: tuple[RosEnv, Watcher]) -> None:
    env, watcher = arm
    env.reset(seed=1)
    play(env, watcher, 3)
    watcher.estop(True)
    watcher.spin(0.2)
    assert "emergency stop" in play(env, watcher, 2)[4]["stopped"]
    assert "is pressed" in watcher.call("env/rearm").message
    watcher.estop(False)
    watcher.spin(0.2)
    assert "stopped" in play(env, watcher, 1)[4], "a released button alone rearms nothing"
    watcher.rearm()
    env.reset()
    assert "stopped" not in play(env, watcher, 2)[4]


def test_whoever_presses_the_stop_with_the_default_qos_is_heard(arm: tuple[RosEnv, Watcher]) -> None:
    env, watcher = arm
    env.reset(seed=1)
    button = watcher.node.create_publisher(Bool, "env/estop", 10)
    watcher.spin(10.0, button.get_subscription_count)
    assert not play(env, watcher, 3)[3]
    button.publish(Bool(data=True))
    assert "emergency stop /env/estop" in play(env, watcher, 40)[4]["stopped"]
    # The watcher is a publisher of the same topic: that one of two says false does not release what the other pressed.
    watcher.estop(False)
    watcher.spin(0.3)
    assert "stopped" in play(env, watcher, 1)[4]
    watcher.rearm()  # a person may: the last that was heard is that it is released
    env.reset()


def test_rearming_in_the_middle_of_an_episode_moves_nothing_until_a_reset(arm: tuple[RosEnv, Watcher]) -> None:
    env, watcher = arm
    env.reset(seed=1)
    assert not play(env, watcher, 5)[3]
    assert watcher.call("env/stop").success
    watcher.rearm()
    watcher.spin(0.5)
    watcher.commands.clear()
    with pytest.raises(gymnasium.error.ResetNeeded):
        play(env, watcher, 5)
    watcher.spin(0.3)
    assert not watcher.commands
    env.reset()
    assert not play(env, watcher, 3)[3]


def test_an_arm_that_loses_its_agent_comes_to_rest_by_itself(arm: tuple[RosEnv, Watcher]) -> None:
    env, watcher = arm
    env.reset(seed=1)
    for _ in range(8):
        env.step(np.array([0.0, 0.8, 0.0], dtype=np.float32))
    watcher.spin(5.0, lambda: watcher.states)  # the agent dies here
    watcher.states.clear()
    watcher.spin(5.0, lambda: watcher.states)
    left = watcher.states[-1][1]

    def rests() -> bool:
        lately = np.array([joints for _, joints in watcher.states[-100:]])
        return len(lately) == 100 and np.ptp(lately, axis=0).max() < 1e-3

    watcher.spin(10.0, rests)
    assert rests()
    # What is left of the period at 0.6 rad/s, the servos' lag, and the way that braking at the bound takes.
    assert np.abs(watcher.states[-1][1] - left).max() < 0.6 * (PERIOD + 0.02) + 0.6**2 / (2 * 5.0)


@pytest.mark.slow
def test_cameras_deadman_and_effort_are_watched_where_the_robots_file_says(
    processes: Any, robot_values: dict[str, Any], tmp_path: Path
) -> None:
    values = robot_values
    values["safety"] |= {"camera_stale_after": 0.5, "joint_effort": [150.0] * 6}
    place = {"camera": "camera", "mount": "tool", "pose": [0.05, 0.0, -0.1, 0.0, 0.0, 0.0, 1.0]}
    (tmp_path / "camera.yaml").write_text(yaml.safe_dump(place | {"residual_mm": 1, "residual_deg": 0.1, "samples": 9}))
    values["cameras"][0]["calibration"] = "camera.yaml"
    values["driver"] = {"deadman": {"topic": "deadman", "stale_after": 0.5}}
    robot_file = tmp_path / "ur5e.yaml"
    robot_file.write_text(yaml.safe_dump(values))
    processes.node("varl_robot_env", "standin_driver", robot_file=ROBOT_FILE, urdf_file=URDF, rate=250.0)
    processes.node("varl_robot_env", "standin_camera")
    task_file = ROOT / "config/tasks/reach.yaml"
    env_node = processes.node("varl_robot_env", "env", robot_file=robot_file, task_file=task_file, backend="real")
    rclpy.init()
    try:
        watcher = Watcher()
        deadman = watcher.node.create_publisher(Bool, "deadman", 1)
        held = [True]
        watcher.node.create_timer(0.05, lambda: deadman.publish(Bool(data=held[0])) if held else None)
        spinning = threading.Event()

        def keep_spinning() -> None:
            while not spinning.is_set():
                watcher.spin(0.05)

        spinner = threading.Thread(target=keep_spinning)
        spinner.start()
        env = RosEnv(rclpy.create_node("client"), timeout=40.0, capture=True)

        def stopped_after(happens: Callable[[], Any]) -> str:
            """Why the arm stops after something happened; then all is well again, and rearmed."""
            state, info = env.reset(seed=1)
            tool = env.description.entity_indices[0]
            frame, position = info["frames"][0], state[tool : tool + 3]
            # The tool looks down, so 10 cm behind it is 10 cm above it.
            np.testing.assert_allclose(frame.camera_pose[2, 3], position[2] + 0.1, atol=0.01)
            assert "stopped" not in env.step(np.zeros(3, dtype=np.float32))[4]
            happens()
            reason = ""
            for _ in range(40):
                reason = env.step(np.zeros(3, dtype=np.float32))[4].get("stopped", "")
                if reason:
                    break
            return reason

        def rearm() -> None:
            held[:] = [True]
            helper.fault("none")
            helper.fault("none", "standin_camera")
            time.sleep(0.5)
            answer = helper.call("env/rearm")
            assert answer.success, answer.message

        helper = Watcher("helper")
        assert "deadman switch was let go" in stopped_after(lambda: held.__setitem__(0, False))
        rearm()
        assert "no deadman" in stopped_after(held.clear)
        rearm()
        assert "no camera camera" in stopped_after(lambda: helper.fault("silent", "standin_camera"))
        rearm()
        assert "N m, more than 150" in stopped_after(lambda: helper.fault("contact"))
        rearm()
        env.reset()
    except Exception:
        print(env_node.output[-2000:])
        raise
    finally:
        spinning.set()
        spinner.join(2.0)
        rclpy.try_shutdown()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("interface", ["joint_trajectory", "servo_twist", "forward_position", "cartesian_pose"])
def test_whoever_ends_the_env_node_in_the_middle_of_a_step_stops_the_arm(
    processes: Any, robot_values: dict[str, Any], tmp_path: Path, interface: str, number: signal.Signals
) -> None:
    robot_values["driver"]["arm_interface"] = interface
    robot_file = tmp_path / "ur5e.yaml"
    robot_file.write_text(yaml.safe_dump(robot_values))
    processes.node("varl_robot_env", "standin_driver", robot_file=robot_file, urdf_file=URDF, rate=250.0)
    task_file = ROOT / "config/tasks/reach.yaml"
    env_node = processes.node("varl_robot_env", "env", robot_file=robot_file, task_file=task_file, backend="real")
    rclpy.init()
    try:
        kinds = {"joint_trajectory": JointTrajectory, "servo_twist": TwistStamped, "cartesian_pose": PoseStamped}
        node = rclpy.create_node("listener")
        heard: list[Any] = []
        topic = RobotConfig.from_yaml(robot_file).arm_command
        node.create_subscription(kinds.get(interface, Float64MultiArray), topic, heard.append, 100)
        ear = SingleThreadedExecutor()
        ear.add_node(node)
        env = RosEnv(rclpy.create_node("client"), timeout=40.0)
        if interface in ("joint_trajectory", "forward_position"):  # the stand-in obeys these alone
            env.reset(seed=1)
            for _ in range(6):
                env.step(np.array([0.0, 0.8, 0.0], dtype=np.float32))
        else:
            with contextlib.suppress(VarlError):  # an arm that does not move does not follow
                env.reset(seed=1)
                env.step(np.array([0.0, 0.8, 0.0], dtype=np.float32))
        env_node.signal(number)
        assert env_node.wait(20) == 0
        end = time.monotonic() + 10.0
        while not heard or not rests(heard[-1], heard[-2] if len(heard) > 1 else None):
            assert time.monotonic() < end, heard[-3:]
            ear.spin_once(timeout_sec=0.05)
    finally:
        rclpy.try_shutdown()


def rests(last: Any, before: Any) -> bool:
    """Whether a command leaves the arm at rest."""
    match last:
        case JointTrajectory():
            return not any(last.points[-1].velocities)
        case TwistStamped():
            return last.twist == Twist()
        case PoseStamped():
            return before is None or last.pose == before.pose
        case _:
            return before is None or last.data == before.data

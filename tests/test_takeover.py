"""A person takes the arm over, in simulation and on the stand-in for a real one; what they did is kept and tagged."""

import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import rclpy
import yaml
from std_srvs.srv import Trigger
from varl_agent.replay.layout import Tag
from varl_agent.replay.store import ReplayStore
from varl_common.yaml_file import load_yaml
from varl_robot_env.ros.ros_env import EnvUnavailable, RosEnv

from varl_interfaces.msg import EnvStatus

from .hand import Hand

ROOT = Path(__file__).parents[1]
CONFIG = ROOT / "config"
JOYSTICK = "joystick/gamepad.yaml"
POLICY = np.array([0.5, 0.0, 0.0], np.float32)


def step_until(
    env: RosEnv, condition: Callable[[dict[str, Any]], object], action: np.ndarray = POLICY
) -> dict[str, Any]:
    """Step, with a reset wherever the last step ended the episode, until the info of a step fits; that info."""
    for _ in range(2000):
        try:
            info = env.step(action)[4]
        except gymnasium.error.ResetNeeded:
            env.reset()
            continue
        if condition(info):
            return info
    pytest.fail("did not happen in 2000 steps")


def call(node: rclpy.node.Node, service: str) -> Trigger.Response:
    client = node.create_client(Trigger, service)
    assert client.wait_for_service(10.0)
    future = client.call_async(Trigger.Request())
    rclpy.spin_until_future_complete(node, future, timeout_sec=10.0)
    return future.result()


def simulated(processes: Any, task_file: Path, **given: float) -> RosEnv:
    files: Any = {"robot_file": CONFIG / "robots/varl_arm.yaml", "task_file": task_file}
    processes.node("varl_robot_env", "simulator", ("simulator.yaml",), **files, lock_step=True)
    processes.node("varl_robot_env", "env", (JOYSTICK,), **files, **given)
    return RosEnv(rclpy.create_node("tester"))


def test_whoever_holds_the_arm_moves_it_through_the_same_filter(processes: Any, hand: Hand) -> None:
    env = simulated(processes, CONFIG / "tasks/reach.yaml")
    env.reset(seed=0)
    info = env.step(POLICY)[4]
    assert not info["intervened"]
    np.testing.assert_array_equal(info["executed_action"], POLICY)

    hand.hold(left=1.0)
    info = step_until(env, lambda info: info["intervened"] and not info["interventions"])  # once it has come to speed
    np.testing.assert_allclose(info["executed_action"], [0.0, 1.0, 0.0], atol=1e-6)
    info = step_until(env, lambda info: "workspace" in info["interventions"])
    assert info["intervened"], "a person is held back at the box's wall as the policy is"

    hand.let_go()
    info = step_until(env, lambda info: not info["intervened"] and not info["interventions"])
    np.testing.assert_allclose(info["executed_action"], POLICY, atol=0.01)

    hand.hold(up=0.5)
    step_until(env, lambda info: info["intervened"])
    hand.unplug()
    with pytest.raises(EnvUnavailable, match="joystick fell silent"):
        step_until(env, lambda info: False)
    env.close()


def test_beyond_the_workspace_nobody_acts_but_a_hand(processes: Any, hand: Hand) -> None:
    env = simulated(processes, CONFIG / "tasks/find-limits.yaml", beyond=0.1)
    before, _ = env.reset(seed=0)
    for _ in range(5):
        after, *_, info = env.step(POLICY)
        np.testing.assert_array_equal(info["executed_action"], 0.0)
    np.testing.assert_allclose(after[:3], before[:3], atol=1e-3)
    hand.hold(left=1.0)
    info = step_until(env, lambda info: info["intervened"] and not info["interventions"])
    np.testing.assert_allclose(info["executed_action"], [0.0, 1.0, 0.0], atol=1e-6)
    hand.let_go()
    step_until(env, lambda info: not info["intervened"] and not info["executed_action"].any())
    env.close()


def test_beyond_the_workspace_without_a_joystick_the_env_node_does_not_start(processes: Any) -> None:
    files = {"robot_file": CONFIG / "robots/varl_arm.yaml", "task_file": CONFIG / "tasks/find-limits.yaml"}
    env = processes.node("varl_robot_env", "env", **files, beyond=0.1)
    assert env.wait(30) == 2
    assert "only a person's hand moves the arm; give a joystick" in env.output


def test_a_person_says_that_it_is_solved(processes: Any, hand: Hand, tmp_path: Path) -> None:
    task_file = tmp_path / "reach.yaml"
    task_file.write_text(yaml.safe_dump(load_yaml(CONFIG / "tasks/reach.yaml") | {"success": {"person": True}}))
    env, node = simulated(processes, task_file), rclpy.create_node("judge")
    env.reset(seed=0)
    assert env.step(POLICY)[1:3] == (0.0, False)
    assert call(node, "/env/success").success
    _, reward, terminated, truncated, info = env.step(POLICY)
    assert (reward, terminated, truncated, info["is_success"]) == (1.0, True, False, True)
    env.reset()
    hand.hold(buttons=("success",))
    info = step_until(env, lambda info: info["is_success"])
    assert not info["intervened"], "to judge is not to act"
    env.close()


def test_geometry_judges_where_the_task_says_nothing(processes: Any, ros: int) -> None:
    env = simulated(processes, CONFIG / "tasks/reach.yaml")
    env.reset(seed=0)
    answer = call(rclpy.create_node("judge"), "/env/success")
    assert not answer.success
    assert "success: {person: true}" in answer.message
    assert not env.step(POLICY)[2]
    env.close()


def test_on_an_arm_a_lost_joystick_stops_it_until_a_person_rearms(processes: Any, hand: Hand, tmp_path: Path) -> None:
    values = load_yaml(CONFIG / "robots/ur5e.yaml")
    values["safety"]["stale_after"] = 0.4  # patient with a test machine that is busy
    robot_file = tmp_path / "ur5e.yaml"
    robot_file.write_text(yaml.safe_dump(values))
    urdf = ROOT / "src/varl_robot_env/urdf/standin_ur5e.urdf"
    processes.node("varl_robot_env", "standin_driver", robot_file=robot_file, urdf_file=urdf, rate=250.0)
    given = {"robot_file": robot_file, "task_file": CONFIG / "tasks/reach.yaml", "backend": "real"}
    processes.node("varl_robot_env", "env", (JOYSTICK,), **given)
    env, node = RosEnv(rclpy.create_node("tester")), rclpy.create_node("person")
    env.reset(seed=0)
    hand.hold(up=1.0)
    step_until(env, lambda info: info["intervened"], np.zeros(3, np.float32))
    before, _ = env.reset()
    for _ in range(5):
        after, *_, info = env.step(np.zeros(3, np.float32))
        assert info["intervened"]
    assert after[2] > before[2] + 0.03, "it went up"
    hand.unplug()
    info = step_until(env, lambda info: "stopped" in info, np.zeros(3, np.float32))
    assert "joystick fell silent" in info["stopped"]
    assert "stopped" in env.step(POLICY)[4]
    assert call(node, "/env/rearm").success
    env.reset()
    info = env.step(POLICY)[4]
    assert not info["intervened"], "what was held then is not held now"
    assert "stopped" not in info
    env.close()


def test_what_a_person_did_is_learned_from_and_tagged(processes: Any, hand: Hand, tmp_path: Path) -> None:
    simulated(processes, CONFIG / "tasks/reach.yaml").close()
    hand.hold(left=1.0)
    run = tmp_path / "run"
    assert processes.learner(run, 150, seed=1).wait(100) == 0
    store = ReplayStore(run / "replay", writable=False)
    rows = store.take(np.arange(store.count), 0)
    human = rows[rows["tag"] == Tag.HUMAN]
    assert len(human) > 100
    untouched = human["action"][:, 1] > 0.99  # the others are at the wall of the workspace
    assert untouched.sum() > 20
    np.testing.assert_allclose(human["action"][untouched][:, 0], 0.0, atol=0.02)


def test_demonstrations_are_recorded_by_varl_teleop_and_a_training_starts_with_them(
    processes: Any, hand: Hand, tmp_path: Path
) -> None:
    """A person who sees where the tool and the target are, and pushes the sticks that way."""
    person = rclpy.create_node("person")

    def push(status: EnvStatus) -> None:
        way = [getattr(status.target, axis) - getattr(status.tool, axis) for axis in "xyz"]
        hand.hold(*np.clip(np.array(way) / status.action_scale[0], -1.0, 1.0))

    person.create_subscription(EnvStatus, "/env/status", push, 1)
    words = ["varl", "teleop", "episodes:=2", f"run_dir:={tmp_path / 'shown'}"]
    with (tmp_path / "teleop.log").open("wb") as log:
        teleop = subprocess.Popen(words, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        try:
            deadline = time.monotonic() + 120.0
            while teleop.poll() is None and time.monotonic() < deadline:
                rclpy.spin_once(person, timeout_sec=0.05)
        finally:
            teleop.kill()
    told = (tmp_path / "teleop.log").read_text()
    assert teleop.returncode == 0, told
    dataset = tmp_path / "shown/dataset"
    assert f"2 episodes; train with demonstrations:={dataset}" in told

    hand.let_go()
    processes.robot()
    run = tmp_path / "run"
    learner = processes.learner(run, 100, seed=1, demonstrations=dataset)
    assert learner.wait(100) == 0, learner.output
    store = ReplayStore(run / "replay", writable=False)
    tags = store.take(np.arange(store.count))["tag"]
    shown = np.count_nonzero(tags == Tag.DEMONSTRATION)
    assert f"starts with {shown} demonstrated transitions" in learner.output
    assert 10 < shown < 200
    assert (tags[:shown] == Tag.DEMONSTRATION).all()
    assert len(tags) == shown + 100

"""The environment over the real graph: simulator and env node as processes, RosEnv as their client."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import yaml
from gymnasium.utils.env_checker import check_env

rclpy = pytest.importorskip("rclpy")

from lifecycle_msgs.msg import Transition  # noqa: E402
from lifecycle_msgs.srv import ChangeState  # noqa: E402
from rclpy.node import Node  # noqa: E402
from std_srvs.srv import Trigger  # noqa: E402
from varl_common.task_plans import PLANS  # noqa: E402
from varl_common.yaml_file import load_yaml  # noqa: E402
from varl_robot_env.config.paths import config_file, config_folder  # noqa: E402
from varl_robot_env.env.arm_env import ArmEnv  # noqa: E402
from varl_robot_env.ros.ros_env import EnvUnavailable, RosEnv  # noqa: E402

from varl_interfaces.msg import StepStatus  # noqa: E402
from varl_interfaces.srv import Reset, Step  # noqa: E402

ROBOT = config_file("robots", "varl_arm")


def start(node: str, *parameters: str, **popen: Any) -> subprocess.Popen[str]:
    main = f"from varl_robot_env.nodes.{node} import main; main()"
    arguments = [argument for parameter in parameters for argument in ("-p", parameter)]
    files = ["--params-file", str(config_folder() / "simulator.yaml")] if node == "simulator" else []
    command = [sys.executable, "-c", main, "--ros-args", *files, *arguments]
    return subprocess.Popen(command, text=True, **popen)


class Graph:
    """A simulator and an env node."""

    def __init__(self, task: str, lock_step: bool, *parameters: str, robot: Path = ROBOT) -> None:
        files = (f"robot_file:={robot}", f"task_file:={config_file('tasks', task)}")
        given = (*files, f"lock_step:={str(lock_step).lower()}")
        self.simulator, self.env = start("simulator", *given), start("env", *given, *parameters)

    def stop(self) -> list[int]:
        """Ctrl-C, and the statuses that both end with."""
        processes = (self.simulator, self.env)
        for process in processes:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
        try:
            return [process.wait(20) for process in processes]
        finally:
            for process in processes:
                process.kill()


@pytest.fixture
def make_graph(ros: int) -> Iterator[Callable[..., Graph]]:
    graphs: list[Graph] = []

    def make(task: str = "reach", lock_step: bool = True, *parameters: str, robot: Path = ROBOT) -> Graph:
        graphs.append(Graph(task, lock_step, *parameters, robot=robot))
        return graphs[-1]

    yield make
    for graph in graphs:
        graph.stop()


@pytest.fixture
def node(ros: int) -> Iterator[Node]:
    node = rclpy.create_node("tester")
    yield node
    node.destroy_node()


def ask(node: Node, kind: Any, name: str, request: Any) -> Any:
    """The answer of a service, asked past the client."""
    client = node.create_client(kind, name)
    assert client.wait_for_service(10.0)
    future = client.call_async(request)
    end = time.monotonic() + 10
    while not future.done() and time.monotonic() < end:
        rclpy.spin_once(node, timeout_sec=0.1)
    node.destroy_client(client)
    assert future.done()
    return future.result()


@pytest.mark.parametrize("task", ["reach", "lift"])
def test_the_graph_and_the_process_agree_bit_for_bit(make_graph: Callable[..., Graph], node: Node, task: str) -> None:
    graph = make_graph(task)
    there, here = RosEnv(node), ArmEnv(task)
    assert there.description.lock_step
    rng = np.random.default_rng(0)
    for seed in (3, None, 7):
        np.testing.assert_array_equal(there.reset(seed=seed)[0], here.reset(seed=seed)[0])
        for _ in range(40):
            action = rng.uniform(-1.3, 1.3, there.action_space.shape).astype(np.float32)
            one, other = there.step(action), here.step(action)
            np.testing.assert_array_equal(one[0], other[0])
            assert one[1:4] == other[1:4]
            np.testing.assert_array_equal(one[4]["executed_action"], other[4]["executed_action"])
            assert one[4]["interventions"] == other[4]["interventions"]
            assert one[4]["is_success"] == other[4]["is_success"]
            if one[2] or one[3]:
                break
        if seed is None:
            continue  # the second episode goes on with the random numbers of the first
    for field, value in vars(here.description).items():
        np.testing.assert_array_equal(getattr(there.description, field), value, err_msg=field)
    there.close()
    assert graph.stop() == [0, 0]


def test_any_algorithm_trains_on_it(make_graph: Callable[..., Graph], node: Node) -> None:
    """Both checkers, and an unmodified TD3 of Stable-Baselines3."""
    sb3 = pytest.importorskip("stable_baselines3")
    env_checker = pytest.importorskip("stable_baselines3.common.env_checker")
    make_graph("reach")
    env = RosEnv(node)
    check_env(env, skip_render_check=True)
    env_checker.check_env(env)
    model = sb3.TD3("MlpPolicy", env, learning_starts=50, policy_kwargs={"net_arch": [32, 32]}, seed=0)
    model.learn(200)
    assert model.num_timesteps == 200
    assert model.replay_buffer.pos == 200
    # Only success terminates; at the end of its time an episode is truncated, and the bootstrap goes on.
    ended, timeouts = model.replay_buffer.dones[:200], model.replay_buffer.timeouts[:200]
    assert timeouts.sum() >= 2
    np.testing.assert_array_equal(ended - timeouts, model.replay_buffer.rewards[:200])
    env.close()


def test_every_refusal_has_a_status_and_a_sentence(make_graph: Callable[..., Graph], node: Node) -> None:
    make_graph("reach")
    env = RosEnv(node)

    def step(action: list[float]) -> Step.Response:
        return ask(node, Step, "env/step", Step.Request(action=action))

    answer = step([0.0] * 3)
    assert (answer.status, answer.message) == (StepStatus.NEEDS_RESET, "no episode is running; call reset first")
    with pytest.raises(gymnasium.error.ResetNeeded, match="call reset"):
        env.step(np.zeros(3, np.float32))
    state, _ = env.reset(seed=0)
    for action, what in (([0.0] * 5, "5 elements; expected 3"), ([float("nan"), 0.0, 0.0], "not finite")):
        answer = step(action)
        assert answer.status == StepStatus.INVALID_ACTION
        assert what in answer.message
        with pytest.raises(ValueError, match="expected"):
            env.step(np.array(action, np.float32))
    assert step([0.0] * 3).status == StepStatus.OK, "refused actions leave the episode running"

    stopped = ask(node, Trigger, "env/stop", Trigger.Request())
    assert stopped.success
    assert step([0.0] * 3).status == StepStatus.STOPPED
    with pytest.raises(EnvUnavailable, match=r"stop is latched .* rearm"):
        env.reset()
    ask(node, Trigger, "env/rearm", Trigger.Request())
    np.testing.assert_array_equal(env.reset(seed=0)[0], state)

    deactivate = ChangeState.Request(transition=Transition(id=Transition.TRANSITION_DEACTIVATE))
    assert ask(node, ChangeState, "env/change_state", deactivate).success
    assert step([0.0] * 3).status == StepStatus.NOT_ACTIVE
    assert "activate" in ask(node, Reset, "env/reset", Reset.Request()).message
    activate = ChangeState.Request(transition=Transition(id=Transition.TRANSITION_ACTIVATE))
    assert ask(node, ChangeState, "env/change_state", activate).success
    np.testing.assert_array_equal(env.reset(seed=0)[0], state)
    env.close()


def test_frames_are_of_the_instant_of_the_observation(make_graph: Callable[..., Graph], node: Node) -> None:
    make_graph("reach")
    env, here = RosEnv(node), ArmEnv("reach")
    here.capture = env.capture = True
    expected = here.reset(seed=2)[1]["frames"]
    if not expected:
        pytest.skip(str(here.arm.simulation.camera.error))
    for frames in (env.reset(seed=2)[1]["frames"], env.reset(seed=2)[1]["frames"]):
        assert [frame.jpeg for frame in frames] == [frame.jpeg for frame in expected]
        assert [frame.depth for frame in frames] == [frame.depth for frame in expected]
        assert frames[0].depth
        np.testing.assert_allclose(frames[0].k, expected[0].k)
        np.testing.assert_allclose(frames[0].camera_pose, expected[0].camera_pose, atol=1e-12)
    action = np.array([0.0, 1.0, 0.0], np.float32)
    assert env.step(action)[4]["frames"][0].jpeg == here.step(action)[4]["frames"][0].jpeg
    env.capture = False
    assert "frames" not in env.step(action)[4]
    env.close()
    here.close()


def test_where_nothing_can_be_rendered_nobody_waits_for_frames(
    make_graph: Callable[..., Graph], node: Node, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MUJOCO_GL", "disabled")
    graph = make_graph("reach")
    env = RosEnv(node, capture=True)
    assert env.description.cameras == []
    assert env.reset(seed=0)[1]["frames"] == []
    assert env.step(np.zeros(3, np.float32))[4]["frames"] == []
    env.close()
    graph.stop()
    said = capfd.readouterr().err
    assert said.count("no camera frames") == 1
    assert "no picture came" not in said


def test_by_the_clock_a_simulated_arm_is_driven_and_watched_as_a_real_one(
    make_graph: Callable[..., Graph], node: Node, tmp_path: Path
) -> None:
    robot_file = tmp_path / "varl_arm.yaml"
    values = load_yaml(ROBOT) | {"urdf": f"{ROBOT.parents[2]}/src/varl_robot_env/urdf/varl_arm.urdf"}
    values["safety"]["stale_after"] = 2.0  # patient with a test machine that is busy
    robot_file.write_text(yaml.safe_dump(values))
    graph = make_graph("reach", False, robot=robot_file)
    env = RosEnv(node)
    assert not env.description.lock_step
    plan = PLANS[env.description.task]
    for seed in range(2):
        state, _ = env.reset(seed=seed)
        steps, terminated, info = 0, False, {}
        while not terminated and steps < 50:
            state, _, terminated, _, info = env.step(plan.actions(state[None], env.description)[0])
            steps += 1
        assert terminated, info
    env.capture = True
    assert len(env.reset(seed=0)[1]["frames"]) <= 1
    env.capture = False
    graph.simulator.kill()
    for _ in range(200):
        info = env.step(np.zeros(3, np.float32))[4]
        if "stopped" in info:
            break
    assert "no joint state" in info["stopped"], "its silence stops it as a driver's would"
    env.close()


@pytest.mark.parametrize("lock_step", [True, False], ids=["lock-step", "clock"])
def test_an_arm_without_a_gripper_does_what_needs_none(
    make_graph: Callable[..., Graph], node: Node, tmp_path: Path, lock_step: bool
) -> None:
    robot_file = tmp_path / "varl_arm.yaml"
    values = load_yaml(ROBOT) | {"urdf": f"{ROBOT.parents[2]}/src/varl_robot_env/urdf/varl_arm.urdf", "gripper": None}
    values["safety"]["stale_after"] = 2.0  # patient with a test machine that is busy
    robot_file.write_text(yaml.safe_dump(values))
    make_graph("reach", lock_step, robot=robot_file)
    env = RosEnv(node)
    before, _ = env.reset(seed=0)
    for _ in range(5):
        after, *_, info = env.step(np.array([0.0, 1.0, 0.0], np.float32))
        assert "stopped" not in info
    assert after[1] > before[1] + 0.01
    env.close()


def test_a_dead_env_node_is_noticed(make_graph: Callable[..., Graph], node: Node) -> None:
    graph = make_graph("reach")
    env = RosEnv(node)
    env.reset(seed=0)
    graph.env.kill()
    graph.env.wait()
    with pytest.raises(EnvUnavailable, match="/env/step gave no answer"):
        env.step(np.zeros(3, np.float32))
    env.close()


def test_a_dead_simulator_is_named(make_graph: Callable[..., Graph], node: Node) -> None:
    graph = make_graph("reach")
    env = RosEnv(node)
    env.reset(seed=0)
    graph.simulator.kill()
    graph.simulator.wait()
    with pytest.raises(EnvUnavailable, match="simulator"):
        env.step(np.zeros(3, np.float32))
    env.close()


def test_what_does_not_come_is_named(node: Node) -> None:
    with pytest.raises(EnvUnavailable, match=r"gave up after 1 s: waiting for /env/describe, .*start the env node"):
        RosEnv(node, timeout=1.0)
    assert "tester_env_client" not in node.get_node_names(), "and nothing of the attempt is left"


def test_an_env_node_without_its_robot_says_so(ros: int, node: Node) -> None:
    process = start("env", f"robot_file:={ROBOT}", f"task_file:={config_file('tasks', 'reach')}")
    try:
        said, deadline = "", time.monotonic() + 120
        while "/simulator/advance" not in said:  # it comes up
            assert time.monotonic() < deadline, said
            with pytest.raises(EnvUnavailable) as told:
                RosEnv(node, timeout=2.0)
            said = str(told.value)
        assert "env: waiting for the service /simulator/advance; start the simulator" in said
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0


@pytest.mark.parametrize(
    ("node_name", "parameters", "sentence"),
    [
        ("env", ["taskfile:=x"], "unknown parameter 'taskfile'"),
        ("env", ["robot_file:=/nowhere.yaml", "task_file:=x"], "/nowhere.yaml does not exist"),
        ("env", [f"robot_file:={ROBOT}", "task_file:=/nowhere/x.yaml"], "/nowhere/x.yaml does not exist"),
        ("env", [f"robot_file:={ROBOT}", f"task_file:={ROBOT}"], "parameter 'task' is missing"),
        ("env", [f"robot_file:={ROBOT}", "task_file:=x", "backend:=magic"], "'mujoco', 'gazebo' or 'real'"),
        ("simulator", ["lock_step:=true"], "'robot_file' is missing"),
        ("simulator", [f"robot_file:={ROBOT}", "lock_step:=true", "timestep:=-1.0"], "timestep"),
    ],
)
def test_a_wrong_start_is_one_line_and_status_two(
    domain: int, node_name: str, parameters: list[str], sentence: str
) -> None:
    process = start(node_name, *parameters, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 2, errors
    lines = [line for line in errors.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1
    assert sentence in lines[0]
    assert "Traceback" not in errors


def test_the_simulator_says_why_it_does_not(make_graph: Callable[..., Graph], node: Node) -> None:
    from builtin_interfaces.msg import Duration, Time

    from varl_interfaces.srv import Advance, SetScene

    make_graph("reach")
    answer = ask(node, Advance, "simulator/advance", Advance.Request(duration=Duration(nanosec=1)))
    assert "multiple" in answer.message
    unsent = Advance.Request(command_stamp=Time(sec=9), controllers=["arm_controller"])
    assert (
        ask(node, Advance, "simulator/advance", unsent).message == "no command with that stamp came for arm_controller"
    )
    scene = SetScene.Request(joint_names=["joint1"], joint_positions=[float("nan")])
    assert not ask(node, SetScene, "simulator/set_scene", scene).success
    scene = SetScene.Request(joint_names=["joint9"], joint_positions=[0.0])
    assert "no joint 'joint9'" in ask(node, SetScene, "simulator/set_scene", scene).message

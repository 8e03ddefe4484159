"""A scene in Gazebo, by its world control: the core on MuJoCo's physics, the node against a Gazebo that is played."""

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from varl_common.errors import VarlError
from varl_common.poses import matrix_to_pose
from varl_robot_env.config.paths import config_file, config_folder
from varl_robot_env.config.robot import RobotConfig
from varl_robot_env.motion import Trajectory
from varl_robot_env.simulation.gazebo import Gazebo, World
from varl_robot_env.simulation.simulation import Simulation
from varl_robot_env.simulation.world import SimulatorConfig
from varl_robot_env.tasks.task import load_task
from varl_robot_env.types import Pose

ROBOT_FILE = config_file("robots", "varl_arm")
ROBOT = RobotConfig.from_yaml(ROBOT_FILE)
SIMULATOR = SimulatorConfig.from_yaml(config_folder() / "simulator.yaml")
THINGS = load_task(config_file("tasks", "push")).config.things
WORLD_FILE = Path(__file__).parents[2] / "gazebo" / "varl_world.sdf"
UPRIGHT = (0.0, 0.0, 0.0, 1.0)
HOME = {**dict(zip(ROBOT.joints, ROBOT.home, strict=True)), "left_finger_joint": 0.04}


class Played:
    """MuJoCo's physics as Gazebo lets one have it: steps, commands and things, but no joints."""

    def __init__(self) -> None:
        self.simulation = Simulation(ROBOT, SIMULATOR, THINGS)
        self.stuck = False

    @property
    def time_ns(self) -> int:
        return self.simulation.time_ns

    @property
    def positions(self) -> Mapping[str, float]:
        return dict(zip(self.simulation.joint_names, self.simulation.joints()[0].tolist(), strict=True))

    def step(self, steps: int) -> None:
        self.simulation.advance(steps * self.simulation.step_ns)

    def command(self, controller: str, positions: Mapping[str, float], seconds: float) -> None:
        if not self.stuck:
            goal = Trajectory(np.array([seconds]), np.array([list(positions.values())]))
            self.simulation.command(controller, list(positions), goal)

    def place(self, entity: str, pose: Pose) -> None:
        self.simulation._place(entity, pose)


@pytest.fixture
def played() -> Played:
    return Played()


@pytest.fixture
def gazebo(played: Played) -> Gazebo:
    return Gazebo(ROBOT, played, World.from_sdf(WORLD_FILE).step_ns)


def test_the_world_is_read_from_its_file(tmp_path: Path) -> None:
    world = World.from_sdf(WORLD_FILE)
    assert (world.name, world.step_ns) == ("varl", round(SIMULATOR.timestep * 1e9))
    camera, mujocos = world.cameras["camera"], Simulation(ROBOT, SIMULATOR, THINGS).camera.pose
    np.testing.assert_allclose(camera[:3], mujocos[:3])
    assert abs(camera[3:] @ mujocos[3:]) == pytest.approx(1.0), "the same way round, up to the quaternion's sign"
    (tmp_path / "w.sdf").write_text("<sdf><world/></sdf>")
    for path, words in ((tmp_path / "w.sdf", "max_step_size"), (tmp_path / "none.sdf", "not a world")):
        with pytest.raises(VarlError, match=words):
            World.from_sdf(path)


def test_the_arm_comes_home_and_things_are_put_down_after_it(gazebo: Gazebo, played: Played) -> None:
    away = dict(zip(ROBOT.joints, np.array(ROBOT.home) + 0.2, strict=True))
    played.command("arm_controller", away, 0.5)
    played.step(500)
    played.step(7)
    gazebo.align()
    assert played.time_ns % ROBOT.period_ns == 0
    block = np.array([0.45, 0.1, 0.02, *UPRIGHT])
    gazebo.arrange(HOME, {"block": block, "target": np.array([0.5, 0.0, 0.2, *UPRIGHT])})
    assert played.time_ns % ROBOT.period_ns == 0
    for joint, position in HOME.items():
        assert played.positions[joint] == pytest.approx(position, abs=0.02)
    np.testing.assert_allclose(played.simulation.entities()["block"][:3], block[:3], atol=0.002)
    before = played.time_ns
    gazebo.advance(ROBOT.period_ns)
    assert played.time_ns == before + ROBOT.period_ns


def test_what_cannot_be_done_is_said(gazebo: Gazebo, played: Played) -> None:
    with pytest.raises(VarlError, match="multiple of 2000000"):
        gazebo.advance(1)
    with pytest.raises(VarlError, match="no joint 'joint9'"):
        gazebo.arrange({"joint9": 0.0}, {})
    with pytest.raises(VarlError, match="no entity 'blok'; did you mean 'block'"):
        gazebo.arrange({}, {"blok": np.zeros(7)})
    played.stuck = True
    with pytest.raises(VarlError, match=r"did not arrive .*joint1"):
        gazebo.arrange(HOME | {"joint1": 0.6}, {})


class Server:
    """Gazebo with its bridge and controllers, as far as their topics and services: time runs until it is paused."""

    def __init__(self) -> None:
        import rclpy
        from controller_manager_msgs.srv import ListControllers
        from geometry_msgs.msg import PoseStamped
        from rclpy.executors import SingleThreadedExecutor
        from ros_gz_interfaces.srv import ControlWorld, SetEntityPose
        from sensor_msgs.msg import Image, JointState
        from trajectory_msgs.msg import JointTrajectory

        self.played, self.left, self.running = Played(), 0, True
        self.node = node = rclpy.create_node("gazebo_server")
        node.create_service(ControlWorld, "/world/varl/control", self._control)
        node.create_service(SetEntityPose, "/world/varl/set_pose", self._set_pose)
        node.create_service(ListControllers, "controller_manager/list_controllers", self._list)
        self.states = dict.fromkeys(self.played.simulation.controllers, "active")
        self._joints = node.create_publisher(JointState, "gazebo/joint_states", 50)
        self._broadcaster = node.create_publisher(JointState, "joint_states", 50)
        self._block = node.create_publisher(PoseStamped, "block/pose", 50)
        self._image = node.create_publisher(Image, ROBOT.cameras[0].image_topic, 5)
        for name in self.played.simulation.controllers:
            topic = f"{name}/joint_trajectory"
            node.create_subscription(JointTrajectory, topic, lambda m, name=name: self._obey(name, m), 10)
        node.create_timer(0.002, self._tick)
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(node)
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._spin)
        self._thread.start()

    def close(self) -> None:
        self._end.set()
        self._thread.join()

    def _spin(self) -> None:
        while not self._end.is_set():
            self._executor.spin_once(timeout_sec=0.05)

    def _tick(self) -> None:
        for left in range(1 if self.running else self.left, 0, -1):
            self.played.step(1)
            self._publish(broadcast=self.running or left > 1)  # as the real one was seen to do, now and then
        self.left = 0

    def _publish(self, broadcast: bool) -> None:
        from geometry_msgs.msg import PoseStamped
        from sensor_msgs.msg import JointState
        from varl_common.ros.messages import to_pose_msg, to_time
        from varl_robot_env.ros.image_messages import to_image

        message = JointState(name=list(self.played.positions), position=list(self.played.positions.values()))
        message.header.stamp = to_time(self.played.time_ns)
        pose = PoseStamped(header=message.header, pose=to_pose_msg(self.played.simulation.entities()["block"]))
        self._block.publish(pose)
        self._joints.publish(message)
        if broadcast:
            self._broadcaster.publish(message)
        if self.played.time_ns % ROBOT.period_ns == 0:
            self._image.publish(to_image(np.full((24, 32, 3), 99, np.uint8), "rgb8", message.header))

    def _obey(self, controller: str, message: Any) -> None:
        from varl_robot_env.arms.trajectory_messages import from_trajectory_msg

        if not self.played.stuck:
            self.played.simulation.command(controller, message.joint_names, from_trajectory_msg(message))

    def _control(self, request: Any, response: Any) -> Any:
        self.running, self.left = not request.world_control.pause, request.world_control.multi_step
        response.success = True
        return response

    def _list(self, request: Any, response: Any) -> Any:
        from controller_manager_msgs.msg import ControllerState

        response.controller = [ControllerState(name=name, state=state) for name, state in self.states.items()]
        return response

    def _set_pose(self, request: Any, response: Any) -> Any:
        from varl_common.ros.messages import from_pose_msg

        self.played.place(request.entity.name, from_pose_msg(request.pose))
        response.success = request.entity.type == request.entity.MODEL
        return response


def start(node: str, *parameters: str) -> subprocess.Popen[str]:
    words = [word for parameter in parameters for word in ("-p", parameter)]
    main = f"from varl_robot_env.nodes.{node} import main; main()"
    return subprocess.Popen([sys.executable, "-c", main, "--ros-args", *words], text=True, stderr=subprocess.PIPE)


@pytest.fixture
def server(ros: int) -> Iterator[Server]:
    for package in ("ros_gz_interfaces", "controller_manager_msgs"):
        pytest.importorskip(package, reason=f"{package} is not among the wheels")
    server = Server()
    yield server
    server.close()


def test_episodes_go_through_gazebos_world_control(server: Server) -> None:
    import rclpy
    from varl_common.task_plans import PLANS
    from varl_robot_env.ros.ros_env import RosEnv

    gazebo = start("gazebo", f"robot_file:={ROBOT_FILE}", f"world_file:={WORLD_FILE}", "lock_step:=true")
    task = f"task_file:={config_file('tasks', 'push')}"
    env_node = start("env", f"robot_file:={ROBOT_FILE}", task, "backend:=gazebo")
    try:
        env = RosEnv(rclpy.create_node("tester"))
        assert env.description.lock_step
        assert env.description.backend == "gazebo"
        plan = PLANS[env.description.task]
        for seed in range(2):
            state, _ = env.reset(seed=seed)
            np.testing.assert_allclose(state[:3], [0.4, 0.0, 0.18], atol=0.02)
            began, steps = server.played.time_ns, 0
            ended = terminated = False
            while not ended:
                state, _, terminated, truncated, _ = env.step(plan.actions(state[None], env.description)[0])
                steps, ended = steps + 1, terminated or truncated
            assert terminated, "the block was pushed to the target"
            assert server.played.time_ns - began == steps * ROBOT.period_ns, "time stands still between steps"
        env.capture = True
        (frame,) = env.reset()[1]["frames"]
        np.testing.assert_allclose(matrix_to_pose(frame.camera_pose), World.from_sdf(WORLD_FILE).cameras["camera"])
        env.close()
    finally:
        for process in (env_node, gazebo):
            process.send_signal(signal.SIGINT)
        assert [process.wait(10) for process in (env_node, gazebo)] == [0, 0], gazebo.stderr.read()


def test_a_controller_that_does_not_run_is_named(server: Server) -> None:
    """Its subscription is there, as with every controller that is loaded and not active."""
    server.states["gripper_controller"] = "inactive"
    parameters = [f"robot_file:={ROBOT_FILE}", f"world_file:={WORLD_FILE}", "lock_step:=true", "patience:=3.0"]
    _, errors = (process := start("gazebo", *parameters)).communicate(timeout=60)
    assert process.returncode == 2
    assert "gripper_controller is inactive, not active" in errors.splitlines()[-1]


def test_without_ros_gz_it_is_one_line(domain: int, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("rclpy")
    parameters = [f"robot_file:={ROBOT_FILE}", f"world_file:={WORLD_FILE}", "lock_step:=true", "patience:=1.0"]
    process = start("gazebo", *parameters)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 2
    (line,) = [line for line in errors.splitlines() if line.startswith("error: ")]
    assert "is not installed" in line or "start Gazebo and ros_gz_bridge" in line
    assert "Traceback" not in errors

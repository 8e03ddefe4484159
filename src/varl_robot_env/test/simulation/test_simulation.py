"""The simulator core: controllers, time, scenes, pictures; and the URDF that all of them share."""

import os
import shutil
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from varl_common.errors import VarlError
from varl_common.image_codec import decode_depth, decode_image, encode_depth, encode_jpeg
from varl_robot_env.config.paths import config_file, config_folder, resolve
from varl_robot_env.config.robot import RobotConfig
from varl_robot_env.config.things import ThingConfig
from varl_robot_env.kinematics.kinematics import Kinematics
from varl_robot_env.motion import Trajectory
from varl_robot_env.simulation.simulation import Simulation
from varl_robot_env.simulation.world import SimulatorConfig
from varl_robot_env.tasks.task import load_task

ROBOT = RobotConfig.from_yaml(config_file("robots", "varl_arm"))
CONFIG = SimulatorConfig.from_yaml(config_folder() / "simulator.yaml")
THINGS = load_task(config_file("tasks", "push")).config.things
HOME = dict(zip(ROBOT.joints, ROBOT.home, strict=True))
PERIOD = ROBOT.period_ns


@pytest.fixture
def simulation() -> Simulation:
    return Simulation(ROBOT, CONFIG, THINGS)


def joint(simulation: Simulation, name: str) -> float:
    return float(simulation.joints()[0][simulation.joint_names.index(name)])


def test_the_arm_holds_its_place(simulation: Simulation) -> None:
    simulation.advance(20 * PERIOD)
    for name, position in HOME.items():
        assert joint(simulation, name) == pytest.approx(position, abs=1e-3)


def command(simulation: Simulation, controller: str, goal: dict[str, float], nanoseconds: int) -> None:
    """One point, positions only."""
    trajectory = Trajectory(np.array([nanoseconds * 1e-9]), np.array([list(goal.values())]))
    simulation.command(controller, list(goal), trajectory)


def test_a_command_is_interpolated_reached_and_held(simulation: Simulation) -> None:
    goal = HOME | {"joint1": 0.1}
    command(simulation, "arm_controller", goal, 4 * PERIOD)
    simulation.advance(2 * PERIOD)
    assert 0.01 < joint(simulation, "joint1") < 0.06, "half of the time, at most half of the way"
    simulation.advance(8 * PERIOD)
    assert joint(simulation, "joint1") == pytest.approx(0.1, abs=2e-3)
    simulation.advance(8 * PERIOD)
    assert joint(simulation, "joint1") == pytest.approx(0.1, abs=1e-3)


WEDGE = "v 0 0 0\nv .06 0 0\nv 0 .06 0\nv 0 0 .03\nf 1 3 2\nf 1 2 4\nf 2 3 4\nf 3 1 4\n"


def test_cones_and_meshes_lie_where_they_are_put(tmp_path: Path) -> None:
    (tmp_path / "wedge.obj").write_text(WEDGE)
    made = {"cone": {"shape": "cone", "size": [0.05, 0.06]}, "wedge": {"mesh": str(tmp_path / "wedge.obj")}}
    start = {"at": [0, 0, 0]}
    things = {
        name: ThingConfig.from_dict({"from": "marker", "object": {**one, "mass": 0.1}, "start": start}, name)
        for name, one in made.items()
    }
    simulation, places = Simulation(ROBOT, CONFIG, things), {"cone": [0.35, 0.2, 0.03], "wedge": [0.45, -0.2, 0.0]}
    simulation.set_scene({}, {name: np.array([*place, 0, 0, 0, 1.0]) for name, place in places.items()})
    simulation.advance(10 * PERIOD)
    for name, place in places.items():
        np.testing.assert_allclose(simulation.entities()[name][:3], place, atol=2e-3)


def test_things_are_placed_beside_a_robot_that_goes_on_as_it_was(simulation: Simulation) -> None:
    command(simulation, "arm_controller", HOME | {"joint1": 0.1}, 4 * PERIOD)
    simulation.advance(2 * PERIOD)
    before, time = simulation.joints()[0], simulation.time_ns
    pose = np.array([0.45, 0.1, 0.02, 0, 0, 0, 1.0])
    simulation.place({"block": pose})
    np.testing.assert_allclose(simulation.entities()["block"], pose)
    np.testing.assert_array_equal(simulation.joints()[0], before)
    assert simulation.time_ns > time
    simulation.advance(10 * PERIOD)
    assert joint(simulation, "joint1") == pytest.approx(0.1, abs=2e-3)


def test_the_right_finger_mimics_the_left(simulation: Simulation) -> None:
    command(simulation, "gripper_controller", {"left_finger_joint": 0.01}, PERIOD)
    for _ in range(10):
        simulation.advance(PERIOD)
        assert joint(simulation, "right_finger_joint") == pytest.approx(
            joint(simulation, "left_finger_joint"), abs=1e-3
        )
    assert joint(simulation, "left_finger_joint") == pytest.approx(0.01, abs=1e-3)


def test_a_scene_is_the_same_whatever_came_before(simulation: Simulation) -> None:
    block = {"block": np.array([0.45, 0.1, 0.02, 0, 0, 0, 1.0])}

    def run() -> np.ndarray:
        simulation.set_scene(HOME, block)
        command(simulation, "arm_controller", HOME | {"joint2": 0.6}, PERIOD)
        simulation.advance(5 * PERIOD)
        return np.concatenate([*simulation.joints(), simulation.entities()["block"]])

    first = run()
    simulation.advance(7 * PERIOD)
    np.testing.assert_array_equal(first, run())


def test_a_part_is_carried_moves_and_begins_anew() -> None:
    """The drawer: where the task's file says that its handle starts, and where it was pulled to."""
    task = load_task(config_file("tasks", "drawer"))
    simulation = Simulation(ROBOT, CONFIG, task.config.things)
    assert not any("/" in name for name in simulation.joint_names), "joint states are the robot's"
    rng, tool = np.random.default_rng(0), np.array([0.4, 0, 0.18, 0, 0, 0, 1.0])
    for _ in range(3):
        scene = task.sample(rng, tool)
        simulation.place({"cabinet": scene["cabinet"]})
        np.testing.assert_allclose(simulation.entities()["handle"][:3], scene["handle"][:3], atol=1e-9)
        simulation.data.joint("cabinet/slide").qvel[0] = 1.0
        simulation.advance(PERIOD)
        opened = scene["handle"][0] - simulation.entities()["handle"][0]
        assert opened == pytest.approx(simulation.data.joint("cabinet/slide").qpos[0], abs=1e-9)
        assert opened > 0.01
    with pytest.raises(VarlError, match="no entity 'handle'"):
        simulation.place({"handle": scene["handle"]})


def test_a_part_that_there_is_not_is_told() -> None:
    things = load_task(config_file("tasks", "drawer")).config.things
    wrong = things | {"handle": things["handle"].model_copy(update={"part": "cabinet/handel"})}
    with pytest.raises(VarlError, match="'cabinet/handel', which there is not; did you mean 'cabinet/handle'"):
        Simulation(ROBOT, CONFIG, wrong)


def test_time_names_one_state(simulation: Simulation) -> None:
    times = [simulation.time_ns]
    for _ in range(3):
        simulation.set_scene({}, {})
        times.append(simulation.time_ns)
        simulation.advance(PERIOD)
        times.append(simulation.time_ns)
    assert all(later > earlier for earlier, later in pairwise(times))
    assert times[0] > 0


def test_the_block_rests_and_what_is_not_named_stays(simulation: Simulation) -> None:
    simulation.set_scene({}, {"block": np.array([0.45, 0.1, 0.02, 0, 0, 0, 1.0])})
    simulation.advance(20 * PERIOD)
    np.testing.assert_allclose(simulation.entities()["block"][:3], [0.45, 0.1, 0.02], atol=1e-3)
    simulation.set_scene({}, {"target": np.array([0.3, 0.0, 0.2, 0, 0, 0, 1.0])})
    np.testing.assert_allclose(simulation.entities()["block"][:3], [0.45, 0.1, 0.02], atol=1e-3)
    np.testing.assert_allclose(simulation.entities()["target"][:3], [0.3, 0.0, 0.2])


def test_wrong_names_and_times_are_told(simulation: Simulation) -> None:
    with pytest.raises(VarlError, match="did you mean 'arm_controller'"):
        command(simulation, "arm_controler", HOME, PERIOD)
    with pytest.raises(VarlError, match="expected"):
        command(simulation, "arm_controller", {"joint1": 0.0}, PERIOD)
    with pytest.raises(VarlError, match="no entity 'blok'"):
        simulation.set_scene({}, {"blok": np.zeros(7)})
    with pytest.raises(VarlError, match="multiple"):
        simulation.advance(1)


def test_the_camera_sees_the_block_where_its_matrix_says(simulation: Simulation) -> None:
    """The picture is upright, and k and pose project a point of the scene to its pixel."""
    camera = simulation.camera
    simulation.set_scene({}, {"block": np.array([0.5, -0.1, 0.02, 0, 0, 0, 1.0])})
    image = camera.render(simulation.data)
    if image is None:
        pytest.skip(str(camera.error))
    assert image.shape == (CONFIG.camera_height, CONFIG.camera_width, 3)
    assert image.dtype == np.uint8
    x, y, z, w = camera.pose[3:]
    axes = np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )
    point = axes.T @ (np.array([0.5, -0.1, 0.02]) - camera.pose[:3])
    column, row, _ = camera.k @ point / point[2]
    red = (image[..., 0].astype(int) - image[..., 1] > 80) & (image[..., 0].astype(int) - image[..., 2] > 80)
    rows, columns = np.nonzero(red)
    assert len(rows) > 20
    assert abs(columns.mean() - column) < 3
    assert abs(rows.mean() - row) < 3
    assert np.abs(decode_image(encode_jpeg(image)).astype(int) - image).mean() < 4
    depth = camera.render_depth(simulation.data)
    assert depth is not None
    assert depth.shape == image.shape[:2]
    # The block's middle is 2 cm behind the faces that are seen of it, or a little more on the slant.
    assert 0.01 < point[2] - np.median(depth[red]) / 1000 < 0.03
    assert np.array_equal(decode_depth(encode_depth(depth)), depth)


def test_without_egl_the_simulation_goes_on_and_says_so() -> None:
    """MuJoCo itself would refuse to be imported."""
    program = """
import ctypes.util
ctypes.util.find_library = lambda name: None
from varl_robot_env.env.arm_env import ArmEnv
env = ArmEnv("reach")
env.capture = True
assert env.reset(seed=0)[1]["frames"] == []
env.step(env.action_space.sample())
print(env.arm.simulation.camera.error)
"""
    environment = {key: value for key, value in os.environ.items() if key != "MUJOCO_GL"}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment, check=False)
    assert done.stdout.strip() == (
        "libEGL is missing, so there are no camera frames; apt-get install libegl1 libgl1-mesa-dri"
    ), done.stderr


@pytest.mark.parametrize("timestep", [0.02, 0.0000015, 0.0, -1.0])
def test_a_senseless_timestep_is_refused(timestep: float) -> None:
    with pytest.raises(VarlError, match="timestep"):
        SimulatorConfig.from_yaml(config_folder() / "simulator.yaml", timestep=timestep)


@pytest.mark.parametrize(("tool", "arguments"), [("check_urdf", []), ("ign", ["sdf", "-k"])])
def test_the_urdf_is_valid_for_others(tool: str, arguments: list[str]) -> None:
    if shutil.which(tool) is None:
        pytest.skip(f"{tool} is not installed")
    urdf = resolve(ROBOT.urdf, ROBOT.source)
    done = subprocess.run([tool, *arguments, str(urdf)], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Error" not in done.stdout + done.stderr


def test_what_presses_on_the_tool_is_felt() -> None:
    """The spring under the button: 200 N/m, 1 N at first."""
    task = load_task(config_file("tasks", "button"))
    simulation = Simulation(ROBOT, CONFIG, task.config.things)
    panel = np.array([0.4, 0.0, 0.0, 0, 0, 0, 1.0])
    simulation.set_scene(HOME | {"left_finger_joint": 0.0}, {"panel": panel})
    np.testing.assert_array_equal(simulation.force(), np.zeros(3))
    kinematics = Kinematics(ROBOT.urdf_text(), ROBOT.joints, ROBOT.base_frame, ROBOT.tool_frame)
    home = np.array(ROBOT.home)
    down = kinematics.inverse(np.array([0.4, 0.0, 0.05 + 0.014 - 0.01]), kinematics.forward(home)[1], home, home)[0]
    command(simulation, "arm_controller", dict(zip(ROBOT.joints, down.tolist(), strict=True)), 20 * PERIOD)
    simulation.advance(60 * PERIOD)
    pressed = 0.05 - simulation.entities()["button"][2]
    assert pressed == pytest.approx(0.01, abs=0.002)
    force = simulation.force()  # z of the tool's frame points out of the hand, down
    assert force[2] == pytest.approx(-(1 + 200 * pressed), rel=0.1)
    assert np.abs(force[:2]).max() < 0.5

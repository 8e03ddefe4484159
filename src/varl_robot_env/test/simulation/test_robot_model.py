"""Whatever URDF an arm has: it is simulated where its kinematics say, or refused in a sentence."""

import logging
import struct
from pathlib import Path

import numpy as np
import pytest
import yaml
from varl_common.errors import VarlError
from varl_common.task_plans import PLANS
from varl_robot_env.config.paths import config_file, config_folder, resolve
from varl_robot_env.config.robot import RobotConfig
from varl_robot_env.env.arm_env import ArmEnv
from varl_robot_env.kinematics.kinematics import Kinematics
from varl_robot_env.simulation.description import for_simulation
from varl_robot_env.simulation.simulation import Simulation
from varl_robot_env.simulation.world import SimulatorConfig

CONFIG = SimulatorConfig.from_yaml(config_folder() / "simulator.yaml")
LIMIT = '<limit lower="-2" upper="2" velocity="2" effort="40"/>'
LINKS = ("base", "upper", "lower", "tool")


def box(name: str = "") -> str:
    return f'<{name}><geometry><box size="0.05 0.05 0.05"/></geometry></{name}>'


def mesh(name: str, kind: str = "collision") -> str:
    return f'<{kind}><geometry><mesh filename="{name}"/></geometry></{kind}>'


def arm(upper: str = box("collision"), more: str = "", lower: str = "lower") -> str:
    """Two joints and a tool, 0.3 + 0.4 m long."""
    names = [lower if name == "lower" else name for name in LINKS]
    shapes = {"upper": upper}
    links = "".join(f'<link name="{name}">{shapes.get(name, "")}</link>' for name in names)
    return (
        f'<robot name="small">{links}'
        f'<joint name="one" type="revolute"><parent link="base"/><child link="upper"/><origin xyz="0 0 0.2"/>'
        f'<axis xyz="0 0 1"/>{LIMIT}</joint>'
        f'<joint name="two" type="revolute"><parent link="upper"/><child link="{lower}"/><origin xyz="0.3 0 0"/>'
        f'<axis xyz="0 1 0"/>{LIMIT}</joint>'
        f'<joint name="end" type="fixed"><parent link="{lower}"/><child link="tool"/><origin xyz="0.4 0 0"/></joint>'
        f"{more}</robot>"
    )


def small(folder: Path, text: str, name: str = "small.urdf", **changes: object) -> RobotConfig:
    values = yaml.safe_load(config_file("robots", "varl_arm").read_text())
    values |= {"urdf": name, "base_frame": "base", "tool_frame": "tool", "joints": ["one", "two"], "home": [0.3, 0.4]}
    values |= {"gripper": None, "cameras": []} | changes
    values["safety"] |= {"joint_speed": [1, 1], "joint_acceleration": [1, 1]}
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text)
    (folder / "robot.yaml").write_text(yaml.safe_dump(values))
    return RobotConfig.from_yaml(folder / "robot.yaml")


def in_place(robot: RobotConfig) -> Simulation:
    """The simulation of ``robot``, its tool where its kinematics say."""
    ready = for_simulation(robot)
    simulation = Simulation(ready, CONFIG, {})
    expected, turn = Kinematics(ready.urdf_text(), robot.joints, robot.base_frame, "tool").forward(np.array(robot.home))
    tool = simulation.data.body("tool")
    np.testing.assert_allclose(tool.xpos, expected, atol=1e-6)
    np.testing.assert_allclose(tool.xmat.reshape(3, 3), turn, atol=1e-6)
    return simulation


def stl() -> bytes:
    """A tetrahedron, binary."""
    corners = np.array([[0, 0, 0], [0.1, 0, 0], [0, 0.1, 0], [0, 0, 0.1]], np.float32)
    faces = [corners[[i for i in range(4) if i != left]] for left in range(4)]
    body = b"".join(struct.pack("<12fH", 0, 0, 1, *face.ravel(), 0) for face in faces)
    return bytes(80) + struct.pack("<I", len(faces)) + body


def test_an_arm_of_a_file_moves_to_where_it_is_told(tmp_path: Path) -> None:
    simulation = in_place(small(tmp_path, arm()))
    simulation.advance(10 * 50_000_000)
    np.testing.assert_allclose(simulation.joints()[0], [0.3, 0.4], atol=0.02)


ABOVE = '<link name="{}"/><joint name="stand" type="{}"><parent link="{}"/><child link="base"/>'
ABOVE += '<origin xyz="0.5 -0.2 0.8" rpy="0.1 0.2 0.7"/></joint>'


@pytest.mark.parametrize(
    "urdf",
    [
        arm(more=ABOVE.format("table", "fixed", "table")),
        arm(more=ABOVE.format("world", "fixed", "world")),
        arm(more=ABOVE.format("odom", "floating", "odom")),
        arm(more=ABOVE.format("world", "floating", "world")),
        arm(lower="world"),
        arm(lower="world", more=ABOVE.format("table", "fixed", "table")),
    ],
    ids=["on a table", "in a world", "floating", "floating in a world", "a middle world", "a middle world on a table"],
)
def test_the_base_frame_is_the_origin_and_world_a_name_as_others(tmp_path: Path, urdf: str) -> None:
    in_place(small(tmp_path, urdf))


def test_what_hangs_loose_is_refused(tmp_path: Path) -> None:
    loose = '<link name="bag"/><joint name="strap" type="floating"><parent link="tool"/><child link="bag"/></joint>'
    with pytest.raises(VarlError, match=r"robot.yaml: joint 'strap' is floating, which nothing holds"):
        in_place(small(tmp_path, arm(more=loose)))
    with pytest.raises(VarlError, match="no frame 'tool'; "):
        Simulation(small(tmp_path, arm().replace('"tool"', '"tcp"')), CONFIG, {})


def test_a_mesh_is_found_in_its_package_beside_the_file(tmp_path: Path) -> None:
    package = tmp_path / "checkout_of_it"
    (package / "meshes").mkdir(parents=True)
    (package / "package.xml").write_text("<package><name>small_description</name></package>")
    (package / "meshes" / "upper.STL").write_bytes(stl())
    upper = mesh("package://small_description/meshes/upper.STL")
    simulation = in_place(small(tmp_path, arm(upper), "checkout_of_it/urdf/small.urdf"))
    assert simulation.model.nmesh == 1
    assert {int(geom) for geom in simulation.model.geom_contype[simulation.model.geom_dataid >= 0]} == {0, 2}


@pytest.mark.parametrize(
    "content", [None, b"<COLLADA/>", b"solid ascii\nfacet normal 0 0 1\n", b"version https://git-lfs"]
)
def test_a_mesh_that_cannot_be_read_becomes_a_rod_with_a_word(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, content: bytes | None
) -> None:
    name = "upper.dae" if content and b"COLLADA" in content else "upper.stl"
    if content:
        (tmp_path / name).write_bytes(content)
    with caplog.at_level(logging.WARNING):
        simulation = in_place(small(tmp_path, arm(mesh(name))))
    assert f"upper ({name})" in caplog.text
    touching = simulation.model.geom_contype == 2
    np.testing.assert_allclose(simulation.model.geom_size[touching], [[0.03, 0.15, 0]])
    caplog.clear()
    simulation = in_place(small(tmp_path, arm(mesh(name, "visual") + box("collision"))))
    np.testing.assert_allclose(simulation.model.geom_size[simulation.model.geom_contype == 2], [[0.025] * 3])


def test_a_finger_that_mimics_follows_as_it_is_told_to(tmp_path: Path) -> None:
    finger = '<link name="{0}"/><joint name="{0}" type="revolute"><parent link="tool"/><child link="{0}"/>'
    finger += '<axis xyz="0 0 1"/>' + LIMIT + "{1}</joint>"
    more = finger.format("left", "") + finger.format("right", '<mimic joint="left" multiplier="-2" offset="0.1"/>')
    more += finger.format("spare", "")
    gripper = {"controller": "hand", "joint": "left", "open": 0.0, "closed": 0.5, "speed": 1.0}
    simulation = in_place(small(tmp_path, arm(more=more), gripper=gripper))
    simulation.set_scene({"left": 0.4}, {})
    simulation.advance(10 * 50_000_000)
    joints = dict(zip(simulation.joint_names, simulation.joints()[0], strict=True))
    assert joints["right"] == pytest.approx(0.1 - 2 * 0.4, abs=0.03)
    assert joints["spare"] == pytest.approx(0.0, abs=0.01)


def test_a_xacro_is_expanded_with_its_arguments(tmp_path: Path) -> None:
    head = '<robot xmlns:xacro="http://www.ros.org/wiki/xacro" name="small"><xacro:arg name="length" default="none"/>'
    text = arm().replace('<robot name="small">', head).replace('xyz="0.4 0 0"', 'xyz="$(arg length) 0 0"')
    published = small(tmp_path, text, "small.urdf.xacro", urdf="topic:///robot_description")
    with pytest.raises(VarlError, match=r"comes from its driver .*name a file, simulation: \{urdf: "):
        for_simulation(published)
    values = yaml.safe_load((tmp_path / "robot.yaml").read_text())
    values["simulation"] = {"urdf": "small.urdf.xacro", "arguments": {"length": "0.7"}}
    (tmp_path / "robot.yaml").write_text(yaml.safe_dump(values))
    simulation = in_place(RobotConfig.from_yaml(tmp_path / "robot.yaml"))
    assert np.linalg.norm(simulation.data.body("tool").xpos - [0, 0, 0.2]) == pytest.approx(1.0, abs=0.03)
    values["simulation"]["arguments"] = {"lenght": "0.7"}
    (tmp_path / "robot.yaml").write_text(yaml.safe_dump(values))
    with pytest.raises(VarlError):
        in_place(RobotConfig.from_yaml(tmp_path / "robot.yaml"))
    plain = small(tmp_path, text, "unexpanded.urdf")
    with pytest.raises(VarlError, match="xacro file that was not expanded"):
        Simulation(for_simulation(plain), CONFIG, {})


@pytest.mark.parametrize("name", ["ur5e", "fr3", "gen3", "xarm6", "so101"])
def test_a_robot_is_simulated_from_the_real_ones_file_and_reaches(name: str) -> None:
    robot = RobotConfig.from_yaml(config_file("robots", name))
    assert robot.simulation is not None
    try:
        resolve(robot.simulation.urdf, robot.source)
    except VarlError as error:
        pytest.skip(f"its maker's description is not here: {error}")
    env = ArmEnv("reach_so101" if name == "so101" else "reach", name)
    state, _ = env.reset(seed=0)
    ready = for_simulation(robot)
    kinematics = Kinematics(ready.urdf_text(), robot.joints, robot.base_frame, robot.tool_frame)
    np.testing.assert_allclose(state[:3], kinematics.forward(np.array(robot.home))[0], atol=0.006)
    ended = False
    while not ended:
        state, _, terminated, truncated, _ = env.step(PLANS["reach"].actions(state[None], env.description)[0])
        ended = terminated or truncated
    assert terminated


def test_a_description_that_is_not_installed_is_told_with_its_package() -> None:
    robot = RobotConfig.from_yaml(config_file("robots", "fr3"))
    assert robot.simulation is not None
    missing = robot.simulation.model_copy(update={"urdf": "package://no_such_description/arm.urdf"})
    with pytest.raises(VarlError, match=r"install that package .apt install ros-[a-z]+-no-such-description where"):
        for_simulation(robot.model_copy(update={"simulation": missing}))


def test_a_gripper_that_the_description_lacks_is_stood_in_for_and_holds(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    values = yaml.safe_load(config_file("robots", "ur5e").read_text())
    values["simulation"] = {"urdf": "package://varl_robot_env/urdf/standin_ur5e.urdf"}
    values["safety"]["workspace_low"] = [0.30, -0.25, 0.022]
    values["gripper"]["speed"] = 2.0
    (tmp_path / "ur5e.yaml").write_text(yaml.safe_dump(values))
    with caplog.at_level(logging.WARNING):
        env = ArmEnv("lift", str(tmp_path / "ur5e.yaml"))
    assert "two plain fingers" in caplog.text
    state, _ = env.reset(seed=0)
    names = list(env.description.observation_names)
    opening = names.index("gripper")
    assert state[opening] == pytest.approx(0.8, abs=1e-3), "wide open is as far from closed as it goes"
    block = state[names.index("block_x") :][:3].astype(float)
    terminated = truncated = False
    for height, grip, periods in ((0.1, -1, 24), (0.0, -1, 20), (0.0, 1, 14), (0.12, 1, 40)):
        for _ in range(periods):
            if not (terminated or truncated):
                way = np.clip((block + np.array([0, 0, height]) - state[:3]) / (2 * 0.0125), -1, 1)
                state, _, terminated, truncated, _ = env.step(np.array([*way, grip], np.float32))
    assert terminated, "the block is in the air"
    assert 0.3 < state[opening] < 0.5, "closed on a block of 4 cm"

"""How an episode begins again where no simulator puts things back: an arm that moves in a world that stays as it is."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from varl_common.errors import VarlError
from varl_common.task_plans import PLANS
from varl_robot_env.arm import ArmError, ArmState
from varl_robot_env.config.paths import config_file, config_folder
from varl_robot_env.config.robot import RobotConfig
from varl_robot_env.env.env_core import EnvCore, WaitsForPerson
from varl_robot_env.headless_mujoco import mujoco
from varl_robot_env.safety.safety_filter import Stopped
from varl_robot_env.simulation.simulated_arm import SimulatedArm
from varl_robot_env.simulation.world import SimulatorConfig
from varl_robot_env.tasks.task import load_task
from varl_robot_env.types import Array, Pose

ROBOT = RobotConfig.from_yaml(config_file("robots", "varl_arm"))
SIMULATOR = SimulatorConfig.from_yaml(config_folder() / "simulator.yaml")


class LonelyArm(SimulatedArm):
    """A reset brings the arm home, and leaves the drawer as open as it is."""

    lock_step = places = False

    def reset(self, joints: Array, gripper: float | None, entities: Mapping[str, Pose], capture: bool) -> ArmState:
        assert not entities
        data = self.simulation.data
        drawers = [
            name for name in ("cabinet/slide",) if name in [data.model.joint(i).name for i in range(data.model.njnt)]
        ]
        before = {name: float(data.joint(name).qpos[0]) for name in drawers}
        super().reset(joints, gripper, {}, capture)
        for name, position in before.items():
            data.joint(name).qpos[0] = position
        mujoco.mj_forward(data.model, data)
        return self._state()

    def move(self, *motion: Any) -> ArmState:
        self.moves = getattr(self, "moves", 0) + 1
        return super().move(*motion)


def core(task: str | Path, scene: Mapping[str, Pose] | None = None) -> tuple[EnvCore, LonelyArm]:
    """An env whose things stand where the task's file could have put them."""
    loaded = load_task(config_file("tasks", str(task)))
    arm = LonelyArm(ROBOT, SIMULATOR, loaded.config.things)
    tool = np.array([0.4, 0, 0.18, 0, 0, 0, 1.0])
    places = loaded.sample(np.random.default_rng(1), tool) | dict(scene or {})
    arm.simulation.place({name: places[name] for name, thing in loaded.config.things.items() if thing.object})
    return EnvCore(loaded, ROBOT, arm, "mujoco"), arm


def solve(env: EnvCore, task: str) -> Any:
    state = env.reset().state
    while True:
        result = env.step(PLANS[task].actions(state[None], env.description)[0])
        state = result.observation.state
        if result.terminated or result.truncated:
            return result


def test_a_second_task_undoes_the_first() -> None:
    env, arm = core("drawer")
    slide = arm.simulation.data.joint("cabinet/slide")
    for _ in range(3):
        assert solve(env, "drawer").is_success
        assert slide.qpos[0] > 0.09
        env.reset()
        assert slide.qpos[0] < 0.03
    assert not env.step(np.zeros(4)).is_success


def test_the_tool_goes_back_by_its_path() -> None:
    env, arm = core("button")
    result = solve(env, "button")
    assert result.is_success
    pressed, moves = result.observation.state[:3], arm.moves
    state = env.reset().state
    assert arm.moves > moves + 5
    np.testing.assert_allclose(state[:3], [0.4, 0, 0.18], atol=1e-3)
    assert pressed[2] < 0.06


def test_after_a_stop_the_arm_goes_straight_home() -> None:
    env, arm = core("button")
    solve(env, "button")
    moves = arm.moves
    env.interrupt()
    env.reset()
    assert arm.moves == moves


@pytest.mark.parametrize(("latched", "remedy"), [(True, "then rearm"), (False, "call reset again")])
def test_a_stop_on_the_way_home_says_what_ends_it(latched: bool, remedy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    env, arm = core("button")
    home = arm.reset

    def stopped_meanwhile(*asked: Any) -> ArmState:
        if latched:
            env.safety.stop("a person pressed the button")
        env.interrupt()
        return home(*asked)

    monkeypatch.setattr(arm, "reset", stopped_meanwhile)
    with pytest.raises(Stopped, match=remedy):
        env.reset()


def test_what_holds_the_tool_on_its_path_is_told(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    values = yaml.safe_load(config_file("tasks", "reach").read_text())
    file.write_text(yaml.safe_dump(values | {"reset": {"path": [{"target": "target", "offset": [0, 0, 1]}]}}))
    env, _ = core(file)
    solve(env, "reach")
    with pytest.raises(ArmError, match="did not come along the path of reach's reset"):
        env.reset()


def test_a_person_is_asked_and_shown_where_things_are_to_be() -> None:
    env, _ = core("pick-place")
    with pytest.raises(
        WaitsForPerson, match=r"put block to x 0\.\d\d, y -?0\.\d\d m and tray to .*, then call"
    ) as asked:
        env.reset()
    with pytest.raises(WaitsForPerson) as again:
        env.reset()
    assert str(again.value) == str(asked.value), "the same until they are there"
    env.mark_ready()
    assert env.reset().state is not None
    with pytest.raises(WaitsForPerson):
        env.reset()


def test_a_place_that_leaves_no_room_is_for_a_person_to_mend(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    values = yaml.safe_load(config_file("tasks", "push").read_text())
    values["things"]["target"]["start"] = {"low": [0.4, 0, 0.02], "high": [0.41, 0, 0.02], "away_from": {"block": 0.08}}
    file.write_text(yaml.safe_dump(values))
    env, arm = core(file, {"block": np.array([0.46, 0.10, 0.02, 0, 0, 0, 1.0])})
    env.reset()
    arm.simulation.place({"block": np.array([0.405, 0.0, 0.02, 0, 0, 0, 1.0])})
    with pytest.raises(WaitsForPerson, match="target starts leaves no room"):
        env.reset()


@pytest.mark.parametrize(
    ("task", "reset", "sentence"),
    [
        ("reach", {"path": [{"target": "tagret"}]}, "reset.path: there is no 'tagret'.*'target'"),
        ("reach", {"pth": []}, "unknown parameter 'reset.pth'; did you mean 'path'"),
        ("reach", {"task": "nothing.yaml"}, "nothing.yaml does not exist"),
        ("reach", {"task": str(config_file("tasks", "drawer"))}, "drawer cannot undo it, as it acts by"),
        ("lift", {"task": str(config_file("tasks", "drawer"))}, "as it needs handle, which the first does not see"),
    ],
)
def test_a_reset_that_cannot_be_is_told(tmp_path: Path, task: str, reset: dict[str, Any], sentence: str) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(yaml.safe_dump(yaml.safe_load(config_file("tasks", task).read_text()) | {"reset": reset}))
    with pytest.raises(VarlError, match=sentence):
        core(file)

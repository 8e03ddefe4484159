"""Who looks on at a graph, and what is collected from it."""

from pathlib import Path

import pytest
from varl_bringup.graph import watchers as watchers_module
from varl_common.errors import VarlError

from .described import describe, names, parameters


def test_rviz_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watchers_module, "is_installed", lambda package: package != "rviz2")
    with pytest.raises(VarlError, match="rviz2, which is not installed"):
        describe("train_sim", "rviz:=true")


def test_rviz_shows_the_robot_and_may_be_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watchers_module, "is_installed", lambda package: True)
    graph = describe("train_sim", "rviz:=true")
    assert "<robot" in parameters(graph, "robot_state_publisher")["robot_description"]
    rviz = next(node for node in graph.nodes if node.name == "rviz2")
    assert not rviz.essential
    assert Path(rviz.arguments[1]).is_file()
    assert rviz.arguments[2:] == ("-f", "base_link")
    # The drivers of other arms publish their model themselves.
    assert "robot_state_publisher" not in names(describe("train_real", "rviz:=true", "robot:=ur5e"))


def test_rviz_looks_from_the_base_of_each_arm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watchers_module, "is_installed", lambda package: True)
    graph = describe("train_real", "rviz:=true", "robot:=xarm6")
    rviz = next(node for node in graph.nodes if node.name == "rviz2")
    assert rviz.arguments[2:] == ("-f", "link_base"), "the file's own fixed frame is that of varl_arm"


def test_moments_are_collected_by_the_plan_in_lock_step_or_by_a_person_by_the_clock() -> None:
    graph = describe("collect", "task:=push", "moments:=m")
    assert parameters(graph, "env")["moments"] == parameters(graph, "collect")["run_dir"] == str(Path.cwd() / "m")
    assert parameters(graph, "env")["held"] == 10
    assert parameters(graph, "simulator")["lock_step"] is True
    by_hand = describe("collect", "joystick:=gamepad")
    assert parameters(by_hand, "collect")["by_person"] is True
    assert parameters(by_hand, "simulator")["lock_step"] is False
    with pytest.raises(VarlError, match="a person acts while moments are collected"):
        describe("collect", "backend:=real")
    assert parameters(describe("train_sim", "moments:=m"), "env")["moments"] == str(Path.cwd() / "m")

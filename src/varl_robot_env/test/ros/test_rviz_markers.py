"""What RViz is told to draw."""

import numpy as np
import pytest
import yaml
from geometry_msgs.msg import Point, Vector3
from varl_robot_env.config.paths import config_file, config_folder
from varl_robot_env.config.robot import RobotConfig
from varl_robot_env.ros.rviz_markers import Markers
from visualization_msgs.msg import Marker, MarkerArray

from varl_interfaces.msg import Advised, EnvStatus, TrainingStatus

ROBOT = RobotConfig.from_yaml(config_file("robots", "varl_arm"))


def status(**values: object) -> EnvStatus:
    message = EnvStatus(
        tool=Point(x=0.4, z=0.2),
        target=Point(x=0.5, y=0.1, z=0.1),
        action=[1.0, 0.0, -1.0],
        executed_action=[0.5, 0.0, -1.0],
        action_names=["dx", "dy", "dz"],
        action_scale=[0.0125] * 3,
    )
    message.header.frame_id = ROBOT.base_frame
    for name, value in values.items():
        setattr(message, name, value)
    return message


def by_name(array: MarkerArray) -> dict[str, Marker]:
    return {marker.ns: marker for marker in array.markers}


def test_box_goal_arrows_path_and_words() -> None:
    markers = Markers(ROBOT)
    markers.draw(status(), None)
    drawn = by_name(markers.draw(status(tool=Point(x=0.41, z=0.2)), TrainingStatus(step=5, total_steps=10)))
    assert set(drawn) == {"workspace", "goal", "asked action", "executed action", "tool path", "status"}
    assert len(drawn["workspace"].points) == 24, "twelve edges"
    corners = np.array([[point.x, point.y, point.z] for point in drawn["workspace"].points])
    np.testing.assert_allclose(corners.min(0), ROBOT.safety.workspace_low)
    np.testing.assert_allclose(corners.max(0), ROBOT.safety.workspace_high)
    assert len(drawn["tool path"].points) == 2
    start, end = drawn["executed action"].points
    assert (start.x, start.z) == (0.41, 0.2)
    assert end.x - start.x == pytest.approx(0.5 * 0.0125 * 8)
    assert "step 5 of 10" in drawn["status"].text
    assert 0 < drawn["status"].scale.x < drawn["status"].scale.z, "RViz's own space is metres wide"
    assert {marker.header.frame_id for marker in drawn.values()} == {ROBOT.base_frame}


def test_advice_is_an_arrow_beside_what_was_done_there() -> None:
    advice = Advised(
        tools=[Point(x=0.3), Point(x=0.4)],
        executed=[Vector3(x=0.01), Vector3()],
        advised=[Vector3(z=-0.01), Vector3(y=0.01)],
    )
    arrows = Markers(ROBOT).draw(status(intervened=True), None, advice).markers
    advised = [marker for marker in arrows if marker.ns == "advised"]
    assert [marker.id for marker in advised] == [0, 1]
    assert len([marker for marker in arrows if marker.ns == "executed then"]) == 2
    start, end = advised[0].points
    assert (start.x, end.x, end.z) == pytest.approx((0.3, 0.3, -0.08))
    assert all(marker.lifetime.sec for marker in advised), "or those of the advice before would stay"
    assert "a person acts" in by_name(MarkerArray(markers=arrows))["status"].text


def test_a_stop_is_said_in_red_and_nothing_is_drawn_that_is_not_known() -> None:
    nowhere = Point(x=np.nan, y=np.nan, z=np.nan)
    array = Markers(ROBOT).draw(status(stopped=True, reason="estop", target=nowhere, action=[]), None)
    drawn = by_name(array)
    assert set(drawn) == {"workspace", "tool path", "status"}
    assert "STOPPED: estop" in drawn["status"].text
    assert drawn["status"].color.r > 0.8 > drawn["status"].color.g


def test_rviz_shows_the_topics_that_there_are() -> None:
    file = config_folder() / "rviz" / "varl.rviz"
    displays = yaml.safe_load(file.read_text(encoding="utf-8"))["Visualization Manager"]["Displays"]
    topics = {display["Class"]: display.get("Topic", display.get("Description Topic", {})) for display in displays}
    assert topics["rviz_default_plugins/MarkerArray"]["Value"] == "markers"
    (shown,) = (set(display["Namespaces"]) for display in displays if "Namespaces" in display)
    advice = Advised(tools=[Point()], executed=[Vector3()], advised=[Vector3()])
    assert shown == set(by_name(Markers(ROBOT).draw(status(), None, advice)))
    assert topics["rviz_default_plugins/Image"]["Value"] == ROBOT.cameras[0].image_topic
    assert topics["rviz_default_plugins/Image"]["Reliability Policy"] == "Best Effort"
    assert topics["rviz_default_plugins/RobotModel"]["Value"] == "robot_description"


def test_a_turn_is_an_arrow_along_its_axis() -> None:
    names, scale = ["dx", "dy", "dz", "yaw"], [0.0125] * 3 + [0.05]
    turning = status(action_names=names, action_scale=scale, action=[0, 0, 0, 1.0], executed_action=[0, 0, 0, -0.5])
    up = Vector3(z=0.05)
    advice = Advised(
        tools=[Point()], executed=[Vector3()], advised=[Vector3()], executed_turns=[up], advised_turns=[up]
    )
    drawn = by_name(Markers(ROBOT).draw(turning, None, advice))
    for kind, length in (("asked turn", 0.1), ("executed turn", -0.05), ("turned then", 0.1), ("advised turn", 0.1)):
        start, end = drawn[kind].points
        assert end.z - start.z == pytest.approx(length)

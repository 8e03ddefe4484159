"""Rules of success, each and together, and for how long they hold."""

from typing import Any

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from varl_common.errors import VarlError
from varl_robot_env.tasks import verdicts
from varl_robot_env.tasks.predicates import KINDS, Judge, holds_now, parse
from varl_robot_env.tasks.situation import Situation


def pose(x: float, y: float = 0.0, z: float = 0.0, yaw: float = 0.0) -> np.ndarray:
    return np.array([x, y, z, *Rotation.from_euler("z", yaw).as_quat()])


NEAR = Situation(
    poses={"tool": pose(0.1), "cup": pose(0.12, 0.0, 0.05), "tray": pose(0.1, yaw=np.pi / 2), "door": pose(0.3)},
    begin={"door": pose(0.4, 0.1), "cup": pose(0.12)},
    opening=0.25,
    force=np.array([3.0, 0.0, 4.0]),
    pictures={"camera": np.zeros((8, 8, 3), np.uint8)},
)


class Sure:
    """A classifier of which 0.9 is certain enough."""

    threshold = 0.8

    def certainty(self, pictures: Any) -> float:
        return 0.9


@pytest.fixture(autouse=True)
def classifier(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verdicts, "_loaded", lambda folder: Sure())


@pytest.mark.parametrize(
    ("rule", "holds"),
    [
        ({"distance": ["tool", "tray"], "at_most": 0.0}, True),
        ({"distance": ["tool", "cup"], "at_most": 0.05}, False),
        ({"distance": ["tool", "cup"], "at_least": 0.05, "at_most": 0.06}, True),
        ({"height": "cup", "at_least": 0.05}, True),
        ({"height": "cup", "at_least": 0.051}, False),
        ({"inside": "cup", "low": [0.1, -0.1, 0.0], "high": [0.2, 0.1, 0.1]}, True),
        ({"inside": "cup", "low": [0.13, -0.1, 0.0], "high": [0.2, 0.1, 0.1]}, False),
        ({"inside": "cup", "of": "tray", "low": [-0.001, -0.021, 0.0], "high": [0.001, -0.019, 0.1]}, True),
        ({"inside": "cup", "of": "tray", "low": [0.0, 0.0, 0.0], "high": [0.1, 0.1, 0.1]}, False),
        ({"opening": "door", "along": [-2, 0, 0], "at_least": 0.0999, "at_most": 0.1001}, True),
        ({"opening": "door", "along": [1, 0, 0], "at_least": 0.01}, False),
        ({"opening": "gripper", "at_least": 0.25}, True),
        ({"turn": ["tool", "tray"], "at_most": 1.5}, False),
        ({"turn": ["tool", "tray"], "at_most": 1.6}, True),
        ({"force": "tool", "at_least": 5.0}, True),
        ({"force": "tool", "at_least": 5.1}, False),
        ({"person": True}, False),
        ({"vlm": True}, False),
        ({"classifier": "sure"}, True),
        ({"classifier": "sure", "at_least": 0.95}, False),
        ({"all": [{"height": "cup", "at_least": 0.05}, {"force": "tool", "at_least": 5.0}]}, True),
        ({"all": [{"height": "cup", "at_least": 0.05}, {"force": "tool", "at_least": 6.0}]}, False),
        ({"any": [{"height": "cup", "at_least": 0.06}, {"force": "tool", "at_least": 5.0}]}, True),
        ({"any": [{"height": "cup", "at_least": 0.06}, {"force": "tool", "at_least": 6.0}]}, False),
        ({"not": {"height": "cup", "at_least": 0.06}}, True),
    ],
)
def test_a_rule_holds(rule: dict[str, Any], holds: bool) -> None:
    assert Judge(parse(rule))(NEAR) is holds


def test_every_rule_is_tested_above() -> None:
    tested = {next(iter(case[0])) for case in test_a_rule_holds.pytestmark[0].args[1]}
    assert tested == set(KINDS)


def test_held_counts_periods_in_a_row() -> None:
    judge = Judge(parse({"any": [{"height": "cup", "at_least": 1, "held": 3}, {"height": "cup", "at_least": 9}]}))
    heights = [1, 1, 0, 1, 1, 1, 1]
    said = [judge(Situation({"cup": pose(0, 0, z)})) for z in heights]
    assert said == [False, False, False, False, False, True, True]


def test_every_part_counts_for_itself() -> None:
    rule = {"all": [{"height": "a", "at_least": 1, "held": 2}, {"height": "b", "at_least": 1, "held": 3}]}
    judge = Judge(parse(rule))
    up = Situation({"a": pose(0, 0, 1), "b": pose(0, 0, 1)})
    assert [judge(up) for _ in range(4)] == [False, False, True, True]


@pytest.mark.parametrize(
    "rule",
    [
        {"distance": ["tool", "cup"], "at_most": 0.04},
        {"height": "cup", "at_least": 0.09},
        {"inside": "cup", "low": [0.125, -0.1, 0.0], "high": [0.2, 0.1, 0.1]},
        {"all": [{"height": "cup", "at_least": 0.05}, {"force": "tool", "at_least": 6.0, "held": 9}]},
        {"any": [{"height": "cup", "at_least": 0.06}, {"force": "tool", "at_least": 90.0}]},
    ],
)
def test_what_looks_like_success_and_is_none(rule: dict[str, Any]) -> None:
    assert not holds_now(parse(rule), NEAR)
    assert holds_now(parse(rule).nearly(), NEAR)


def test_a_person_says_so() -> None:
    assert Judge(parse({"person": True}))(Situation({}, marked=True))


def test_what_the_robot_does_not_tell_is_said() -> None:
    with pytest.raises(VarlError, match="the force on the tool, which this robot does not tell"):
        Judge(parse({"force": "tool", "at_least": 1}))(Situation({}))

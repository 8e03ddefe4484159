"""The wider box in which a person shows an arm where it may work: bounded, and every other bound stays."""

import numpy as np
import pytest
from varl_common.errors import VarlError
from varl_robot_env.safety.provisional import MOST_BEYOND, provisional

from .asked import ALLOWED, whatever_is_asked
from .robots import ROBOTS, robot


@pytest.mark.parametrize("name", ROBOTS)
def test_it_grows_up_and_away_from_the_base_and_nothing_else_changes(name: str) -> None:
    before = robot(name)
    after = provisional(before, 0.2)
    low, high = np.array(before.safety.workspace_low), np.array(before.safety.workspace_high)
    assert after.safety.workspace_low == pytest.approx((low[0], low[1] - 0.2, low[2])), (
        "these boxes lie before the base"
    )
    assert after.safety.workspace_high == pytest.approx(tuple(high + 0.2))
    assert after.action_scale == pytest.approx(0.1 * before.control_period), "m/s"
    same = {"workspace_low": before.safety.workspace_low, "workspace_high": before.safety.workspace_high}
    assert after.safety.model_copy(update=same) == before.safety
    assert after.model_copy(update={"safety": before.safety, "action_scale": before.action_scale}) == before


@pytest.mark.parametrize("beyond", [0.0, -0.1, MOST_BEYOND + 0.01, float("nan")])
def test_it_is_bounded(beyond: float) -> None:
    with pytest.raises(VarlError, match=r"is not above 0 and at most 0\.3 m"):
        provisional(robot("ur5e"), beyond)


@pytest.mark.parametrize("name", ROBOTS)
def test_no_bound_is_left_there_either_whatever_is_asked(name: str) -> None:
    """It holds places that the arm does not reach, and singular ones."""
    worst = whatever_is_asked(name, 2_000, wider=MOST_BEYOND)
    assert worst["accepted"] > 1_000
    assert not {what: worst[what] for what, most in ALLOWED.items() if worst[what] > most}

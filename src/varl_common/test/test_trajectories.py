"""Advice as trajectories: which one guides, where along it the tool is steered, and what is refused."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest
from varl_common.errors import VarlError
from varl_common.trajectories import AHEAD, Trajectories, trajectories


@dataclass(frozen=True)
class Table:
    """A tool and a block on a table; a step is 2 cm."""

    observation_names: list[str] = field(default_factory=lambda: [*("tool_x", "tool_y", "tool_z"), *("x", "y", "z")])
    observation_low: list[float] = field(default_factory=lambda: [-1.0] * 6)
    observation_high: list[float] = field(default_factory=lambda: [1.0] * 6)
    action_names: list[str] = field(default_factory=lambda: ["dx", "dy", "dz", "gripper"])
    action_scale: list[float] = field(default_factory=lambda: [0.02, 0.02, 0.02, 1.0])
    entities: list[str] = field(default_factory=lambda: ["tool", "block"])
    entity_indices: list[int] = field(default_factory=lambda: [0, 3])


TABLE = Table()


def line(direction: tuple[float, float, float], opening: float = 1.0, k: int = 6) -> np.ndarray:
    """(k, 4) waypoints from the origin on, 3 cm apart."""
    return np.array([[*(0.03 * i * np.array(direction)), opening] for i in range(k)], np.float32)


def at(tool: tuple[float, float, float], block: tuple[float, float, float]) -> np.ndarray:
    return np.array([[*tool, *block]], np.float32)


LEFT, RIGHT = (0.0, 0.4, 0.0), (0.0, -0.4, 0.0)
BOTH = Trajectories(
    starts=np.concatenate([at((0, 0, 0), LEFT), at((0, 0, 0), RIGHT)]),
    waypoints=np.stack([line((0, 1, 0)), line((0, -1, 0), opening=0.0)]),
)


def test_the_nearest_one_guides_from_where_the_tool_came_by() -> None:
    """The block decides which; off the path the tool is led back to it, further along."""
    states = np.concatenate([at((0.03, 0.05, 0), LEFT), at((0, -0.05, 0), RIGHT), at((0, 0.15, 0), LEFT)])
    actions = BOTH.actions(states, TABLE)
    assert actions[0, 1] == 1.0
    assert actions[0, 0] < 0.0
    assert actions[0, 3] == -1.0
    assert actions[1].tolist() == [0.0, -1.0, 0.0, 1.0]
    assert np.abs(actions[2, :3]).max() < 1e-6, "it has come to the end"


def test_noise_in_the_waypoints_is_evened_out() -> None:
    """To steer at the nearest waypoint would follow each one's error; a hand's breadth ahead the way stays one."""
    rng = np.random.default_rng(0)
    way = np.array([[0.01 * i, 0.0, 0.0, 1.0] for i in range(30)], np.float32)
    way[:, :3] += rng.normal(0.0, 0.008, (30, 3)).astype(np.float32)
    noisy = Trajectories(starts=at((0, 0, 0), LEFT), waypoints=way[None])
    along = np.concatenate([at((x, 0, 0), LEFT) for x in np.linspace(0.0, 0.29 - 3 * AHEAD, 20)])
    assert (noisy.actions(along, TABLE)[:, 0] > 0.3).all()


def test_what_was_not_seen_lies_between_its_neighbours_and_a_gripper_never_seen_is_left_alone() -> None:
    lost = line((0, 1, 0))
    lost[2:4, :3] = np.nan
    lost[:, 3] = np.nan
    gaps = Trajectories(starts=at((0, 0, 0), LEFT), waypoints=lost[None])
    states = np.concatenate([at((0, y, 0), LEFT) for y in np.linspace(0.0, 0.1, 5)])
    whole = Trajectories(starts=at((0, 0, 0), LEFT), waypoints=line((0, 1, 0))[None])
    assert np.allclose(gaps.actions(states, TABLE)[:, :3], whole.actions(states, TABLE)[:, :3], atol=1e-5)
    assert (gaps.actions(states, TABLE)[:, 3] == 0.0).all()


def test_it_comes_back_from_its_data_as_it_was() -> None:
    lost = Trajectories(starts=BOTH.starts, waypoints=BOTH.waypoints.copy(), reason="seen")
    lost.waypoints[0, 3] = np.nan
    again = Trajectories.from_dict(lost.as_dict())
    assert again.reason == "seen"
    assert np.array_equal(again.starts, lost.starts)
    assert np.array_equal(again.waypoints, lost.waypoints, equal_nan=True)


@pytest.mark.parametrize("wrong", ["none", "infinite", "far", "start", "narrow", "nowhere", "shape"])
def test_what_cannot_guide_is_refused(wrong: str) -> None:
    starts, waypoints = BOTH.starts.copy(), BOTH.waypoints.copy()
    if wrong == "none":
        starts, waypoints = starts[:0], waypoints[:0]
    elif wrong == "infinite":
        waypoints[0, 1, 0] = np.inf
    elif wrong == "far":
        waypoints[0, 1, 0] = 1e20
    elif wrong == "start":
        starts = starts.astype(np.float64)
        starts[0, 0] = 1e39  # finite, but not as float32
    elif wrong == "narrow":
        starts = starts[:, :5]
    elif wrong == "nowhere":
        waypoints[1, :, 1] = np.nan
    else:
        waypoints = waypoints[:1]
    with pytest.raises(VarlError):
        Trajectories(starts=starts, waypoints=waypoints).check(TABLE)


def test_the_rows_of_an_answer_become_one() -> None:
    """Rows without waypoints and such of another size are left out; the shorter stay where they end."""
    states = np.concatenate([at((0, 0, 0), LEFT)] * 4)
    ways = {
        0: line((0, 1, 0)).ravel(),
        1: np.empty(0, np.float32),
        2: np.ones(7, np.float32),
        3: line((1, 0, 0), k=2).ravel(),
    }
    together = trajectories(states, ways)
    assert together is not None
    assert together.waypoints.shape == (2, 6, 4)
    assert np.array_equal(together.waypoints[1, 1:], np.repeat(together.waypoints[1, 1:2], 5, axis=0))
    assert trajectories(states, {1: np.empty(0, np.float32)}) is None

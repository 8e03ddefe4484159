"""Labelled moments: what is kept of an episode, and that nothing of it is lost or made up."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from varl_common.errors import VarlError
from varl_robot_env.success.labelling import EVERY, SETTLED, Labelling
from varl_robot_env.success.moments import Label, Layout, Moments, read
from varl_robot_env.tasks.predicates import parse
from varl_robot_env.tasks.situation import Situation

LAYOUT = Layout("push", ["front", "side"], 4, [[0.0, 0.0, 1.0, 1.0]] * 2)
NEAR_ENOUGH = {"distance": ["block", "target"], "at_most": 0.1, "held": 50}


def pictures(shade: int) -> dict[str, np.ndarray]:
    return {name: np.full((4, 4, 3), shade + i, np.uint8) for i, name in enumerate(LAYOUT.cameras)}


def apart(distance: float) -> Situation:
    poses = {"block": np.zeros(7), "target": np.array([distance, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0])}
    return Situation(poses, pictures=pictures(int(1000 * distance) % 250))


def seen(labelling: Labelling, *distances: float) -> None:
    labelling.begin()
    for distance in distances:
        labelling.see(apart(distance))


def test_geometry_labels_what_has_lasted_and_not_what_is_on_the_border(tmp_path: Path) -> None:
    labelling = Labelling(Moments(tmp_path, LAYOUT), parse(NEAR_ENOUGH))
    seen(labelling, *[0.5] * (EVERY + SETTLED), *[0.12] * SETTLED, 0.09, 0.11, *[0.05] * SETTLED)
    rows = read(tmp_path)
    assert [Label(label).name for label in rows["label"]] == ["FAILURE", "FAILURE", "NEARLY", "SUCCESS"]
    assert rows["step"].tolist() == [3, 13, 16, 21]
    np.testing.assert_array_equal(rows["pictures"][3], np.stack(list(pictures(50).values())))
    assert not rows["by_person"].any()


def test_a_person_labels_the_newest_moment_where_no_geometry_does(tmp_path: Path) -> None:
    labelling = Labelling(Moments(tmp_path, LAYOUT), parse({"any": [NEAR_ENOUGH, {"person": True}]}))
    assert not labelling.label(Label.SUCCESS), "there is no moment yet"
    seen(labelling, *[0.05] * 9)
    assert labelling.label(Label.NEARLY)
    seen(labelling)  # the next episode is about to begin: a veto is of the last one
    assert labelling.label(Label.FAILURE)
    assert [(row["label"], row["by_person"]) for row in read(tmp_path)] == [(Label.NEARLY, 1), (Label.FAILURE, 1)]


def test_what_a_crash_broke_off_is_cut_and_the_rest_is_there(tmp_path: Path) -> None:
    moments = Moments(tmp_path, LAYOUT)
    moments.add(pictures(1), Label.SUCCESS, False, 7)
    moments.end_episode()
    with (tmp_path / "moments").open("ab") as file:
        file.write(b"half a row")
    assert len(read(tmp_path)) == 1, "a reader beside sees whole rows"
    again = Moments(tmp_path, LAYOUT)
    assert (again.episode, again.counts[Label.SUCCESS]) == (1, 1)
    again.add(pictures(2), Label.FAILURE, True, 3)
    rows = read(tmp_path)
    assert rows["episode"].tolist() == [0, 1]
    assert rows["pictures"][1, 1, 0, 0, 0] == 3


def test_a_damaged_moment_and_moments_of_something_else_are_refused(tmp_path: Path) -> None:
    Moments(tmp_path, LAYOUT).add(pictures(1), Label.SUCCESS, False, 7)
    with pytest.raises(VarlError, match=r"side is 8 and of the moments in .* 4; use what was made for the same views"):
        Moments(tmp_path, Layout("push", LAYOUT.cameras, 8, LAYOUT.crops))
    data = bytearray((tmp_path / "moments").read_bytes())
    data[-1] ^= 1
    (tmp_path / "moments").write_bytes(data)
    with pytest.raises(VarlError, match="moment 0 is damaged"):
        read(tmp_path)


@pytest.mark.parametrize("made", [None, "{}", "not json"])
def test_where_there_are_none_it_says_what_makes_some(tmp_path: Path, made: Any) -> None:
    if made:
        (tmp_path / "moments.json").write_text(made)
    with pytest.raises(VarlError, match=r"varl collect makes some|bring it back from a copy"):
        read(tmp_path)

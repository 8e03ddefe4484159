"""The bench of the arm's tasks: what it makes of runs, and an arm that knows its things from what is seen alone."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from benchmarks import seen_things
from benchmarks.arm_tasks import Kind, gather
from benchmarks.localiser import TABLE, Scene
from benchmarks.seen_things import SeenThings


def run(folder: Path, kind: Kind, seed: int, successes: list[float], true: float | None = None) -> None:
    curve = [{"step": 5_000 * (i + 1), "success": success} for i, success in enumerate(successes)]
    where = folder / f"{kind}-{seed}"
    where.mkdir()
    told = {"kind": str(kind), "seed": seed, "commit": "abc", "curve": curve, "true_success": true}
    (where / "curve.json").write_text(json.dumps(told))


def test_a_figure_is_the_mean_at_the_last_step_that_all_seeds_have_reached(tmp_path: Path) -> None:
    run(tmp_path, Kind("push"), 0, [0.2, 0.4, 0.9])
    run(tmp_path, Kind("push"), 1, [0.0, 0.6])
    run(tmp_path, Kind("push-unmarked"), 0, [0.5], true=0.4)
    found = gather(tmp_path)
    assert (found["push_success"], found["push_success_steps"]) == (pytest.approx(0.5), 10_000)
    assert found["push_unmarked_success_in_truth"] == {0: 0.4}
    assert found["push_least_start_m"] > 0.03


class Shows:
    """In place of a localiser: it sees the block at a pixel, or nothing."""

    pixel: Any = None

    def find(self, rgb: Any) -> dict[str, Any]:
        return {} if self.pixel is None else {"block": SimpleNamespace(pixel=np.array(self.pixel))}


def test_an_arm_is_told_where_a_thing_is_seen_and_where_it_was_while_it_is_lost(monkeypatch: Any) -> None:
    localiser = Shows()
    monkeypatch.setattr(seen_things, "TAUGHT", 1)
    monkeypatch.setattr(seen_things, "pointed", lambda *_: [])
    monkeypatch.setattr(seen_things, "teach", lambda *_: localiser)
    monkeypatch.setattr(Scene, "pictures", lambda *_: iter(()))
    try:
        seen = SeenThings(0)
    except RuntimeError as error:
        pytest.skip(str(error))
    try:
        env, still = seen.env, np.zeros(3, np.float32)
        env.reset(seed=0)
        localiser.pixel = (160.0, 150.0)
        shown, *_ = env.step(still)
        block = env.description.position("block", shown)
        assert block is not None
        assert block[2] == pytest.approx(TABLE, abs=1e-6)
        localiser.pixel = None
        lost, *_ = env.step(still)
        assert env.description.position("block", lost) == pytest.approx(block)
    finally:
        seen.close()

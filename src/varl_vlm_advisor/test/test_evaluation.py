"""Judging: the labels are the expert's, the simulator is restored, and good advice scores better than bad."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from varl_common.errors import VarlError
from varl_vlm_advisor.evaluate import main
from varl_vlm_advisor.evaluation.metrics import agreement, score
from varl_vlm_advisor.evaluation.situations import collect, restore
from varl_vlm_advisor.evaluation.worlds import make_world

CONFIG = Path(__file__).parents[3] / "config" / "advisor.yaml"


@pytest.fixture(params=["lift", "drawer-open-v3"])
def world(request: pytest.FixtureRequest) -> Iterator[object]:
    pytest.importorskip("metaworld" if request.param.endswith("v3") else "varl_robot_env")
    made = make_world(request.param)
    try:
        made.reset(0)
        made.frame()
    except Exception as error:
        pytest.skip(f"this machine cannot render: {error}")
    yield made
    made.close()


def test_a_situation_can_be_restored_and_experts_score_best(world: object) -> None:
    situations = collect(world, 4, seed=1)  # type: ignore[arg-type]
    for situation in situations:
        assert np.array_equal(restore(world, situation), situation.moment.state)  # type: ignore[arg-type]
    experts = np.stack([situation.expert for situation in situations])
    best = score(world, situations, experts)  # type: ignore[arg-type]
    worst = score(world, situations, -experts)  # type: ignore[arg-type]
    assert best.cosine == pytest.approx(1.0)
    assert best.signs == best.gripper == 1.0
    assert best.progress == pytest.approx(1.0)
    assert worst.cosine == pytest.approx(-1.0)
    assert worst.progress < 0.5
    nothing = score(world, situations, np.full_like(experts, np.nan))  # type: ignore[arg-type]
    assert np.isnan(nothing.cosine)
    assert agreement(world.env, experts, experts) == 1.0  # type: ignore[attr-defined]


def test_the_command_writes_a_table_and_pages(tmp_path: Path) -> None:
    words = ["--config", str(CONFIG), "--tasks", "reach", "--states", "3", "--out", str(tmp_path)]
    assert main(words) == 0
    assert "scripted (stand-in for a VLM), without the picture" in (tmp_path / "table.txt").read_text()
    assert (tmp_path / "page.html").read_text().count("<figure>") == 3
    assert (tmp_path / "page.png").stat().st_size > 10_000
    scores = {row["who"]: row for row in json.loads((tmp_path / "scores.json").read_text())}
    assert scores["expert, in words"]["signs"] == 1.0
    assert scores["zero"]["progress"] == pytest.approx(0.0)


@pytest.mark.parametrize(
    ("words", "remedy"), [(["--tasks", "reech"], "did you mean 'reach'"), (["--backend", "gpt"], "unknown advisor")]
)
def test_a_wrong_argument_is_one_sentence(tmp_path: Path, words: list[str], remedy: str) -> None:
    with pytest.raises(VarlError, match=remedy):
        main(["--config", str(CONFIG), "--states", "1", "--out", str(tmp_path), *words])

"""Judging: the labels are the expert's, the simulator is restored, and good advice scores better than bad."""

import contextlib
import json
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path

import numpy as np
import pytest
from varl_common.arguments import complete, parse
from varl_common.errors import VarlError
from varl_vlm_advisor.evaluation import predictions
from varl_vlm_advisor.evaluation.command import ARGUMENTS, judge, run
from varl_vlm_advisor.evaluation.labelled_states import collect, restore
from varl_vlm_advisor.evaluation.metrics import agreement, score
from varl_vlm_advisor.evaluation.storage import load_or_make
from varl_vlm_advisor.evaluation.worlds import make_world
from varl_vlm_advisor.testing.server import Server

CONFIG = Path(__file__).parents[4] / "config" / "advisor.yaml"


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


def test_an_example_can_be_restored_and_experts_score_best(world: object) -> None:
    examples = collect(world, 4, seed=1)  # type: ignore[arg-type]
    for example in examples:
        assert np.array_equal(restore(world, example), example.transition.state)  # type: ignore[arg-type]
    experts = np.stack([example.expert for example in examples])
    best = score(world, examples, experts)  # type: ignore[arg-type]
    worst = score(world, examples, -experts)  # type: ignore[arg-type]
    assert best.cosine == pytest.approx(1.0)
    assert best.signs == best.gripper == 1.0
    assert best.progress == pytest.approx(1.0)
    assert worst.cosine == pytest.approx(-1.0)
    assert worst.progress < 0.5
    nothing = score(world, examples, np.full_like(experts, np.nan))  # type: ignore[arg-type]
    assert np.isnan(nothing.cosine)
    assert agreement(world.env, experts, experts) == 1.0  # type: ignore[attr-defined]


def test_the_command_writes_a_table_and_pages(tmp_path: Path) -> None:
    words = ["task:=reach", f"params_file:={CONFIG}", "count:=3", f"out:={tmp_path}"]
    judge(complete(ARGUMENTS, parse(words)))
    assert "scripted (stand-in for a VLM), without the picture" in (tmp_path / "table.txt").read_text()
    assert (tmp_path / "page.html").read_text().count("<figure>") == 3
    assert (tmp_path / "page.png").stat().st_size > 10_000
    scores = {row["who"]: row for row in json.loads((tmp_path / "scores.json").read_text())}
    assert scores["expert, in words"]["signs"] == 1.0
    assert scores["zero"]["progress"] == pytest.approx(0.0)


def test_the_command_judges_a_users_own_endpoint(tmp_path: Path) -> None:
    pytest.importorskip("openai")
    pytest.importorskip("varl_robot_env")
    with Server("good") as server:
        settings = {"openai": {"base_url": server.url, "model": "m"}, "votes": 1, "cache": {"mode": "off"}}
        params = tmp_path / "mine.yaml"
        params.write_text(json.dumps({"/**/advisor": {"ros__parameters": settings}}))
        words = ["task:=reach", "advisor:=openai", "strategy:=direction", f"params_file:={params}", "count:=2"]
        judge(complete(ARGUMENTS, parse([*words, f"out:={tmp_path}"])))
        # As configured, in the mirror, without the picture, and twice to compare.
        assert sorted(call.pictures for call in server.calls) == [0] * 2 + [1] * 8
    scores = {row["who"]: row for row in json.loads((tmp_path / "scores.json").read_text())}
    assert {"openai (m)", "openai (m), without the picture"} <= set(scores)


@pytest.mark.parametrize("about", ["advice", "success"])
def test_a_server_that_is_down_is_told_once_with_its_address_and_the_command_fails(
    about: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("openai")
    pytest.importorskip("varl_robot_env")
    with Server("good") as server:
        url = server.url  # where nobody listens any more
    settings = {"openai": {"base_url": url, "model": "m"}, "cache": {"mode": "off"}}
    params = tmp_path / "mine.yaml"
    params.write_text(json.dumps({"/**/advisor": {"ros__parameters": settings}}))
    words = ["task:=reach", "advisor:=openai", f"about:={about}", f"params_file:={params}", "count:=2"]
    monkeypatch.setattr("sys.argv", ["advisor-eval", *words, f"out:={tmp_path}"])
    with pytest.raises(SystemExit) as ended:
        run()
    assert ended.value.code == 2
    out, err = capsys.readouterr()
    assert err == "error: no question was answered; the reasons stand under the table\n"
    asked, told = out.split("not answered: 4 of 4\n")
    assert "reach: openai (m) is asked" in asked, "a line before it is waited for"
    reasons = told.split("\n\n")[0].splitlines()
    assert sum(int(line.split(" x ")[0]) for line in reasons) == 4
    assert len({line.split(" x ")[1] for line in reasons}) == len(reasons)
    assert all(url in line and "is the server running?" in line for line in reasons)


def test_a_server_that_answers_only_with_a_picture_is_no_failure(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("openai")
    pytest.importorskip("varl_robot_env")
    with Server("good") as server:
        settings = {
            "openai": {"base_url": server.url, "model": "m"},
            "cache": {"mode": "off"},
            "surface_height": 0.0,
        }
        params = tmp_path / "mine.yaml"
        params.write_text(json.dumps({"/**/advisor": {"ros__parameters": settings}}))
        words = ["task:=reach", "advisor:=openai", "strategy:=point", f"params_file:={params}", "count:=2"]
        assert judge(complete(ARGUMENTS, parse([*words, f"out:={tmp_path}"])))
    assert "2 x without the picture: pointing needs a frame" in capsys.readouterr().out


@pytest.mark.parametrize(("strategy", "told"), [("plan", True), ("direction", False)])
def test_under_the_table_stands_what_the_picture_is_to_a_plan(
    strategy: str, told: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("varl_robot_env")
    words = ["task:=reach", "advisor:=scripted", f"strategy:={strategy}", "count:=1", f"out:={tmp_path}"]
    assert judge(complete(ARGUMENTS, parse(words)))
    out = capsys.readouterr().out
    for text in (out, (tmp_path / "table.txt").read_text(), (tmp_path / "page.html").read_text()):
        assert ("the picture hardly counts" in text) == told
    assert "not answered" not in out


def test_a_slow_server_is_waited_for_with_a_line_now_and_then(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(predictions, "_SAID_EVERY", 0.01)
    pending: Future[int] = Future()
    threading.Timer(0.2, pending.set_result, (3,)).start()
    assert predictions.awaited(pending, "reach: m is asked") == 3
    assert "reach: m is asked: 0 s" in capsys.readouterr().out


def test_the_command_counts_false_and_missed_successes(tmp_path: Path) -> None:
    pytest.importorskip("varl_robot_env")
    settings = {"scripted": {"error_rate": 0.0}, "cache": {"mode": "off"}}
    params = tmp_path / "mine.yaml"
    params.write_text(json.dumps({"/**/advisor": {"ros__parameters": settings}}))
    words = ["task:=reach", "about:=success", f"params_file:={params}", "count:=6", f"out:={tmp_path}"]
    judge(complete(ARGUMENTS, parse([*words, "advisor:=scripted"])))
    (score,) = json.loads((tmp_path / "verdicts.json").read_text())
    assert (score["solved"], score["unsolved"], score["untold"]) == (6, 6, 0)
    assert (score["false"], score["missed"]) == (0, 0)
    judge(complete(ARGUMENTS, parse([*words, "advisor:=none"])))
    (score,) = json.loads((tmp_path / "verdicts.json").read_text())
    assert (score["false"], score["missed"], score["untold"]) == (0, 6, 12), "no verdict is no success"


@pytest.mark.parametrize(
    ("word", "remedy"),
    [
        ("task:=reech", "did you mean 'reach'"),
        ("advisor:=gpt", "unknown advisor"),
        ("strategy:=guess", "strategy"),
        ("tasks:=reach", "did you mean 'task'"),
        ("about:=sucess", "did you mean 'success'"),
        ("count:=0", "expected a whole number, 1 or more"),
        ("params_file:=/no/such.yaml", "/no/such.yaml"),
    ],
)
def test_a_wrong_argument_is_one_sentence(tmp_path: Path, word: str, remedy: str) -> None:
    with pytest.raises(VarlError, match=remedy):
        judge(complete(ARGUMENTS, parse(["seed:=0", f"out:={tmp_path}", word])))


def test_the_same_states_judge_two_advisors(world: object, tmp_path: Path) -> None:
    made = load_or_make(world, 3, 0, tmp_path)  # type: ignore[arg-type]
    (folder,) = tmp_path.iterdir()
    written = (folder / "states.npz").stat().st_mtime_ns
    found = load_or_make(world, 3, 0, tmp_path)  # type: ignore[arg-type]
    assert (folder / "states.npz").stat().st_mtime_ns == written
    for one, other in zip(made, found, strict=True):
        assert one.transition.frames[0].jpeg == other.transition.frames[0].jpeg
        assert one.transition.frames[0].depth == other.transition.frames[0].depth
        for name in ("state", "action", "next_state", "reward"):
            assert np.array_equal(getattr(one.transition, name), getattr(other.transition, name))
        assert np.array_equal(one.expert, other.expert)
        assert np.array_equal(restore(world, other), one.transition.state)  # type: ignore[arg-type]
    with pytest.raises(VarlError, match="holds 3 states, 4 are wanted"):
        load_or_make(world, 4, 0, tmp_path)  # type: ignore[arg-type]


def test_states_that_are_damaged_or_of_another_simulator_are_refused(tmp_path: Path) -> None:
    pytest.importorskip("varl_robot_env")
    with contextlib.closing(make_world("reach")) as world:
        world.reset(0)
        load_or_make(world, 1, 0, tmp_path)
        path = tmp_path / "reach-s0" / "states.npz"
        with np.load(path) as file:
            arrays = dict(file)
        np.savez(path, **arrays | {"state": arrays["state"] + 0.1})  # type: ignore[arg-type]
        with pytest.raises(VarlError, match="another version"):
            load_or_make(world, 1, 0, tmp_path)
        path.write_bytes(path.read_bytes()[:100])
        with pytest.raises(VarlError, match="no whole set"):
            load_or_make(world, 1, 0, tmp_path)

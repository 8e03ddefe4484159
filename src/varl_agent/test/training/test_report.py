"""What a person sees of a run and finds in its folder."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.console import Console
from varl_agent.training.evaluation import EpisodeResult
from varl_agent.training.metrics import TrainingMetrics
from varl_agent.training.progress import BarDisplay, LineDisplay, duration
from varl_agent.training.record import Episode, Evaluation, Phase, Record
from varl_agent.training.report import save_pictures, summary, write_report
from varl_agent.training.run_folder import RunFolder
from varl_common.errors import VarlError
from varl_common.image_codec import encode_jpeg


class Picture:
    jpeg = encode_jpeg(np.zeros((6, 8, 3), np.uint8))


def metrics(step: int = 5000) -> TrainingMetrics:
    record = Record(10_000, Phase.TRAINING, step=step, updates=4500)
    record.episodes = [Episode(50 * i, i > 60, float(i > 60), 50) for i in range(1, 101)]
    record.evaluations = [Evaluation(2500, 0.2, 0.2), Evaluation(5000, 0.9, 0.9)]
    return TrainingMetrics(
        record=record,
        updates_per_second=98.6,
        utd=1.0,
        advice_asked=192,
        advice_used=180,
        advice_queries=3,
        gate_open=0.4,
        guided=True,
        alpha=0.02,
        entropy=-1.0,
        action_latency_p99=0.002,
        replay_size=5000,
        time_left=75.0,
    )


def test_the_summary_says_how_it_went(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    folder.create()
    final = [EpisodeResult(i < 48, float(i < 48), 20, []) for i in range(50)]
    now = metrics()
    write_report(folder, summary(now, "reach", 7, "scripted", final), now.record)
    values = json.loads(folder.summary.read_text())
    assert (values["task"], values["seed"], values["success_rate"], values["steps"]) == ("reach", 7, 0.96, 5000)
    assert (values["first_success_step"], values["queries"], values["advice_used"]) == (3050, 3, 180)
    assert values["training_success_rate"] == 0.8
    assert folder.curve.read_bytes().startswith(b"\x89PNG")
    assert not list(folder.path.glob(".*"))  # nothing half-written


def test_what_a_plan_achieves_is_no_success_of_the_policy() -> None:
    record = Record(10_000)
    record.episodes = [
        Episode(50 * i, success=i % 2 == 0, episode_return=1.0, length=50, helped=i % 2 == 0) for i in range(9)
    ]
    assert (record.success_rate, record.first_success_step) == (0.0, None)
    restored = Record(10_000)
    restored.restore(record.state())
    assert restored.episodes == record.episodes
    restored.restore(record.state() | {"episodes": record.state()["episodes"][:, :4]})
    assert restored.first_success_step == 0, "of an older file, in which nothing tells them apart"


def test_pictures_of_the_policy(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    assert save_pictures(folder, [EpisodeResult(True, 1.0, 3, [])]) == []
    strip, moving = save_pictures(folder, [EpisodeResult(True, 1.0, 3, [Picture()] * 4)])
    assert strip.read_bytes().startswith(b"\x89PNG")
    assert moving.read_bytes().startswith(b"GIF")


def test_a_small_target_keeps_its_colour_in_the_moving_picture(tmp_path: Path) -> None:
    across, down = np.meshgrid(np.arange(320), np.arange(240))
    scene = np.stack([120 + across // 3, 130 + down // 3, 140 + (across + down) // 6], 2).astype(np.uint8)
    scene[100:112, 50:62] = (30, 200, 60)

    class Seen:
        jpeg = encode_jpeg(scene)

    _, moving = save_pictures(RunFolder(tmp_path), [EpisodeResult(True, 1.0, 3, [Seen()] * 2)])  # type: ignore[list-item]
    with Image.open(moving) as opened:
        target = np.array(opened.convert("RGB"))[106, 56].astype(int)
    assert np.abs(target - (30, 200, 60)).max() < 40


def test_a_line_about_every_ten_seconds() -> None:
    lines: list[str] = []
    display = LineDisplay(lines.append)
    display.show(metrics())
    display.show(metrics())
    (line,) = lines
    assert line == (
        "step 5000/10000, success 80 %, evaluated 90 %, 99 updates/s, advice 180 of 192 used, gate 40 % open, 1:15 left"
    )


def test_the_bar_shows_all_of_it_in_a_hundred_columns() -> None:
    out = io.StringIO()
    bar = BarDisplay(Console(file=out, force_terminal=True, width=100, color_system=None))
    bar.show(metrics())
    bar.say("a word above it")
    bar.close()
    shown = out.getvalue()
    assert "5000/10000 · success 80% · eval 90% · 99 updates/s · advice 180/192, gate 40% · 1:15 left" in shown
    assert "a word above it" in shown


@pytest.mark.parametrize(("seconds", "shown"), [(-1, "-"), (75.2, "1:15"), (3700, "1:01:40")])
def test_durations(seconds: float, shown: str) -> None:
    assert duration(seconds) == shown


@pytest.mark.parametrize("name", ["latest", "latest/", "../elsewhere/latest"])
def test_a_run_that_is_named_by_latest_leaves_that_link_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    (tmp_path / "runs").mkdir()
    (tmp_path / "elsewhere").symlink_to("runs")
    monkeypatch.chdir(tmp_path / "runs")
    first = RunFolder("first")
    first.create()
    first.point_latest()
    again = RunFolder(name)
    again.reopen()
    again.point_latest()
    assert (again.path, again.name) == (first.path, "first")
    assert (tmp_path / "runs/latest").readlink() == Path("first")


def test_a_run_that_never_began_leaves_only_what_was_there_before(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "fails")
    folder.create()
    folder.point_latest()
    folder.replay.mkdir()
    folder.write_config({})
    folder.remove_unless_begun()
    assert not list(tmp_path.iterdir())

    shown = RunFolder(tmp_path / "shown")  # as teleop leaves it
    shown.replay.mkdir(parents=True)
    shown.create()
    shown.remove_unless_begun()
    assert list(shown.path.iterdir()) == [shown.replay]

    begun = RunFolder(tmp_path / "begun")
    begun.create()
    (begun.checkpoints / "step-000000000000.safetensors").touch()
    before = sorted(begun.path.rglob("*"))
    begun.remove_unless_begun()
    assert sorted(begun.path.rglob("*")) == before


@pytest.mark.parametrize("program", ["train_sim", "train_real", None])
def test_the_way_on_is_what_is_typed_where_the_run_was_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str | None
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = RunFolder("runs/first")
    folder.create()
    if program:
        (folder.path / "launch.yaml").write_text(f"program: {program}\narguments: {{}}\n")
    words = f"varl {program} " if program else "start the learner again with "
    assert folder.way_on == f"{words}resume:=true run_dir:=runs/first"


def test_what_is_said_beside_a_bar_stays_one_line() -> None:
    out = io.StringIO()
    bar = BarDisplay(Console(file=out, force_terminal=True, width=80, color_system=None))
    bar.say("go on: " + 20 * "runs/long/")
    assert "go on: " + 20 * "runs/long/" in out.getvalue()


def test_a_link_in_a_circle_is_mended_by_the_next_run(tmp_path: Path) -> None:
    (tmp_path / "latest").symlink_to("latest")
    folder = RunFolder(tmp_path / "next")
    folder.create()
    folder.point_latest()
    assert (tmp_path / "latest").resolve() == folder.path


def test_a_run_is_not_written_over_and_latest_points_at_the_newest(tmp_path: Path) -> None:
    for name in ("first", "second"):
        folder = RunFolder(tmp_path / name)
        folder.create()
        folder.point_latest()
        assert (tmp_path / "latest").resolve() == folder.path
    with pytest.raises(VarlError, match="killed before its first checkpoint; remove that folder"):
        folder.create()
    (folder.checkpoints / "step-000000001000.safetensors").touch()
    with pytest.raises(VarlError, match="holds a run already; continue it with resume:=true"):
        folder.create()
    with pytest.raises(VarlError, match="does not exist; name the run_dir of a run that has a checkpoint"):
        RunFolder(tmp_path / "third").reopen()

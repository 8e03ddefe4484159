"""``varl advisor-train`` from its words to a model that the advisor loads, with a tiny one."""

import subprocess
import sys
from pathlib import Path

import pytest
from varl_common.arguments import complete, parse
from varl_common.errors import VarlError
from varl_vlm_advisor.evaluation import storage
from varl_vlm_advisor.evaluation.worlds import make_world
from varl_vlm_advisor.service.config import load_config
from varl_vlm_advisor.testing.tiny_vlm import make_tiny_vlm
from varl_vlm_advisor.training import command, scenes


@pytest.fixture
def renders() -> None:
    """Skip where this machine does not render."""
    with_picture = make_world("reach")
    with_picture.reset(0)
    try:
        with_picture.frame()
    except VarlError as error:
        pytest.skip(str(error))
    finally:
        with_picture.close()


def train(*words: str) -> None:
    command.train(complete(command.ARGUMENTS, parse(words)))


@pytest.mark.usefixtures("renders")
def test_scenes_training_and_judgement(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(scenes, "SHARD", 6)
    tiny = make_tiny_vlm(tmp_path / "tiny")
    capsys.readouterr()  # what making it has said
    judged = []
    monkeypatch.setattr(command.evaluation, "judge", judged.append)
    words = [f"model:={tiny}", "task:=reach", "count:=6", "steps:=2", "batch:=2", "judge:=3", f"out:={tmp_path}/run"]
    train(*words)
    for asked, model in zip(judged, (tiny, tmp_path / "run" / scenes.MODEL), strict=True):
        assert asked["count"] == "3"
        assert asked["seed"] != "0"
        assert load_config(asked["params_file"]).transformers.model == str(model)  # type: ignore[attr-defined]
    assert (tmp_path / "run" / scenes.MODEL / "model.safetensors").exists()
    assert (tmp_path / "run" / "loss.png").stat().st_size > 1000
    out, err = capsys.readouterr()
    assert "'loss'" in out, "a line now and then"
    assert "%|" not in err, "no bar where no terminal is"


def test_a_new_model_is_made_without_a_word() -> None:
    """In a process of its own: transformers warns but once."""
    words = "['Where is the red block?'], ['[10, 20]']"
    code = f"from varl_vlm_advisor.training.small_model import make_small_model as make; make({words}, width=32)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")


@pytest.mark.usefixtures("renders")
def test_learning_from_the_states_that_advisor_eval_keeps(tmp_path: Path) -> None:
    world = make_world("reach")
    storage.load_or_make(world, 3, 5, tmp_path / "states")
    world.close()
    tiny = make_tiny_vlm(tmp_path / "tiny")
    made = scenes.of_states("reach", tmp_path / "states", "direction")
    assert len(made) == 3
    words = [
        f"model:={tiny}",
        "task:=reach",
        f"states:={tmp_path}/states",
        "strategy:=direction",
        "steps:=1",
        "judge:=0",
    ]
    train(*words, f"out:={tmp_path}/run")


def test_states_that_are_not_there_are_told(tmp_path: Path) -> None:
    with pytest.raises(VarlError, match="make some with advisor-eval"):
        scenes.of_states("reach", tmp_path, "point")


def test_an_answer_that_nobody_knows_is_told(tmp_path: Path) -> None:
    (tmp_path / "drawer-open-v3-s0").mkdir()
    with pytest.raises(VarlError, match="teach strategy:=direction"):
        scenes.of_states("drawer-open-v3", tmp_path, "point")


@pytest.mark.parametrize(
    "words", [["lora:=perhaps"], ["rate:=-1"], ["task:=fly", "count:=1"], ["steps:=0"], ["width:=100"]]
)
def test_what_cannot_be_is_told(words: list[str], tmp_path: Path) -> None:
    with pytest.raises(VarlError):
        train(*words, f"out:={tmp_path}")

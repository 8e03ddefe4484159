"""The small model that ships holds, on a few of the bench's scenes, what benchmarks/results/sight.json says of it."""

import json
from pathlib import Path

import numpy as np
import pytest
from varl_common.errors import VarlError
from varl_common.vision.in_the_box import in_the_box
from varl_vlm_advisor.backends.transformers import TransformersBackend

from benchmarks import sight

FIGURES = json.loads((Path(__file__).parents[1] / "benchmarks/results/sight.json").read_text())
SCENES = 8  # of each task, of 30 and more behind the figures


def test_it_is_as_small_as_it_says() -> None:
    sizes = {file.name: file.stat().st_size for file in in_the_box().iterdir()}
    assert {"config.json", "model.safetensors", "tokenizer.json", "chat_template.jinja"} <= set(sizes)
    assert sum(sizes.values()) < 40e6
    assert sum(sizes.values()) / 1e6 == pytest.approx(FIGURES["megabytes"], abs=0.1)


@pytest.mark.timeout(300)
def test_it_sees_what_it_is_said_to_see() -> None:
    pytest.importorskip("llguidance")
    settings = TransformersBackend.Settings(model=str(in_the_box()), temperature=0.0, dtype="float32")
    judge = sight.Judge(TransformersBackend(settings))
    errors, signs, blind = [], [], []
    for task in sight.TASKS:
        try:
            asked = sight.held_out(task, SCENES)
        except VarlError as error:
            pytest.skip(str(error))
        answers = [judge.answer(one.question) for one in asked]
        errors.append(sight.pointing_error(asked, answers))
        signs.append(sight.signs(judge, asked, answers))
        blind.append(sight.signs(judge, asked, [judge.answer(sight.grey(one.question)) for one in asked]))
    assert judge.refused == 0
    assert np.mean(errors) < 1.5 * FIGURES["point_error"]
    assert np.mean(signs) > np.mean([FIGURES[f"signs_{task}"] for task in sight.TASKS]) - 0.15
    assert np.mean(signs) > np.mean(blind) + 0.15, "the picture is what it answers by"

"""A small model that learns to say what its tower sees: what is asked of its attention, and that it learns."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from varl_vlm_advisor.training import speaking
from varl_vlm_advisor.training.encoding import UNSCORED, Collator, Encoder
from varl_vlm_advisor.training.examples import Example
from varl_vlm_advisor.training.settings import Settings
from varl_vlm_advisor.training.small_model import make_small_model
from varl_vlm_advisor.training.speaking import teach_to_speak


def example(number: int, x: int, y: int) -> Example:
    picture = io.BytesIO()
    Image.fromarray(np.full((60, 80, 3), 120, np.uint8)).save(picture, "JPEG")
    answer = {"id": 1000 + number, "reason": f"block [{x}, {y}]", "can_tell": True, "point": [x, y]}
    return Example("Find things.", "Where is the block?", picture.getvalue(), json.dumps(answer), {"block": [x, y]})


@pytest.fixture
def examples() -> list[Example]:
    return [example(number, 10 + 110 * number, 990 - 110 * number) for number in range(8)]


def test_a_coordinate_is_one_token_and_near_ones_are_alike(examples: list[Example]) -> None:
    model, processor = make_small_model([e.text for e in examples], [e.answer for e in examples])
    tokens = processor.tokenizer(examples[2].answer)["input_ids"]
    said = [processor.tokenizer.decode([token]) for token in tokens]
    assert said.count("230") == 2
    assert said.count("770") == 2
    assert processor.tokenizer.decode(tokens) == examples[2].answer
    codes = model.get_input_embeddings().weight
    one, near, far = (codes[processor.tokenizer.convert_tokens_to_ids(n)] for n in ("230", "232", "480"))
    assert one @ near > 0.9 * one @ one
    assert one @ far < 0.3 * one @ one


def test_the_answer_alone_is_scored_without_what_the_schema_says(examples: list[Example]) -> None:
    _, processor = make_small_model([e.text for e in examples], [e.answer for e in examples])
    row = Encoder(processor, processor.tokenizer.eos_token_id)(examples[1])
    scored = row["labels"][row["labels"] != UNSCORED]
    said = examples[1].answer
    assert processor.tokenizer.decode(scored) == said[said.index(", ") :] + "<eos>"
    batch = Collator(0, answers_alone=True)([row, {**row, "input_ids": row["input_ids"][:, 3:]}][:1])
    assert batch["labels"].shape[1] == batch["logits_to_keep"] == len(scored) + 1


def test_what_is_nearly_right_costs_less_and_other_words_as_ever() -> None:
    """Five words, and then a token for each coordinate."""
    coordinates, whole = torch.arange(5, 5 + speaking.WHOLE + 1), 5 + speaking.WHOLE + 1
    labels = torch.tensor([[UNSCORED, 5 + 500, 3]])

    def cost(coordinate: int, word: int) -> float:
        logits = torch.zeros(1, 3, whole)
        logits[0, 0, 5 + coordinate] = logits[0, 1, word] = 8.0
        return float(speaking._said(logits, labels, coordinates))

    right, near, far = cost(500, 3), cost(504, 3), cost(700, 3)
    assert right < near < far
    assert cost(500, 2) - right == pytest.approx(4.0, abs=1e-3)  # cross entropy's 8, over two words
    digit = torch.tensor([[UNSCORED, 5 + 7, 3]])
    logits = torch.randn(1, 3, whole)
    usual = torch.nn.functional.cross_entropy(logits[0, :-1], digit[0, 1:])
    assert float(speaking._said(logits, digit, coordinates)) == pytest.approx(float(usual), rel=1e-5)


def test_ended_and_gone_on_is_what_it_would_have_been(examples: list[Example], tmp_path: Path) -> None:
    ends = []
    for kept, runs in ((tmp_path / "twice.pt", (3, 6)), (tmp_path / "once.pt", (6,))):
        for until in runs:
            model, processor = make_small_model([e.text for e in examples], [e.answer for e in examples])
            teach_to_speak(model, processor, examples, Settings(steps=6, batch=2), kept, until)
        ends.append(model.lm_head.weight.detach())
    torch.testing.assert_close(*ends)


def test_what_is_said_depends_on_what_is_seen(examples: list[Example], tmp_path: Path) -> None:
    model, processor = make_small_model([e.text for e in examples], [e.answer for e in examples])
    rows = speaking._looked_at(model, processor, examples)
    told: list[torch.Tensor] = []
    model.model.text_model.register_forward_pre_hook(
        lambda module, given, named: told.append(named["inputs_embeds"]), with_kwargs=True
    )
    teach_to_speak(model, processor, examples[:1], Settings(steps=1, batch=1), tmp_path / "kept.pt")
    shown = rows[0].tensors["input_ids"] == model.config.image_token_id
    assert told[0][shown].std(dim=0).max() > 0  # not the one embedding of the token that stands for pictures

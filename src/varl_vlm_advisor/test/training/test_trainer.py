"""Training through transformers' Trainer: tiny models of two architectures learn, end, go on, and load again."""

import io
import json
import os
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from varl_common.errors import VarlError
from varl_common.vision.in_the_box import in_the_box
from varl_vlm_advisor.testing.tiny_vlm import ARCHITECTURES, make_tiny_vlm
from varl_vlm_advisor.training import trainer
from varl_vlm_advisor.training.encoding import UNSCORED, Collator, Encoder
from varl_vlm_advisor.training.examples import Example
from varl_vlm_advisor.training.settings import Settings


def _examples(count: int) -> list[Example]:
    made = []
    for number in range(count):
        picture = np.full((24, 32, 3), 40 * number % 255, np.uint8)
        stream = io.BytesIO()
        Image.fromarray(picture).save(stream, "JPEG")
        answer = json.dumps({"id": number, "can_tell": True})
        made.append(Example("Advise.", f"Question {number}?", stream.getvalue(), answer, {}))
    return made


def _batch(processor: Any, examples: list[Example]) -> dict[str, Any]:
    encode = Encoder(processor, processor.tokenizer.eos_token_id)
    return Collator(processor.tokenizer.pad_token_id)([encode(example) for example in examples])


def _loss(model: Any, processor: Any, examples: list[Example]) -> float:
    batch = _batch(processor, examples)
    with torch.inference_mode():
        return float(model.eval()(**batch).loss)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_model_learns_the_answers_and_loads_again(architecture: str, tmp_path: Path) -> None:
    model, processor = trainer.load(str(make_tiny_vlm(tmp_path / "tiny", architecture)))
    examples = _examples(4)
    before = _loss(model, processor, examples)
    model = trainer.train(model, processor, examples, Settings(30, batch=4, rate=1e-2), tmp_path / "kept")
    trainer.save(model, processor, tmp_path / "out")
    again, processor = trainer.load(str(tmp_path / "out"))
    assert _loss(again, processor, examples) < 0.5 * before


@pytest.mark.parametrize("architecture", [*ARCHITECTURES, "in the box"])
def test_what_is_written_is_read_by_older_servers_too(architecture: str, tmp_path: Path) -> None:
    """transformers 4, and vLLM of its time: "does not appear to have a file named preprocessor_config.json"."""
    folder = in_the_box()
    if architecture != "in the box":
        folder = tmp_path / "out"
        trainer.save(*trainer.load(str(make_tiny_vlm(tmp_path / "tiny", architecture))), folder)

    def told(name: str) -> Any:
        return json.loads((folder / name).read_text())

    assert "image_mean" in told("preprocessor_config.json")
    assert "image_processor" not in told("processor_config.json")
    assert told("tokenizer_config.json")["tokenizer_class"] != "TokenizersBackend"
    assert not isinstance(told("tokenizer_config.json").get("extra_special_tokens"), list)
    assert "rope_theta" in told("config.json")["text_config"] or architecture == "gemma3"  # it has one a kind of layer


def test_the_loss_counts_answers_alone(tmp_path: Path) -> None:
    _, processor = trainer.load(str(make_tiny_vlm(tmp_path / "tiny")))
    examples = _examples(2)
    end = processor.tokenizer.eos_token_id
    batch = _batch(processor, examples)
    for row, example in zip(batch["labels"], examples, strict=True):
        scored = row[row != UNSCORED].tolist()
        said = [*processor.tokenizer(example.answer, add_special_tokens=False)["input_ids"], end]
        assert 0 < len(scored) < len(said)  # the schema says the number of the question
        assert said[-len(scored) :] == scored
    assert {values.shape[0] for values in batch.values()} == {2}


class _Interrupting(Sequence[Example]):
    """Examples of which the n-th that is asked for comes with Ctrl-C."""

    def __init__(self, examples: list[Example], at: int) -> None:
        self._examples, self._left = examples, at

    def __len__(self) -> int:
        return len(self._examples)

    def __getitem__(self, index: Any) -> Any:
        self._left -= 1
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGINT)
        return self._examples[index]


def test_ctrl_c_keeps_a_checkpoint_and_the_same_again_goes_on(tmp_path: Path) -> None:
    folder, settings = tmp_path / "kept", Settings(8, batch=2)
    make_tiny_vlm(tmp_path / "tiny")
    model, processor = trainer.load(str(tmp_path / "tiny"))
    with pytest.raises(KeyboardInterrupt):
        trainer.train(model, processor, _Interrupting(_examples(4), 6), settings, folder)
    (kept,) = folder.glob("checkpoint-*")
    done = json.loads((kept / "trainer_state.json").read_text())["global_step"]
    assert 0 < done < 8
    model, processor = trainer.load(str(tmp_path / "tiny"))
    seen = _Interrupting(_examples(4), -1)
    trainer.train(model, processor, seen, settings, folder)
    assert -1 - seen._left <= 2 * (8 - done) + 4  # no step is made twice; a batch may be read ahead
    (kept,) = folder.glob("checkpoint-*")
    assert json.loads((kept / "trainer_state.json").read_text())["global_step"] == 8


def test_too_little_memory_ends_in_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, processor = trainer.load(str(make_tiny_vlm(tmp_path / "tiny")))

    def full(*_: Any, **__: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(trainer.Trainer, "train", full)
    with pytest.raises(VarlError, match="smaller batch, or lora:=true"):
        trainer.train(model, processor, _examples(2), Settings(1), tmp_path / "kept")


def test_lora_changes_the_model_and_leaves_no_trace_of_itself(tmp_path: Path) -> None:
    pytest.importorskip("peft")
    model, processor = trainer.load(str(make_tiny_vlm(tmp_path / "tiny")))
    names = set(model.state_dict())
    before = _loss(model, processor, _examples(4))
    model = trainer.train(
        model, processor, _examples(4), Settings(20, batch=4, rate=1e-2, lora=True), tmp_path / "kept"
    )
    assert set(model.state_dict()) == names
    assert _loss(model, processor, _examples(4)) < before


def test_a_model_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(VarlError, match="cannot be loaded"):
        trainer.load(str(tmp_path))

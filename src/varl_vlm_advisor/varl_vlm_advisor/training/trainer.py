"""Train any image-text-to-text model of transformers on examples, through transformers' own Trainer."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoModelForImageTextToText,
    AutoProcessor,
    Trainer,
    TrainerCallback,
    TrainingArguments,
)
from varl_common.errors import VarlError

from varl_vlm_advisor.training.encoding import Collator, Encoder, Row
from varl_vlm_advisor.training.examples import Example
from varl_vlm_advisor.training.older_layout import make_readable
from varl_vlm_advisor.training.settings import Settings, half_is_fast
from varl_vlm_advisor.training.stage import CtrlC, draw_loss

_RANK = 16
"""Of LoRA's matrices: what its paper (arXiv 2106.09685) and PEFT's guides take for a narrow task."""
LARGE = 300_000_000
"""Weights from which a model is adapted by LoRA unless told otherwise: Adam wants 16 bytes for each."""


def load(name: str) -> tuple[Any, Any]:
    """Model in float32 and processor of a folder or a name on the hub.

    Raises:
        VarlError: it cannot be loaded.
    """
    try:
        processor = AutoProcessor.from_pretrained(name, trust_remote_code=False)
        model = AutoModelForImageTextToText.from_pretrained(
            name, dtype=torch.float32, use_safetensors=True, trust_remote_code=False
        )
    except (OSError, ValueError, ImportError, KeyError) as error:
        raise VarlError(f"model {name!r} cannot be loaded: {' '.join(str(error).split())[:300]}") from None
    return model, processor


def train(model: Any, processor: Any, examples: Sequence[Example], settings: Settings, folder: Path) -> Any:
    """Train ``model`` on ``examples``; the trained model. Where ``folder`` holds checkpoints, the last goes on.

    Ctrl-C ends it after the step that is being made, with a checkpoint.

    Raises:
        VarlError: PEFT is missing, or the memory is too small, with the remedy.
        KeyboardInterrupt: it was ended before its last step.
    """
    size = sum(weights.numel() for weights in model.parameters())
    lora = size >= LARGE if settings.lora is None else settings.lora
    learned = _with_lora(model) if lora else model
    rate = settings.rate or (2e-4 if lora else 1e-3 if size < 20_000_000 else 2e-5)
    arguments = TrainingArguments(
        output_dir=str(folder),
        max_steps=settings.steps,
        per_device_train_batch_size=settings.batch,
        learning_rate=rate,
        lr_scheduler_type="cosine_with_min_lr",
        lr_scheduler_kwargs={"min_lr_rate": 0.02},
        warmup_steps=min(100, settings.steps // 10),
        weight_decay=0.01,
        max_grad_norm=1.0,
        logging_steps=max(1, min(25, settings.steps // 10)),
        save_steps=settings.kept_every,
        save_total_limit=1,
        use_cpu=settings.device == "cpu",
        bf16=half_is_fast(settings.device),
        seed=settings.seed,
        report_to=[],
        remove_unused_columns=False,
        dataloader_pin_memory=False,
        disable_tqdm=not sys.stderr.isatty(),
    )
    ending = _Ending()
    encode = Encoder(processor, _end_of(model, processor))
    trainer = Trainer(
        model=learned,
        args=arguments,
        train_dataset=_Rows(encode, examples),
        data_collator=Collator(processor.tokenizer.pad_token_id),
        callbacks=[ending],
    )
    kept = any(folder.glob("checkpoint-*"))
    try:
        with ending.heard():
            trainer.train(resume_from_checkpoint=kept or None)
    except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and "memory" not in str(error):
            raise
        raise VarlError(
            f"training ran out of memory on {settings.device} with batch:={settings.batch}; take a smaller batch"
            + ("" if lora else ", or lora:=true, or a smaller model")
        ) from None
    finally:
        losses = [(row["step"], row["loss"]) for row in trainer.state.log_history if "loss" in row]
        draw_loss(losses, folder.parent / "loss.png")
    if ending.asked:
        raise KeyboardInterrupt
    return learned.merge_and_unload() if lora else learned


def save(model: Any, processor: Any, folder: Path) -> None:
    """Write both to ``folder`` in half precision, as the backend ``transformers`` and vLLM read them."""
    dtype = torch.float16 if sum(weights.numel() for weights in model.parameters()) < LARGE else torch.bfloat16
    model.to("cpu", dtype).save_pretrained(folder)
    processor.save_pretrained(folder)
    make_readable(folder, processor)


class _Rows(torch.utils.data.Dataset[Row]):
    def __init__(self, encode: Encoder, examples: Sequence[Example]) -> None:
        self._encode, self._examples = encode, examples

    def __len__(self) -> int:
        return len(self._examples)

    def __getitem__(self, index: int) -> Row:
        return self._encode(self._examples[index])


def _end_of(model: Any, processor: Any) -> int:
    """The token that ends an answer: the tokenizer's own, unless the model ends with others."""
    ends = model.generation_config.eos_token_id
    own: int = processor.tokenizer.eos_token_id
    if ends is None or own == ends or (isinstance(ends, list) and own in ends):
        return own
    return int(ends[0] if isinstance(ends, list) else ends)


def _with_lora(model: Any) -> Any:
    try:
        from peft import LoraConfig, get_peft_model
    except ImportError:
        raise VarlError("a model of this size is adapted by LoRA, which needs peft; pip install peft") from None
    return get_peft_model(model, LoraConfig(r=_RANK, lora_alpha=2 * _RANK, target_modules="all-linear"))


class _Ending(TrainerCallback, CtrlC):
    """Ctrl-C ends the training after a step, with a checkpoint."""

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if self.asked and state.global_step < state.max_steps:
            control.should_save = control.should_training_stop = True

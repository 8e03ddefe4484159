"""A model's folder as transformers 4, and vLLM of its time, read it; transformers 5 reads that as well.

What transformers 5 writes differs from what 4 knows: the image processor lies in the processor's file, the tokenizer's
class has a name of its own, its special tokens are a list, and the base of rotary positions has moved.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def make_readable(folder: Path, processor: Any) -> None:
    """Rewrite what describes the model in ``folder``, whose ``processor`` has been saved there."""
    processor.image_processor.save_pretrained(folder)
    _rewrite(folder / "processor_config.json", lambda told: told.pop("image_processor", None))
    _rewrite(folder / "tokenizer_config.json", _tokenizer)
    _rewrite(folder / "config.json", _rotary)


def _rewrite(file: Path, change: Any) -> None:
    if file.exists():
        told = json.loads(file.read_text(encoding="utf-8"))
        change(told)
        file.write_text(json.dumps(told, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def _tokenizer(told: dict[str, Any]) -> None:
    if told.get("tokenizer_class") == "TokenizersBackend":
        told["tokenizer_class"] = "PreTrainedTokenizerFast"
        told.setdefault("model_input_names", ["input_ids", "attention_mask"])  # else 4 adds token_type_ids
    if isinstance(told.get("extra_special_tokens"), list):
        told["additional_special_tokens"] = told.pop("extra_special_tokens")
        told["extra_special_tokens"] = told.pop("model_specific_special_tokens", {})


def _rotary(told: dict[str, Any]) -> None:
    for part in (told, told.get("text_config") or {}):
        base = (part.get("rope_parameters") or {}).get("rope_theta")
        if base is not None:
            part.setdefault("rope_theta", base)

"""Vision-language models of some 50,000 random weights with a tokenizer of their own, made in a second: they know
nothing, but the real library loads them, and they see, read and write like real ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

ARCHITECTURES = ("gemma3", "idefics3")

_PAD, _BOS, _EOS, _UNKNOWN = "<pad>", "<bos>", "<eos>", "<unk>"
_GEMMA_IMAGE = {
    "boi_token": "<start_of_image>",
    "eoi_token": "<end_of_image>",
    "image_token": "<image_soft_token>",
}
_IDEFICS_IMAGE = {"image_token": "<image>"}
_SAMPLE = {"id": 1234, "reason": "the block is left of the tool", "can_tell": True, "dx": "+large", "gripper": "open"}
_CHAT = (
    "{% for message in messages %}{{ message['role'] }}: {% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}IMAGE{% else %}{{ part['text'] }}{% endif %}{% endfor %}\n{% endfor %}"
    "{% if add_generation_prompt %}assistant: {% endif %}"
)
_SIDE = 32
_PATCH = 8
_IMAGE_TOKENS = (_SIDE // _PATCH // 2) ** 2
_TEXT: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 16,
    "max_position_embeddings": 16384,
}
_VISION: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "image_size": _SIDE,
    "patch_size": _PATCH,
}


def make_tiny_vlm(folder: Path, architecture: str = "gemma3", seed: int = 0) -> Path:
    """Write a model of one of :data:`ARCHITECTURES` with its processor to ``folder``, as ``save_pretrained`` does."""
    import torch

    make = {"gemma3": _gemma3, "idefics3": _idefics3}[architecture]
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        for part in make():
            part.save_pretrained(folder)
    return folder


def _gemma3() -> tuple[Any, Any]:
    from transformers import (
        Gemma3Config,
        Gemma3ForConditionalGeneration,
        Gemma3ImageProcessor,
        Gemma3Processor,
        Gemma3TextConfig,
        SiglipVisionConfig,
    )

    tokenizer = _tokenizer(_GEMMA_IMAGE)
    config = Gemma3Config(
        text_config=Gemma3TextConfig(**_TEXT, **_ids(tokenizer)),
        vision_config=SiglipVisionConfig(**_VISION),
        mm_tokens_per_image=_IMAGE_TOKENS,
        boi_token_index=tokenizer.boi_token_id,
        eoi_token_index=tokenizer.eoi_token_id,
        image_token_index=tokenizer.image_token_id,
        **_ends(tokenizer),
    )
    pictures = Gemma3ImageProcessor(size={"height": _SIDE, "width": _SIDE}, do_pan_and_scan=False)
    chat = _CHAT.replace("IMAGE", tokenizer.boi_token)
    processor = Gemma3Processor(pictures, tokenizer, image_seq_length=_IMAGE_TOKENS, chat_template=chat)
    return Gemma3ForConditionalGeneration(config), processor


def _idefics3() -> tuple[Any, Any]:
    from transformers import (
        Idefics3Config,
        Idefics3ForConditionalGeneration,
        Idefics3ImageProcessor,
        Idefics3Processor,
        LlamaConfig,
    )

    tokenizer = _tokenizer(_IDEFICS_IMAGE)
    pictures = Idefics3ImageProcessor(
        size={"longest_edge": _SIDE}, max_image_size={"longest_edge": _SIDE}, do_image_splitting=False
    )
    chat = _CHAT.replace("IMAGE", tokenizer.image_token)
    processor = Idefics3Processor(pictures, tokenizer, image_seq_len=_IMAGE_TOKENS, chat_template=chat)
    config = Idefics3Config(
        text_config=LlamaConfig(**_TEXT, **_ids(tokenizer)),
        vision_config=_VISION,
        scale_factor=2,
        image_token_id=tokenizer.image_token_id,
        **_ends(tokenizer),
    )
    return Idefics3ForConditionalGeneration(config), processor


def _ids(tokenizer: Any) -> dict[str, Any]:
    return {"vocab_size": len(tokenizer), "bos_token_id": tokenizer.bos_token_id, **_ends(tokenizer)}


def _ends(tokenizer: Any) -> dict[str, Any]:
    return {"eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id}


def _tokenizer(image_tokens: dict[str, str]) -> Any:
    """Byte-level BPE, trained on a few answers: it can write anything, and answers in fewer tokens."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=[_PAD, _BOS, _EOS, _UNKNOWN, *image_tokens.values()],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator([json.dumps(_SAMPLE)] * 3, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=_PAD,
        bos_token=_BOS,
        eos_token=_EOS,
        unk_token=_UNKNOWN,
        extra_special_tokens=image_tokens,
    )

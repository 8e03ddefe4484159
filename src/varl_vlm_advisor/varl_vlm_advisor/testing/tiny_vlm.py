"""A vision-language model of 54,000 random weights with a tokenizer of its own, made in a second: it knows nothing, but
the real library loads it, and it sees, reads and writes like a real one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

_SPECIAL = ["<pad>", "<bos>", "<eos>", "<unk>", "<start_of_image>", "<end_of_image>", "<image_soft_token>"]
_PAD, _BOS, _EOS, _, _IMAGE_BEGIN, _IMAGE_END, _IMAGE = range(len(_SPECIAL))
_IMAGE_TOKENS = 4
_SAMPLE = {"id": 1234, "reason": "the block is left of the tool", "can_tell": True, "dx": "+large", "gripper": "open"}
_CHAT = (
    "{% for message in messages %}{{ message['role'] }}: {% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<start_of_image>{% else %}{{ part['text'] }}{% endif %}{% endfor %}\n{% endfor %}"
    "{% if add_generation_prompt %}assistant: {% endif %}"
)


def make_tiny_vlm(folder: Path, seed: int = 0) -> Path:
    """Write a model of the Gemma 3 architecture with its processor to ``folder``, as ``save_pretrained`` does."""
    import torch
    from transformers import (
        Gemma3Config,
        Gemma3ForConditionalGeneration,
        Gemma3ImageProcessor,
        Gemma3Processor,
        Gemma3TextConfig,
        SiglipVisionConfig,
    )

    tokenizer = _tokenizer()
    text = Gemma3TextConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=16,
        max_position_embeddings=16384,
        pad_token_id=_PAD,
        bos_token_id=_BOS,
        eos_token_id=_EOS,
    )
    vision = SiglipVisionConfig(
        hidden_size=32, intermediate_size=64, num_hidden_layers=1, num_attention_heads=2, image_size=32, patch_size=8
    )
    tokens: dict[str, Any] = {"eos_token_id": _EOS, "pad_token_id": _PAD}
    config = Gemma3Config(
        text_config=text,
        vision_config=vision,
        mm_tokens_per_image=_IMAGE_TOKENS,
        boi_token_index=_IMAGE_BEGIN,
        eoi_token_index=_IMAGE_END,
        image_token_index=_IMAGE,
        **tokens,
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        Gemma3ForConditionalGeneration(config).save_pretrained(folder)
    pictures = Gemma3ImageProcessor(size={"height": 32, "width": 32}, do_pan_and_scan=False)
    Gemma3Processor(pictures, tokenizer, image_seq_length=_IMAGE_TOKENS, chat_template=_CHAT).save_pretrained(folder)
    return folder


def _tokenizer() -> Any:
    """Byte-level BPE, trained on a few answers: it can write anything, and answers in fewer tokens."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=_SPECIAL,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator([json.dumps(_SAMPLE)] * 3, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        bos_token="<bos>",
        eos_token="<eos>",
        unk_token="<unk>",
        extra_special_tokens={
            "boi_token": "<start_of_image>",
            "eoi_token": "<end_of_image>",
            "image_token": "<image_soft_token>",
        },
    )

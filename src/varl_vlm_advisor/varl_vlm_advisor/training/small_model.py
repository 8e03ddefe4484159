"""A vision-language model of a few million weights, made for one camera's pictures and this project's own questions.

It is an Idefics3 of the transformers library, so that every backend that loads such models loads it. What makes it
small is its tokenizer: trained on the questions, it reads a question of 3,000 characters in some 200 tokens.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

SIDE = 128
"""Pixels: a picture is resized to this many squared, whatever its shape."""
_PATCH = 16
IMAGE_TOKENS = (SIDE // _PATCH) ** 2
_POSITION = 0.5
"""Amplitude of a position beside a patch's own features, which begin at about 1."""
_WORDS = 3000
_LONGEST_TOKEN = 120
"""Bytes: sentences that never change become a few tokens."""
_PAD, _BOS, _EOS, _UNKNOWN = "<pad>", "<bos>", "<eos>", "<unk>"
_IMAGE = "<image>"
# What Idefics3's processor puts around the pictures.
_AROUND_IMAGE = ("<fake_token_around_image>", "<global-img>")
_CHAT = (
    "{% for message in messages %}{{ message['role'] }}: {% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}" + _IMAGE + "{% else %}{{ part['text'] }}{% endif %}{% endfor %}\n{% endfor %}"
    "{% if add_generation_prompt %}assistant: {% endif %}"
)
# Metres to the centimetre are one token, and all other digits are one each.
_DIGITS = r"\d\.\d\d|\d"


def make_small_model(texts: Iterable[str], seed: int = 0, width: int = 128, layers: int = 4) -> tuple[Any, Any]:
    """A new model and its processor: ``width`` features a token, ``layers`` in tower and language model each.

    ``texts``: questions and answers, by which the tokenizer learns what is often said.
    """
    import torch
    from transformers import (
        Idefics3Config,
        Idefics3ForConditionalGeneration,
        Idefics3ImageProcessor,
        Idefics3Processor,
        LlamaConfig,
    )

    tokenizer = _tokenizer(texts)
    ends = {"eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id}
    pictures = Idefics3ImageProcessor(
        size={"longest_edge": SIDE}, max_image_size={"longest_edge": SIDE}, do_image_splitting=False
    )
    processor = Idefics3Processor(pictures, tokenizer, image_seq_len=IMAGE_TOKENS, chat_template=_CHAT)
    text = LlamaConfig(
        hidden_size=width,
        intermediate_size=3 * width,
        num_hidden_layers=layers,
        num_attention_heads=4,
        num_key_value_heads=4,
        head_dim=width // 4,
        max_position_embeddings=4096,
        vocab_size=len(tokenizer),
        bos_token_id=tokenizer.bos_token_id,
        tie_word_embeddings=True,
        **ends,
    )
    vision = {
        "hidden_size": width,
        "intermediate_size": 3 * width,
        "num_hidden_layers": layers,
        "num_attention_heads": 4,
        "image_size": SIDE,
        "patch_size": _PATCH,
    }
    config = Idefics3Config(
        text_config=text,
        vision_config=vision,
        scale_factor=1,  # every patch is a token of the language model
        image_token_id=tokenizer.convert_tokens_to_ids(_IMAGE),
        tie_word_embeddings=True,
        **ends,
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = Idefics3ForConditionalGeneration(config)
    model.model.vision_model.embeddings.position_embedding.weight.data.copy_(_places(SIDE // _PATCH, width))
    return model, processor


def _places(cells: int, width: int) -> Any:
    """(cells**2, width): waves over columns and rows, from which a place can be read, as a picture's first positions.

    The usual small random ones take long to mean anything: where a thing is was not learned in 800 steps, while which
    patch shows it was.
    """
    import torch

    at = (torch.arange(cells) + 0.5) / cells
    waves = torch.arange(1, width // 4 + 1) / 4  # from a quarter of a turn across the picture on
    turns = 2 * math.pi * at[:, None] * waves
    axis = torch.cat([turns.sin(), turns.cos()], dim=1)
    rows, columns = axis.repeat_interleave(cells, 0), axis.repeat(cells, 1)
    return torch.cat([columns, rows], dim=1) * _POSITION


def _tokenizer(texts: Iterable[str]) -> Any:
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_DIGITS), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=_WORDS,
        special_tokens=[_PAD, _BOS, _EOS, _UNKNOWN, _IMAGE, *_AROUND_IMAGE],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        max_token_length=_LONGEST_TOKEN,
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=_PAD,
        bos_token=_BOS,
        eos_token=_EOS,
        unk_token=_UNKNOWN,
        extra_special_tokens={"image_token": _IMAGE},
    )

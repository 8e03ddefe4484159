"""A vision-language model of a few million weights, made for one camera's pictures and this project's own questions.

It is an Idefics3 of the transformers library, so that every backend that loads such models loads it. What makes it
small is its tokenizer: a sentence that most questions share is one token, and so is each coordinate of a point.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

SIDE = 128
"""Pixels: a picture is resized to this many squared, whatever its shape."""
PATCH = 8
"""Pixels: about as large as a thing to be found. With patches of 16, a place is learned several times more slowly."""
JOINED = 2
"""Patches, in each direction, that are one token of the language model."""
IMAGE_TOKENS = (SIDE // PATCH // JOINED) ** 2
_FIRST_SIDE = 320
"""Pixels: the longer side that a picture is first shrunk to, whose shape it keeps; shrunk at once to SIDE, the shorter
one would be enlarged again."""
_POSITION = 0.5
"""Amplitude of a position beside a patch's own features."""
_WORDS = 2400
_LONGEST_TOKEN = 40
"""Bytes."""
_SHORTEST_SENTENCE = 16
_SHARED = 0.02
"""Share of the questions that a sentence must be in to be a token of its own."""
WHOLE = 1000
"""Coordinates of a point go from 0 to this (see varl_vlm_advisor.question.pointing)."""
_PAD, _BOS, _EOS, _UNKNOWN = "<pad>", "<bos>", "<eos>", "<unk>"
_IMAGE = "<image>"
# What Idefics3's processor puts around the pictures.
_AROUND_IMAGE = ("<fake_token_around_image>", "<global-img>")
_CHAT = (
    "{% for message in messages %}{{ message['role'] }}: {% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}" + _IMAGE + "{% else %}{{ part['text'] }}{% endif %}{% endfor %}\n{% endfor %}"
    "{% if add_generation_prompt %}assistant: {% endif %}"
)
# A coordinate of a point is one token, and so are metres to the centimetre; all other digits are one each.
_DIGITS = r"(?<=\[)\d{1,4}(?=, )|(?<=\d, )\d{1,4}(?=\])|\d\.\d\d|\d"


def make_small_model(
    questions: Sequence[str], answers: Sequence[str], seed: int = 0, width: int = 256, layers: tuple[int, int] = (5, 3)
) -> tuple[Any, Any]:
    """A new model and its processor: ``width`` features a token and half as many a patch, ``layers`` in tower and
    language model.

    ``questions`` and ``answers``: what the tokenizer learns by.
    """
    import torch
    from transformers import Idefics3Config, Idefics3ForConditionalGeneration, Idefics3Processor, LlamaConfig
    from transformers.utils import logging

    said = logging.get_verbosity()
    logging.set_verbosity_error()  # not that torchvision is not installed: PIL does the same
    from transformers import Idefics3ImageProcessor

    logging.set_verbosity(said)

    tokenizer = _tokenizer(questions, answers)
    ends = {"eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id}
    pictures = Idefics3ImageProcessor(
        size={"longest_edge": _FIRST_SIDE}, max_image_size={"longest_edge": SIDE}, do_image_splitting=False
    )
    processor = Idefics3Processor(pictures, tokenizer, image_seq_len=IMAGE_TOKENS, chat_template=_CHAT)
    text = LlamaConfig(
        hidden_size=width,
        intermediate_size=2 * width,
        num_hidden_layers=layers[1],
        num_attention_heads=2,
        num_key_value_heads=2,
        head_dim=width // 2,
        max_position_embeddings=4096,
        vocab_size=len(tokenizer),
        bos_token_id=tokenizer.bos_token_id,
        tie_word_embeddings=True,
        **ends,
    )
    vision = {
        "hidden_size": width // 2,
        "intermediate_size": 3 * width // 2,
        "num_hidden_layers": layers[0],
        "num_attention_heads": 2,
        "image_size": SIDE,
        "patch_size": PATCH,
    }
    config = Idefics3Config(
        text_config=text,
        vision_config=vision,
        scale_factor=JOINED,
        image_token_id=tokenizer.convert_tokens_to_ids(_IMAGE),
        tie_word_embeddings=True,
        **ends,
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = Idefics3ForConditionalGeneration(config)
    model.model.vision_model.embeddings.position_embedding.weight.data.copy_(_places(SIDE // PATCH, width // 2))
    coordinates = [tokenizer.convert_tokens_to_ids(str(number)) for number in range(WHOLE + 1)]
    model.get_input_embeddings().weight.data[coordinates] = coordinate_codes(width)
    return model, processor


def coordinate_codes(width: int) -> Any:
    """(WHOLE + 1, width): waves over a coordinate, which begin as the embeddings of the tokens that say it.

    Coordinates that are near have codes that are near, so that a place that is nearly right is nearly said.
    """
    import torch

    turns = 2 * math.pi * torch.arange(WHOLE + 1)[:, None] / WHOLE * torch.arange(1, width // 2 + 1) / 4
    return torch.cat([turns.sin(), turns.cos()], dim=1) * math.sqrt(2 / width)


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


def _tokenizer(questions: Sequence[str], answers: Sequence[str]) -> Any:
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
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
    sentences = _sentences(questions)
    # Every coordinate is said often enough to be learned as one token.
    points = [f"[{number}, {number}]" for number in range(WHOLE + 1)] * max(1, len(questions) // 10)
    rest = re.compile("|".join(re.escape(sentence) for sentence in sentences))
    varied = [part for question in questions for part in rest.split(question)] if sentences else list(questions)
    tokenizer.train_from_iterator([*varied, *answers, *points], trainer)
    tokenizer.add_tokens([AddedToken(sentence, normalized=False) for sentence in sentences])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=_PAD,
        bos_token=_BOS,
        eos_token=_EOS,
        unk_token=_UNKNOWN,
        extra_special_tokens={"image_token": _IMAGE},
    )


def _sentences(questions: Sequence[str]) -> list[str]:
    """What many questions share between their numbers, the longest first."""
    counts: Counter[str] = Counter()
    for question in questions:
        counts.update({part for part in re.split(r"\d+|(?<=\n)", question) if len(part) > _SHORTEST_SENTENCE})
    shared = [part for part, count in counts.items() if count > max(1, _SHARED * len(questions))]
    return sorted(shared, key=lambda part: (-len(part), part))

"""A frozen tower and what is read from its maps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("transformers")

from varl_common.errors import VarlError
from varl_common.vision.encoder import FrozenEncoder
from varl_common.vision.heads import spatial_softmax
from varl_common.vision.in_the_box import IN_THE_BOX, in_the_box
from varl_common.vision.tower import Tower, normalized


def test_the_place_of_a_channel_is_where_it_is_high() -> None:
    maps = torch.zeros(1, 2, 9, 9)
    maps[0, 0, 0, 8] = maps[0, 1, 4, 4] = 5.0
    x_first, x_second, y_first, y_second = spatial_softmax(maps)[0].tolist()
    assert x_first > 0.9
    assert y_first < -0.9
    assert abs(x_second) < 1e-5
    assert abs(y_second) < 1e-5


@pytest.mark.parametrize("kind", ["ViT", "ResNet", "Idefics3"])
def test_any_backbone_of_transformers_gives_maps(tmp_path: Path, kind: str) -> None:
    import transformers

    small = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    torch.manual_seed(0)
    if kind == "ViT":
        model = transformers.ViTModel(transformers.ViTConfig(**small, image_size=32, patch_size=8))
    elif kind == "ResNet":
        config = transformers.ResNetConfig(embedding_size=4, hidden_sizes=[6], depths=[1], layer_type="basic")
        model = transformers.ResNetModel(config)
    else:
        text = transformers.LlamaConfig(**small, num_key_value_heads=2, vocab_size=32, pad_token_id=0)
        vision = {**small, "image_size": 32, "patch_size": 8}
        config = transformers.Idefics3Config(
            text_config=text, vision_config=vision, scale_factor=1, image_token_id=3, pad_token_id=0
        )
        model = transformers.Idefics3ForConditionalGeneration(config)
    model.save_pretrained(tmp_path)
    tower = Tower(str(tmp_path))
    pictures = {name: np.random.default_rng(i).integers(0, 256, (40, 40, 3), np.uint8) for i, name in enumerate("ab")}
    encoder = FrozenEncoder(tower, ["a", "b"], 40)
    features = encoder(pictures)
    assert features.shape == (encoder.size,)
    assert features.dtype == np.float32
    assert (np.abs(features) <= encoder.bounds).all()
    assert len(set(encoder.shape[1:])) == 1
    assert Tower(str(tmp_path)).fingerprint == tower.fingerprint
    np.testing.assert_array_equal(features, FrozenEncoder(Tower(str(tmp_path)), ["a", "b"], 40)(pictures))
    swapped = encoder({"a": pictures["b"], "b": pictures["a"]})
    np.testing.assert_allclose(swapped, np.roll(features, encoder.size // 2), atol=1e-5)


def test_a_model_that_looks_at_nothing_is_refused(tmp_path: Path) -> None:
    import transformers

    config = transformers.LlamaConfig(
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=2,
        intermediate_size=8,
        vocab_size=8,
    )
    transformers.LlamaModel(config).save_pretrained(tmp_path)
    with pytest.raises(VarlError, match="looks at no pictures"):
        Tower(str(tmp_path))


def test_the_model_in_the_box_looks_through_its_first_layers() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (1, 128, 128, 3), np.uint8)
    whole, half = Tower(IN_THE_BOX), Tower(IN_THE_BOX, layers=3)
    assert whole(picture).shape == half(picture).shape == (1, 128, 16, 16)
    assert torch.isfinite(half(picture)).all()
    assert whole.fingerprint != half.fingerprint, "its features are others"
    with pytest.raises(VarlError, match="has 5 layers, fewer than 9"):
        Tower(IN_THE_BOX, layers=9)


def test_the_exact_gelu_sees_what_the_models_own_approximation_does() -> None:
    from transformers import AutoModel

    picture = np.random.default_rng(0).integers(0, 256, (1, 128, 128, 3), np.uint8)
    asked = AutoModel.from_pretrained(in_the_box(), dtype=torch.float32).vision_model.eval()
    with torch.inference_mode():
        own = asked(pixel_values=normalized(torch.from_numpy(picture), [0.5] * 3, [0.5] * 3)).last_hidden_state
    found = Tower(IN_THE_BOX)(picture).flatten(2).transpose(1, 2)
    assert (found - own).abs().mean() < 0.02 * own.std(), "bfloat16's rounding included, where the processor has it"

"""A tower that learns to point: what it is taught with, and that a break changes nothing."""

from pathlib import Path

import pytest
import torch
from varl_common.errors import VarlError
from varl_vlm_advisor.training import examples, scenes, tower
from varl_vlm_advisor.training.small_model import IMAGE_TOKENS, SIDE, make_small_model


@pytest.fixture
def shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[examples.Example]:
    """Reach in a few looks."""
    monkeypatch.setattr(scenes, "SHARD", 8)
    try:
        return [one for file in scenes.make(["reach"], 1, tmp_path, 0) for one in examples.load(file)]
    except VarlError as error:
        pytest.skip(str(error))


def test_ended_and_gone_on_is_what_it_would_have_been(shown: list[examples.Example], tmp_path: Path) -> None:
    ends = []
    for kept, runs in ((tmp_path / "twice.pt", (1, 2)), (tmp_path / "once.pt", (2,))):
        for until in runs:
            model, processor = make_small_model((e.text for e in shown), seed=1)
            tower.teach_to_point(model, processor, tower.Pictures(processor, shown), 2, kept, until=until)
        ends.append(model.model.connector.modality_projection.proj.weight)
    torch.testing.assert_close(*ends)


def test_pictures_and_places(shown: list[examples.Example]) -> None:
    model, processor = make_small_model(e.text for e in shown)
    assert 0.5e6 < sum(weights.numel() for weights in model.parameters()) < 20e6
    pictures = tower.Pictures(processor, shown)
    assert pictures.images.shape == (8, 3, SIDE, SIDE)
    assert pictures.places.shape == (8, len(tower.THINGS), 2)
    tokens = tower.image_tokens(model, tower.normalized(processor, torch.from_numpy(pictures.images).float()))
    assert tokens.shape[:2] == (8, IMAGE_TOKENS)
    # The tower is shown what the model is shown when it is asked.
    asked = processor.image_processor(pictures.images[0].transpose(1, 2, 0), return_tensors="pt")["pixel_values"][0, 0]
    torch.testing.assert_close(
        asked, tower.normalized(processor, torch.from_numpy(pictures.images[0])), atol=1e-3, rtol=0
    )

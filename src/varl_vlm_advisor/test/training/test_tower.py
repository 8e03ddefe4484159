"""A tower that learns to point: what it is taught with, that it learns, and that a break changes nothing."""

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from varl_common.errors import VarlError
from varl_vlm_advisor.training import examples, pointing_head, scenes, tower
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
            model, processor = make_small_model([e.text for e in shown], [e.answer for e in shown], seed=1)
            tower.teach_to_point(model, processor, tower.Pictures(processor, shown), 2, kept, until=until)
        ends.append(model.model.connector.modality_projection.proj.weight)
    torch.testing.assert_close(*ends)


def test_pictures_and_places(shown: list[examples.Example]) -> None:
    model, processor = make_small_model([e.text for e in shown], [e.answer for e in shown])
    assert 0.5e6 < sum(weights.numel() for weights in model.parameters()) < 20e6
    pictures = tower.Pictures(processor, shown)
    assert pictures.images.shape == (8, 3, SIDE, SIDE)
    assert pictures.places.shape == (8, len(pointing_head.THINGS), 2)
    _, tokens = tower.seen(model, tower.normalized(processor, torch.from_numpy(pictures.images).float()))
    assert tokens.shape[:2] == (8, IMAGE_TOKENS)
    # The tower is shown what the model is shown when it is asked.
    asked = processor.image_processor(Image.open(io.BytesIO(shown[0].image)), return_tensors="pt")["pixel_values"][0, 0]
    same = tower.normalized(processor, torch.from_numpy(pictures.images[0]))
    torch.testing.assert_close(asked, same, atol=1e-2, rtol=0)  # whole numbers of 0 to 255


class _Dots(tower.Pictures):
    """Dots of four colours on grey noise: what anybody sees who can see at all."""

    def __init__(self, count: int, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.images = rng.integers(90, 150, (count, 3, SIDE, SIDE), np.uint8)
        self.places = rng.uniform(0.15, 0.85, (count, len(pointing_head.THINGS), 2)).astype(np.float32)
        rows, columns = np.mgrid[:SIDE, :SIDE]
        colours = np.array([[240, 20, 20], [20, 220, 20], [20, 20, 240], [240, 240, 20]], np.uint8)
        for image, places in zip(self.images, self.places, strict=True):
            for colour, (x, y) in zip(colours, places * SIDE, strict=True):
                image[:, (rows - y) ** 2 + (columns - x) ** 2 < 16] = colour[:, None]


def test_a_short_training_lowers_the_error_of_pointing(tmp_path: Path) -> None:
    model, processor = make_small_model(["Where?"], ["There."], width=128, layers=(3, 2))  # 0.7 M weights
    learned, judged, kept = _Dots(200, 0), _Dots(50, 1), tmp_path / "kept.pt"
    errors = []
    for until in (1, 90):
        tower.teach_to_point(model, processor, learned, 90, kept, until=until)
        errors.append(tower.pointing_error(model, processor, judged, kept))
    assert errors[1] < 0.2 * errors[0]
